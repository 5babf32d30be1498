"""Training runs, by their logs."""

import argparse
import shlex
from pathlib import Path

import numpy

from .. import trainlog


class Run:
    """The log of one training run, and the command that made it."""

    def __init__(self, name, folder):
        self.name = name
        self.log = Path(folder) / "train.log"
        logs = trainlog.read(self.log)
        self.training, self.validation = logs.get("train_inner", {}), logs.get("valid", {})
        begun = Path(folder) / "begun.txt"  # written by step.py
        self.command = begun.read_text(encoding="utf-8").split("\n")[0] if begun.exists() else None

    @property
    def directions(self):
        """The directions of a pair of models; none for a run of one model."""
        keys = next(iter(self.validation.values()), {})
        return [key[len("ppl_") :] for key in keys if key.startswith("ppl_")]

    @property
    def direction(self):
        """The direction of one translation model, by the command; None of anything else."""
        words = shlex.split(self.command or "")
        given = dict(zip(words, words[1:]))
        languages = [
            given.get(short, given.get(long)) for short, long in (("-s", "--source-lang"), ("-t", "--target-lang"))
        ]
        return "-".join(languages) if given.get("--task") == "translation" and all(languages) else None


def perplexity(records, direction=None):
    """The perplexity of a run, as `plots.draw` takes it: from the loss, since fairseq rounds the perplexity itself."""

    def values_of(run):
        # A language model logs its loss alone, which is of the likelihood.
        for key in (f"nll_loss_{direction}",) if direction else ("nll_loss", "loss"):
            updates, bits = trainlog.series(getattr(run, records), key)
            if updates:
                return updates, numpy.exp2(bits).tolist()  # infinite, of a run that diverged, where 2.0 ** value fails
        return None

    return values_of


def best(runs):
    """The lowest validation perplexities of each run: the rows of a table, with its header."""
    rows = [["run", "updates", "lowest validation perplexity"]]
    for run in runs:
        curves = [(f"{direction} ", perplexity("validation", direction)(run)) for direction in run.directions]
        curves = curves or [("", perplexity("validation")(run))]
        lowest = ", ".join(f"{name}{min(curve[1]):.2f}" for name, curve in curves if curve)
        rows.append([run.name, max([*run.training, *run.validation], default=0), lowest])
    return rows


def parse_run(text):
    """The type of an option that is a run: NAME=DIR."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    if not (Path(folder) / "train.log").is_file():
        raise argparse.ArgumentTypeError(
            f"{folder}: no train.log there; give `--log-format json --log-file {folder}/train.log` to fairseq-train"
        )
    return Run(name, folder)
