"""Two data-parallel workers do what one does with twice the batch."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import PLUGIN, TRAINING, dsl_flags, edited, largest_difference, load, train

# 96 pairs in batches of 32: the second update of an epoch has one batch, and the second worker none.
SCHEDULE = (
    "--batch-size 32 --max-epoch 3 --optimizer sgd --lr 0.1 --clip-norm 5 --per-model-clip-norm 0.8 --dsl-lambda 0.02 "
    "--dsl-ramp-updates 4 --validate-interval 3 --eval-bleu"
).split()
DIRECTIONS = ("de-en", "en-de")


def torchrun(data, *arguments):
    """The lines of JSON that two workers log, by ``train_inner`` and ``valid``."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29617"]
    command += [Path(__file__).with_name("launcher.py"), data, *TRAINING, *arguments, "--user-dir", PLUGIN]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return {
        kind: [json.loads(line) for line in re.findall(rf"\| {kind} \| (.*)$", result.stdout, re.MULTILINE)]
        for kind in ("train_inner", "valid")
    }


@pytest.fixture(scope="module")
def runs(chain, tmp_path_factory):
    """The folders and the statistics of the same training by one worker and by two."""
    folder = tmp_path_factory.mktemp("workers")
    none = {f"model__{name}": 0.0 for name in ("dropout", "attention_dropout", "activation_dropout")}
    starts = {d: edited(chain.warm[d], folder / f"{d}.pt", **none) for d in DIRECTIONS}
    flags = [*dsl_flags(chain), *SCHEDULE]
    flags[flags.index("--primal-checkpoint") + 1] = starts["de-en"]
    flags[flags.index("--dual-checkpoint") + 1] = starts["en-de"]

    def own(workers):
        return ["--save-dir", folder / workers, "--marginal-cache", folder / workers / "cache"]

    one = train(chain.data, *flags, *own("one"), "--update-freq", 2).stats
    return folder, {"one": one, "two": torchrun(chain.data, *flags, *own("two"))}


def test_parameters(runs, chain):
    one, two = (load(runs[0] / name / "checkpoint_last.pt") for name in ("one", "two"))
    assert one["optimizer_history"][-1]["num_updates"] == two["optimizer_history"][-1]["num_updates"] == 6
    assert largest_difference(one["model"], two["model"]) < 1e-6
    warm = {f"models.{d}.{k}": v for d in DIRECTIONS for k, v in load(chain.warm[d])["model"].items()}
    assert largest_difference({key: one["model"][key] for key in warm}, warm) > 1e-3


def test_statistics(runs):
    same = ["loss", "nll_loss", "duality_gap", "duality_gap_signed", "duality_loss", "unlearnt", "gnorm"]
    same += [f"{name}_{d}" for name in ("nll_loss", "lambda", "gnorm", "pnorm") for d in DIRECTIONS]
    one, two = (runs[1][name]["train_inner"] for name in ("one", "two"))
    assert len(one) == len(two) == 6
    assert len({stats["lambda_de-en"] for stats in one}) > 2  # the ramp
    for left, right in zip(one, two):
        for key in same:
            assert float(left[key]) == pytest.approx(float(right[key]), abs=2e-3), key
    same = ["loss", "nll_loss", "bleu", "duality_gap", "duality_share"] + [f"bleu_{d}" for d in DIRECTIONS]
    one, two = (runs[1][name]["valid"] for name in ("one", "two"))
    assert len(one) == len(two) == 1
    for key in same:
        assert float(one[0][f"valid_{key}"]) == pytest.approx(float(two[0][f"valid_{key}"]), abs=2e-3), key


def test_marginals(runs):
    caches = [
        {path.name: np.load(path)["scores"] for path in (runs[0] / name / "cache").iterdir()} for name in ("one", "two")
    ]
    assert set(caches[0]) == set(caches[1])
    assert len(caches[0]) == 4  # both sides of train and valid
    for name, scores in caches[0].items():
        np.testing.assert_allclose(caches[1][name], scores, atol=1e-5)
        assert (scores < 0).all()
