"""Cleans a parallel corpus by the scores of fairseq-dsl score: keeps the best lines, in their order.

    fairseq-dsl score --path dual.pt --source train.de --target train.en --output scores.tsv
    fairseq-dsl filter scores.tsv --source train.de --target train.en --keep 0.8 --output clean.de clean.en

Lines without the score, such as empty ones, are never kept.
"""

import argparse
import math
import sys
from argparse import Namespace
from typing import Any, Callable, Dict, Tuple

from . import arguments
from .arguments import Parser

# By column: its value in a line, and whether the higher or the lower ones are better.
Values = Dict[str, float]
BY: Dict[str, Tuple[str, Callable[[Values], float]]] = {
    "score": ("at least", lambda line: line["score"]),
    "cross_entropy": ("at most", lambda line: line["cross_entropy"]),
    "gap": ("at most", lambda line: abs(line["gap"])),
    "forward": ("at least", lambda line: line["forward"] / line["target_length"]),
    "reverse": ("at least", lambda line: line["reverse"] / line["source_length"]),
    "source_lm": ("at least", lambda line: line["source_lm"] / line["source_length"]),
    "target_lm": ("at least", lambda line: line["target_lm"] / line["target_length"]),
}


def share(text: str) -> float:
    """The type of an option that is a share of the lines.

    >>> share("0.8")
    0.8
    """
    value = number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, up to 1, found {text!r}")
    return value


def number(text: str) -> float:
    """The type of an option that is a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, found {text!r}")
    return value


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("scores", type=arguments.input_file, metavar="SCORES", help="the file of fairseq-dsl score")
    add("--source", required=True, type=arguments.input_file, metavar="FILE", help="the sentences that were scored")
    add("--target", required=True, type=arguments.input_file, metavar="FILE", help="their translations")
    add(
        "--output",
        required=True,
        nargs=2,
        type=arguments.output_file,
        metavar=("SOURCE", "TARGET"),
        help="the files of the cleaned corpus",
    )
    kept = parser.add_mutually_exclusive_group(required=True)
    kept.add_argument("--keep", type=share, metavar="SHARE", help="keep this share of all lines, the best ones")
    kept.add_argument(
        "--threshold",
        type=number,
        metavar="T",
        help="keep the lines that are at least as good as this; of a negative number write the =, --threshold=-2.5",
    )
    add(
        "--by",
        choices=BY,
        default="score",
        help="what is compared: score; cross_entropy or |gap|, of which less is better; forward, reverse, source_lm or "
        "target_lm per token (default: %(default)s)",
    )


def run(parser: Parser, args: Namespace) -> None:
    inputs = [args.scores, args.source, args.target]
    for output in args.output:
        arguments.refuse_overwriting(parser, output, inputs)
        inputs.append(output)
    if len(set(args.output)) == 1:
        parser.error(f"--output {args.output[0]}: expected two files, found the same twice")

    from .scoring import corpus, selection
    from .scoring.score_table import ScoreTable

    table = ScoreTable(args.scores)
    for output in args.output:
        arguments.refuse_overwriting(parser, output, [str(table.note)])
    texts = corpus.parallel(args.source, args.target)
    if not selection.check_of(table, texts):
        print(f"warning: {table.note}: missing: cannot tell whether the scores are of these texts", file=sys.stderr)
    better, value = BY[args.by]
    values = selection.column(table, value, texts[0].lines)
    chosen: Any = selection.choose(values, better == "at most", args.keep, args.threshold)
    if not chosen.any():
        raise selection.nothing(values, args.by, better, args.threshold)
    for path, output in zip((args.source, args.target), args.output):
        selection.write(path, output, chosen)
    print(f"wrote {' and '.join(args.output)}: {int(chosen.sum()):,} of {len(chosen):,} pairs ({chosen.mean():.1%})")
