"""The commands of fairseq that an evaluation runs, and what it reads of their output."""

import os
import shlex
import sys
from pathlib import Path

from .. import trainlog
from ..inputs import files_of
from . import dual_inference, gaps
from .jobs import Job
from .scores import GAP_STATISTICS


def make_jobs(args, systems, pairs, count):
    """Returns {(system, direction): generate job}, and {system: validate job} for those with a duality gap.

    Args:
        pairs: the path of each system's pair, and what it was trained with, by the system's name.
    """
    primal, dual = (args.source_lang, args.target_lang), (args.target_lang, args.source_lang)
    generations, validations = {}, {}
    for system in systems:
        for languages in (primal, dual):
            direction = "-".join(languages)
            if system.base:
                command = dual_inference_command(args, *pairs[system.base.name], *languages)
            else:
                _, trained = pairs[system.name] if system.is_pair else (None, None)
                command = generate_command(args, system, trained, *languages)
            generations[system.name, direction] = Job(
                name=f"{system.name} {direction}",
                command=command,
                log=Path(args.output) / f"{system.name}.{direction}.log",
                inputs=inputs(args, command),
                total=count,
            )
        # fairseq-validate takes no ensemble
        if system.name in pairs and not system.is_ensemble and (system.is_pair or args.source_lm):
            path, trained = pairs[system.name]
            command = validate_command(args, path, trained)
            validations[system.name] = Job(
                name=f"{system.name} duality gap",
                command=command,
                log=Path(args.output) / f"{system.name}.gap.log",
                inputs=[*inputs(args, command), *trained.marginal_files],
            )
    return generations, validations


def inputs(args, command):
    """The files that a command reads; of the data folder those of the subset, so that others may come beside it."""
    data = Path(args.data_bin)
    mine = ("dict.", f"{args.subset}.")
    return [str(file) for file in files_of(command) if file.parent != data or file.name.startswith(mine)]


def generate_command(args, system, trained, source, target):
    """The command that translates by one direction alone; `trained` is that of a pair, else None."""
    words = generating(args, system.is_pair, system.path(source == args.source_lang), source, target, args.beam)
    if trained and f"{source}-{target}" in trained.tuned:
        words += ["--reverse-weight", "0"]  # else its own weights
    return words + shlex.split(args.generate_args) + batching(args)


def dual_inference_command(args, path, trained, source, target):
    """The command that translates by both directions of a pair, and language models where there are some."""
    words = generating(args, True, path, source, target, dual_inference.beam(args))
    words += args.weights.flags(f"{source}-{target}", trained)
    given = language_models(args, trained)
    words += given or [word for flag_and_file in trained.language_models.items() for word in flag_and_file]
    return words + shlex.split(args.generate_args) + batching(args)


def generating(args, is_pair, path, source, target, beam):
    task = "dual_translation" if is_pair else "translation"
    words = ["fairseq-generate", args.data_bin, "--user-dir", args.user_dir, "--task", task, "-s", source, "-t", target]
    return words + ["--path", path, "--gen-subset", args.subset, "--beam", str(beam)]


def validate_command(args, path, trained=None):
    """The command that logs a pair's duality gap, and prints that of each sentence pair."""
    words = [os.path.basename(sys.executable), "-m", gaps.__name__, args.data_bin, "--user-dir", args.user_dir]
    words += ["--task", "dual_translation", "--distributed-world-size", "1"]
    words += ["--path", path, "--valid-subset", args.subset, "--log-format", "json", *language_models(args, trained)]
    # BLEU of the training's validation is not wanted again: every hypothesis is scored here.
    return words + ["--model-overrides", "{'eval_bleu': False}"] + batching(args)


def language_models(args, trained):
    """The flags that name the evaluation's language models, if it has some, to a pair.

    Its ``--source-lm`` is of the source language that it was `trained` with; by default that of the evaluation.
    """
    if not args.source_lm:
        return []
    models = [args.source_lm, args.target_lm]
    if trained and trained.source != args.source_lang:
        models.reverse()
    return ["--source-lm", models[0], "--target-lm", models[1]]


def batching(args):
    # A multiple of 1, lest some versions of fairseq drop the last sentences.
    words = ["--max-tokens", str(args.max_tokens), "--required-batch-size-multiple", "1", "--num-workers", "0"]
    return words + (["--cpu"] if args.cpu else [])


def hypotheses(lines, count):
    """Returns the `count` detokenized hypotheses of fairseq-generate's output, in the order of the test set.

    fairseq prints them in the order of its batches, as `D-NUMBER<tab>SCORE<tab>TEXT`.

    >>> hypotheses(["D-1\\t-0.5\\tzwei", "H-0\\t-0.1\\te ins", "D-0\\t-0.1\\teins"], 2)
    ['eins', 'zwei']
    """
    found = {}
    for line in lines:
        if line.startswith("D-"):
            number, _, text = line[2:].split("\t", 2)
            found[int(number)] = text
    if sorted(found) != list(range(count)):
        missing = sorted(set(range(count)) - set(found))
        extra = sorted(set(found) - set(range(count)))
        raise ValueError(
            f"{len(found)} hypotheses for {count} references (missing numbers: {missing[:5]}, too many: {extra[:5]}): "
            "--text and --subset must name the same sentences"
        )
    return [found[number] for number in range(count)]


def duality_gap(lines, subset):
    """Returns the duality statistics that fairseq-validate logged; {} of a pair without language models."""
    logged = [parsed[1] for line in lines if (parsed := trainlog.parse_line(line)) and parsed[0] == subset]
    if not logged:
        raise ValueError(f"fairseq-validate logged no statistics of {subset!r}")
    return {key: logged[-1][key] for key in GAP_STATISTICS if key in logged[-1]}
