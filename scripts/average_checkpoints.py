#!/usr/bin/env python3
"""Averages the parameters of several checkpoints of one training run, dual or plain.

    scripts/average_checkpoints.py --inputs run/checkpoint3.pt run/checkpoint4.pt --output run/average.pt
    scripts/average_checkpoints.py --inputs run --num-epoch-checkpoints 5 --output run/average.pt

The options are those of fairseq's own script, which its wheels lack. All but the parameters comes from the last
checkpoint; the optimizer's state is left out, since it belongs to none of the averaged models."""

import re
import sys
from itertools import chain
from pathlib import Path

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])  # this folder, and the repository's plugin

import torch  # noqa: E402

import commandline  # noqa: E402
from models import Kind  # noqa: E402
from fairseq_dsl.checkpoints import Checkpoint, plain, write_checkpoint  # noqa: E402
from fairseq_dsl.errors import BadInput  # noqa: E402
from fairseq_dsl.vocabulary import NAME as DICTIONARIES  # noqa: E402
from fairseq_dsl.vocabulary import vocabulary_difference  # noqa: E402
from fairseq import checkpoint_utils  # noqa: E402

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
        raise BadInput(f"--inputs {folder}: {count} checkpoints like {EXAMPLES[pattern]} are wanted, found {found}")
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
    # the dictionaries are the last one's: checkpoints of version 0.2 carry none
    state["model"] = {**state["model"], **averaged}  # of no class of the plugin's
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
    return {name: value for name, value in checkpoint.parameters.items() if not name.startswith(f"{DICTIONARIES}.")}


def make_parser():
    parser = commandline.Parser(__doc__)
    parser.add_argument(
        "--inputs", required=True, nargs="+", metavar="PATH", help="checkpoints, or one folder and a --num-... flag"
    )
    parser.add_argument(
        "--output", required=True, type=commandline.output_file, metavar="FILE", help="the averaged checkpoint"
    )
    number = parser.add_mutually_exclusive_group()
    number.add_argument(
        "--num-epoch-checkpoints",
        type=int,
        metavar="N",
        help="average the last N checkpoints written at the end of an epoch (checkpoint12.pt)",
    )
    number.add_argument(
        "--num-update-checkpoints",
        type=int,
        metavar="N",
        help="average the last N checkpoints written within epochs (checkpoint_3_500.pt)",
    )
    parser.add_argument(
        "--checkpoint-upper-bound",
        type=int,
        metavar="N",
        help="with a --num-... flag: leave out epochs or updates after this one (default: take all)",
    )
    return parser


def main(argv=None):
    parser = make_parser()
    args = parser.parse_args(argv)
    pattern, count = EPOCH, args.num_epoch_checkpoints
    if count is None:
        pattern, count = UPDATE, args.num_update_checkpoints
    paths = args.inputs
    if count is not None:
        if len(args.inputs) != 1 or not Path(args.inputs[0]).is_dir():
            parser.error(f"--inputs {' '.join(args.inputs)}: a --num-... flag wants one folder")
        if count < 1:
            parser.error(f"--num-...-checkpoints {count}: at least 1 is wanted")
        paths = last_checkpoints(args.inputs[0], pattern, count, args.checkpoint_upper_bound)
    elif args.checkpoint_upper_bound is not None:
        parser.error("--checkpoint-upper-bound wants one of the --num-... flags")
    elif folders := [path for path in paths if Path(path).is_dir()]:
        parser.error(f"--inputs {folders[0]}: a folder wants one of the --num-... flags")
    commandline.refuse_overwriting(parser, args.output, paths)
    for path in paths:
        print(f"averaging {path}")
    write_checkpoint(average_files(paths), args.output)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    commandline.run(main)
