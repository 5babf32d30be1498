"""Compares systems over several runs of an experiment, such as other seeds: their mean score, and what it gains.

    fairseq-dsl compare seed1/evaluation.json seed2/evaluation.json seed3/evaluation.json --output comparison.json

Each run is what `fairseq-dsl evaluate` wrote: of systems of the same names, on the same test set. Prints the mean of
the runs' scores, its difference from the control's (or another's: --baseline) with the 95% interval and the p-value of
a two-sided paired bootstrap test, in which each resample has the same sentences for all runs, and the difference of
each run: sentences and runs are chance of two kinds, and a difference that is to be trusted stands against both.
"""

import json
import re
from argparse import Namespace
from pathlib import Path

from . import arguments, texts
from .arguments import Parser
from .reporting.comparisons import table
from .reporting.markdown import parse_evaluation


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", type=parse_evaluation, metavar="FILE", help="evaluation.json of a run; two or more")
    add(
        "--output",
        type=arguments.output_file,
        metavar="FILE",
        help="write all numbers, as JSON (default: nowhere)",
    )
    add("--baseline", metavar="NAME", help="the system that the others are held against (default: the evaluations')")
    add("--resamples", type=arguments.positive, default=1000, help="resamples of the bootstrap (default: %(default)s)")


def run(parser: Parser, args: Namespace) -> None:
    first, *others = args.runs
    if not others:
        parser.error("expected two or more evaluations, found one")
    for other in others:
        for key in ("languages", "baseline", "sentences"):
            if other[key] != first[key]:
                parser.error(f"{key}: expected those of the first evaluation, {first[key]!r}, found {other[key]!r}")
        if list(other["systems"]) != list(first["systems"]):
            found, expected = (", ".join(run["systems"]) for run in (other, first))
            parser.error(f"systems: expected those of the first evaluation, {expected}, found {found}")
        if any(references(other, language) != references(first, language) for language in first["languages"]):
            parser.error(
                f"text: expected that of the first evaluation, {first['text']}, found another in {other['text']}"
            )
    baseline = args.baseline or first["baseline"]
    if baseline not in first["systems"]:
        parser.error(f"--baseline: expected one of {', '.join(first['systems'])}, found {baseline!r}")
    result = compare(args.runs, baseline, args.resamples)
    if args.output:
        texts.write(Path(args.output), json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(result))


def references(evaluation, language):
    return texts.read_lines(f"{evaluation['text']}.{language}")


def hypotheses(evaluation, system, direction):
    return texts.read_lines(evaluation["hypotheses"][system][direction])


def compare(evaluations, baseline, resamples):
    """The content of comparison.json: like evaluation.json, with the scores and differences of each run."""
    from .evaluation import scores

    first = evaluations[0]
    result = {key: first[key] for key in ("subset", "sentences", "languages")}
    result.update(baseline=baseline, runs=len(evaluations), systems=list(first["systems"]), directions={})
    for source, target in (first["languages"], reversed(first["languages"])):
        direction = f"{source}-{target}"
        names = sorted(first["systems"], key=lambda name: name != baseline)  # it is the first
        systems = [(name, [hypotheses(run, name, direction) for run in evaluations]) for name in names]
        tokenizer = tokenizer_of(first["directions"][direction]["BLEU"]["signature"])
        result["directions"][direction] = scores.compare_runs(systems, references(first, target), tokenizer, resamples)
    result["duality_gap"] = {
        name: gaps for name in first["systems"] if all(gaps := [run["duality_gap"].get(name) for run in evaluations])
    }
    return result


def tokenizer_of(signature):
    """
    >>> tokenizer_of("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0")
    '13a'
    """
    return re.search(r"\btok:([^|]+)", signature)[1]
