"""The commands of fairseq that an evaluation runs, and what it reads of their output."""

import shlex
from pathlib import Path

from .. import trainlog
from ..inputs import files_of
from .jobs import Job
from .scores import GAP_STATISTICS


def make_jobs(args, systems, pairs, count):
    """Returns {(system, direction): generate job}, and {system: validate job} for those with a duality gap."""
    primal, dual = (args.source_lang, args.target_lang), (args.target_lang, args.source_lang)
    generations, validations = {}, {}
    for system in systems:
        for languages in (primal, dual):
            direction, path = "-".join(languages), system.path(languages == primal)
            command = generate_command(args, system, path, *languages)
            generations[system.name, direction] = Job(
                name=f"{system.name} {direction}",
                command=command,
                log=Path(args.output) / f"{system.name}.{direction}.log",
                inputs=inputs(args, command),
                total=count,
            )
        if system.name in pairs:
            command = validate_command(args, system.path(True), pairs[system.name].source)
            validations[system.name] = Job(
                name=f"{system.name} duality gap",
                command=command,
                log=Path(args.output) / f"{system.name}.gap.log",
                inputs=[*inputs(args, command), *pairs[system.name].language_models],
            )
    return generations, validations


def inputs(args, command):
    """The files that a command reads; of the data folder those of the subset, so that others may come beside it."""
    data = Path(args.data_bin)
    mine = ("dict.", f"{args.subset}.")
    return [str(file) for file in files_of(command) if file.parent != data or file.name.startswith(mine)]


def generate_command(args, system, path, source, target):
    task = "dual_translation" if system.is_pair else "translation"
    words = ["fairseq-generate", args.data_bin, "--user-dir", args.user_dir, "--task", task, "-s", source, "-t", target]
    words += ["--path", path, "--gen-subset", args.subset, "--beam", str(args.beam)]
    return words + shlex.split(args.generate_args) + batching(args)


def validate_command(args, path, source=None):
    """The command that logs a pair's duality gap.

    `source` is the source language that the pair was trained with, whose language model is its `--source-lm`; by
    default that of the evaluation.
    """
    words = ["fairseq-validate", args.data_bin, "--user-dir", args.user_dir, "--task", "dual_translation"]
    words += ["--path", path, "--valid-subset", args.subset, "--log-format", "json"]
    if args.source_lm:
        language_models = [args.source_lm, args.target_lm]
        if source not in (None, args.source_lang):
            language_models.reverse()
        words += ["--source-lm", language_models[0], "--target-lm", language_models[1]]
    # BLEU of the training's validation is not wanted again: every hypothesis is scored here.
    return words + ["--model-overrides", "{'eval_bleu': False}"] + batching(args)


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
