"""What several runs of an experiment gained, in tables."""

import argparse
import json
from pathlib import Path
from statistics import fmean

from .. import arguments
from .markdown import markdown_table


def parse_comparison(text):
    """The type of an option that is a comparison: NAME=FILE, what `fairseq-dsl compare --output` wrote."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    arguments.input_file(path)
    try:
        comparison = json.loads(Path(path).read_text(encoding="utf-8"))
        table(comparison)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise argparse.ArgumentTypeError(
            f"{path}: expected what fairseq-dsl compare --output writes ({type(error).__name__}: {error})"
        ) from None
    return name, comparison


def table(result):
    """The numbers as Markdown, a table for each direction."""
    parts = []
    for direction, metrics in result["directions"].items():
        header = [direction]
        for name in metrics:
            header += [name, f"against {result['baseline']}", "p", "each run"]
        rows = [[name, *cells_of(metrics, name)] for name in result["systems"]]
        parts += [markdown_table([header, *rows]), ""]
        parts += [f"{name}: `{metric['signature']}`" for name, metric in metrics.items()]
        parts.append("")
    return "\n".join(parts).rstrip()


def cells_of(metrics, name):
    cells = []
    for metric in metrics.values():
        numbers = metric["systems"][name]
        cells.append(f"{numbers['score']:.2f}")
        if numbers["p_value"] is None:
            cells += ["", "", ", ".join(f"{score:.1f}" for score in numbers["scores"])]
            continue
        low, high = numbers["interval"]
        cells += [f"{numbers['difference']:+.2f} [{low:+.2f}, {high:+.2f}]", f"{numbers['p_value']:.3f}"]
        cells.append(", ".join(f"{difference:+.1f}" for difference in numbers["differences"]))
    return cells


def section(comparison):
    """All tables of a comparison as Markdown: scores, and what else is known of the systems."""
    return "\n\n".join([table(comparison), *filter(None, [properties(comparison)])])


def properties(comparison):
    """A table of the duality gap on the test set, and of what training logged if the comparison has it; or None.

    An experiment's results have, beyond a comparison, ``logs``: for each system that is a pair, each run's
    ``{"seconds": s, "train": {key: [...]}, "valid": {key: [...]}}``, a value for each validation.
    """
    logs, baseline = comparison.get("logs", {}), comparison["baseline"]
    seconds = {name: fmean(run["seconds"] for run in runs) for name, runs in logs.items()}
    gaps = {name: fmean(run["duality_gap"] for run in runs) for name, runs in comparison["duality_gap"].items()}
    columns = {
        f"mean abs. gap, {comparison['subset']}": gaps,
        "validation": {name: last(runs, "valid", "duality_gap") for name, runs in logs.items()},
        "training": {name: last(runs, "train", "duality_gap") for name, runs in logs.items()},
        "un-learnt in training (%)": {name: last(runs, "train", "unlearnt", 100) for name, runs in logs.items()},
    }
    if baseline in seconds:
        columns[f"time ÷ {baseline}'s"] = {name: value / seconds[baseline] for name, value in seconds.items()}
    known = [title for title, values in columns.items() if any(value is not None for value in values.values())]
    rows = []
    for name in comparison["systems"]:
        values = [columns[title].get(name) for title in known]
        if any(value is not None for value in values):
            rows.append([name, *("" if value is None else f"{value:.2f}" for value in values)])
    return markdown_table([["", *known], *rows]) if rows else None


def last(runs, kind, key, scale=1):
    """The mean over runs of the last value that they logged; None if they did not."""
    found = [run[kind][key][-1] for run in runs if run[kind].get(key)]
    return scale * fmean(found) if found and None not in found else None
