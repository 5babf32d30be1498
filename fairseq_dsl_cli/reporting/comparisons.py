"""What several runs of an experiment gained, in tables and plots."""

import argparse
import json
from functools import partial
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


def plot_gains(comparison, path):
    """The difference of each system's BLEU from the control's: the mean of the runs with its interval, and each run."""
    from .plots import COLORS, PLOT_WIDTH, plt, save

    names = [name for name in comparison["systems"] if name != comparison["baseline"]]
    size = (2 * PLOT_WIDTH, 1 + 0.35 * len(names))
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, squeeze=False, constrained_layout=True)
    rows = range(len(names))
    for panel, (direction, metrics) in zip(axes[0], comparison["directions"].items()):
        systems = [metrics["BLEU"]["systems"][name] for name in names]
        means = [numbers["difference"] for numbers in systems]
        bounds = [[abs(numbers["interval"][end] - mean) for numbers, mean in zip(systems, means)] for end in (0, 1)]
        panel.errorbar(means, rows, xerr=bounds, fmt="o", color=COLORS[0], capsize=3, label="mean, 95% interval")
        points = [(gain, row) for row, numbers in zip(rows, systems) for gain in numbers["differences"]]
        panel.plot(*zip(*points), "|", color=COLORS[1], markersize=9, label="each run")
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_xlabel(f"BLEU against {comparison['baseline']}")
        panel.set_title(direction)
        panel.grid(alpha=0.3)
    axes[0][0].set_yticks(rows, names)
    axes[0][0].invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    save(figure, path)


def draw_all(comparisons, folder):
    """Draws [(name, comparison)]; returns [(title, name of the PNG file)]."""
    from .plots import save_all

    drawn = [
        (f"What is gained: {name}", f"gains-{number}", partial(plot_gains, comparison))
        for number, (name, comparison) in enumerate(comparisons, 1)
    ]
    alike = {}
    for name, comparison in comparisons:
        alike.setdefault(tuple(comparison["languages"]), []).append((name, comparison))
    for languages, group in alike.items():
        if shared_systems(group):
            names = ", ".join(name for name, _ in group)
            drawn.append(
                (f"The gains side by side: {names}", f"curve-{'-'.join(languages)}", partial(plot_curve, group))
            )
    return save_all(drawn, folder)


def shared_systems(comparisons):
    """The systems, without the controls, that two comparisons or more have."""
    names = [name for _, comparison in comparisons for name in comparison["systems"] if name != comparison["baseline"]]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def plot_curve(comparisons, path):
    """What each system gains in BLEU, from one comparison to the next, such as with more pairs of training."""
    from .plots import COLORS, panels, save

    figure, axes = panels(1, 2)
    directions = list(comparisons[0][1]["directions"])
    for panel, direction in zip(axes[0], directions):
        for number, system in enumerate(shared_systems(comparisons)):
            found = [
                (place, comparison["directions"][direction]["BLEU"]["systems"][system])
                for place, (_, comparison) in enumerate(comparisons)
                if system in comparison["systems"]
            ]
            places = [place + 0.03 * number for place, _ in found]  # beside each other
            gains = [numbers["difference"] for _, numbers in found]
            bounds = [[abs(numbers["interval"][end] - numbers["difference"]) for _, numbers in found] for end in (0, 1)]
            color = COLORS[number % len(COLORS)]
            panel.errorbar(places, gains, yerr=bounds, marker="o", capsize=3, color=color, label=system)
        panel.axhline(0, color="black", linewidth=0.8)
        panel.set_xticks(range(len(comparisons)), [name for name, _ in comparisons])
        panel.set_ylabel(f"BLEU against {comparisons[0][1]['baseline']}")
        panel.set_title(direction)
        panel.grid(alpha=0.3)
    axes[0][0].legend()
    save(figure, path)
