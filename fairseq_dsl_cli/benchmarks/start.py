"""What a start of training costs before the data are read: a process that imports fairseq and builds what it trains."""

import json
import subprocess
import sys
from pathlib import Path

from fairseq_dsl.checkpoints import Checkpoint

# What fairseq-train does up to its data; the first argument is a file of the stock model's configuration, or empty.
SCRIPT = """
import argparse, json, sys
from fairseq_cli import train
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
stock, *words = sys.argv[1:]
cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
task = tasks.setup_task(cfg.task)
task.build_model(argparse.Namespace(**json.load(open(stock))) if stock else cfg.model)
task.build_criterion(cfg.criterion)
"""


def starts(bench):
    """A function for each side, which starts its process and waits for it.

    The stock side makes new parameters, as a training from nothing does; the pair's take those of their checkpoints.
    """
    path, source, target = bench.direction("primal")
    model = Path(bench.folder / "model.json")
    model.write_text(json.dumps(Checkpoint(path, "--primal-checkpoint").model_cfg))
    stock = [bench.args.data_bin, "--task", "translation", "-s", source, "-t", target, "--arch", "transformer"]
    stock += ["--criterion", "label_smoothed_cross_entropy", "--optimizer", "adam"]

    def side(*words):
        return lambda: subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, stdout=sys.stderr)

    return {"pair": side("", *bench.dsl_words("cache")), "stock": side(model, *stock)}
