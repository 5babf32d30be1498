"""An evaluation as Markdown."""

import argparse
import json
import os
from pathlib import Path

from .. import arguments, texts
from ..evaluation.scores import GAP_STATISTICS, gap_rows, numbers


def markdown_table(rows):
    r"""Rows, the first of them the header, as Markdown.

    By hand, as tabulate neither escapes | nor leaves out the padding, which for sentences is long.

    >>> print(markdown_table([["a", "b"], [1, "2|3"]]))
    | a | b |
    |---|---|
    | 1 | 2\|3 |
    """
    header, *body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (header, *body)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def scores(evaluation):
    """The table of BLEU, chrF and gaps as Markdown."""
    parts = []
    baseline = evaluation["baseline"]
    for direction, metrics in evaluation["directions"].items():
        header = [direction]
        for metric in metrics:
            header += [metric, "95% interval", f"against {baseline}"]
        rows = [[name, *numbers(metrics, name, baseline)] for name in evaluation["systems"]]
        signatures = "; ".join(f"{name}: `{metric['signature']}`" for name, metric in metrics.items())
        parts.append(f"{markdown_table([header, *rows])}\n\n{signatures}")
    parts += evaluation.get("notes", [])
    if gaps := gap_rows(evaluation):
        header = [f"duality gap on {evaluation['subset']}, nats per pair", *GAP_STATISTICS.values()]
        parts.append(markdown_table([header, *gaps]))
    return "\n\n".join(parts)


def samples(evaluation, count):
    """A few translations side by side: sentences at even distances, so that nobody has chosen them."""
    parts = []
    primal = evaluation["languages"]
    for source, target in (primal, reversed(primal)):
        direction = f"{source}-{target}"
        columns = {
            source: texts.read_lines(f"{evaluation['text']}.{source}"),
            f"{target} (reference)": texts.read_lines(f"{evaluation['text']}.{target}"),
        }
        for name, paths in evaluation["hypotheses"].items():
            columns[name] = texts.read_lines(paths[direction])
        chosen = range(0, evaluation["sentences"], max(1, evaluation["sentences"] // count))[:count]
        rows = [["", *columns], *([number + 1, *(lines[number] for lines in columns.values())] for number in chosen)]
        parts.append(f"### {direction}\n\n{markdown_table(rows)}")
    return "\n\n".join(parts)


def parse_evaluation(path):
    """The type of an option that is an evaluation.json, whose texts are there."""
    arguments.input_file(path)
    try:
        evaluation = json.loads(Path(path).read_text(encoding="utf-8"))
        named = [f"{evaluation['text']}.{lang}" for lang in evaluation["languages"]]
        named += [path for paths in evaluation["hypotheses"].values() for path in paths.values()]
        scores(evaluation)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise argparse.ArgumentTypeError(
            f"{path}: expected the evaluation.json of fairseq-dsl evaluate ({reason})"
        ) from None
    for text in named:
        if not os.path.isfile(text):
            raise argparse.ArgumentTypeError(f"{path}: the text {text}, which it names, is no longer there")
    return evaluation
