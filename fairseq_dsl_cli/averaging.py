"""The mean of the parameters of several checkpoints of one model."""

import re
from itertools import chain
from pathlib import Path

import torch
from fairseq import checkpoint_utils

from fairseq_dsl.checkpoints import Checkpoint, plain
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.dual_translation import CRITICS
from fairseq_dsl.vocabulary import NAME as DICTIONARIES
from fairseq_dsl.vocabulary import vocabulary_difference

from .kinds import Kind

# fairseq's file names, and the number in them that counts.
EPOCH = re.compile(r"checkpoint(\d+)\.pt")
UPDATE = re.compile(r"checkpoint_\d+_(\d+)\.pt")
EXAMPLES = {EPOCH: "checkpoint12.pt", UPDATE: "checkpoint_3_500.pt"}


def last_checkpoints(folder, pattern, count, upper_bound=None):
    """Returns the `count` checkpoints of `folder` with the highest numbers up to `upper_bound`, in ascending order."""
    matches = [(pattern.fullmatch(path.name), path) for path in Path(folder).iterdir()]
    numbered = sorted((int(match[1]), path) for match, path in matches if match)
    kept = [path for number, path in numbered if upper_bound is None or number <= upper_bound]
    if len(kept) < count:
        found = ", ".join(path.name for path in kept) or "none"
        raise BadInput(f"--inputs {folder}: expected {count} checkpoints like {EXAMPLES[pattern]}, found {found}")
    return kept[-count:]


def average(parameters_of_models, paths=()):
    """Averages models, given as an iterable of {name: tensor}, of which one at a time is in memory.

    `paths` are the models' files, for the message where their parameters differ in name or shape.

    Sums are taken in float32 or better, so that half-precision parameters lose nothing, and returned in the parameters'
    own type. Integers (counters, not parameters) are the last model's.

    >>> average([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}])
    {'w': tensor([2., 4.])}
    """
    sums, count, last = {}, 0, {}
    for model in parameters_of_models:
        if count and (unequal := sorted(_shapes(model) ^ _shapes(last))):
            name, shape = unequal[0]
            files = " and ".join(map(str, [*paths[:1], *paths[count : count + 1]]))
            what = f"{name} {list(shape)} is not in both"
            raise BadInput(f"--inputs {files}: expected checkpoints of one model; {what}")
        for name, parameter in model.items():
            if parameter.is_floating_point():
                exact = parameter.to(torch.promote_types(parameter.dtype, torch.float32))
                sums[name] = sums[name] + exact if count else exact
        count, last = count + 1, model
    return {name: (sums[name] / count).to(p.dtype) if name in sums else p for name, p in last.items()}


def _shapes(model):
    return {(name, tuple(parameter.shape)) for name, parameter in model.items()}


def average_files(paths):
    """Returns the state of the last of `paths` with the average of all their parameters."""
    *others, last = paths
    reference = Checkpoint(str(last), "--inputs")
    models = (_alike(Checkpoint(str(path), "--inputs"), reference) for path in others)
    averaged = average(chain(models, [_parameters(reference)]), paths)
    state = checkpoint_utils.load_checkpoint_to_cpu(str(last))
    # the dictionaries are the last one's: checkpoints of version 0.2 carry none. The mean translates: it has no critics
    kept = {name: value for name, value in state["model"].items() if not name.startswith(f"{CRITICS}.")}
    state["model"] = {**kept, **averaged}  # of no class of the plugin's
    state.pop("last_optimizer_state", None)
    if state.get("cfg") is not None:
        state["cfg"] = plain(state["cfg"])  # loaded as omegaconf's classes, which a safe torch.load refuses
    return state


def _alike(checkpoint, last):
    """Returns a checkpoint's parameters, after making sure that it and the `last` one are of the same model."""
    if difference := Kind.of(checkpoint).difference(Kind.of(last)):
        files = f"{checkpoint.name} and {last.path}"
        raise BadInput(f"{files}: expected checkpoints of one model, found {difference}")
    for language, dictionary in checkpoint.dictionaries.items():
        own = last.dictionaries.get(language)
        if own is not None and (difference := vocabulary_difference(dictionary, own)):
            raise BadInput(
                f"{checkpoint.name}: has another {language} dictionary than {last.path}: {difference} here; "
                "expected checkpoints of one training run"
            )
    return _parameters(checkpoint)


def _parameters(checkpoint):
    others = (f"{DICTIONARIES}.", f"{CRITICS}.")
    return {name: value for name, value in checkpoint.parameters.items() if not name.startswith(others)}
