#!/usr/bin/env python3
"""Writes a report of an experiment: Markdown with plots, from the training logs and the evaluation.

    scripts/report.py --output report.md --evaluation evaluation/evaluation.json \\
        --run control=runs/control --run dsl=runs/dsl --run "LM de=runs/lm.de" --run "de-en=runs/de-en"

A run is a folder with a train.log (fairseq's `--log-format json --log-file`). Runs of a pair of models are drawn by
direction, with their duality gap, their BLEU and what their method logs of its samples; all others (language models,
warm starts) by their perplexity.
"""

import argparse
import json
import os
from pathlib import Path

import matplotlib
import numpy

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter  # noqa: E402

import commandline  # noqa: E402
import evaluate  # noqa: E402
import trainlog  # noqa: E402
from files import written_atomically  # noqa: E402

COLORS = ["#4477aa", "#ee7733", "#228833", "#aa3377", "#66ccee", "#ccbb44"]  # told apart by colour-blind readers too
PLOT_WIDTH = 5.0  # inches a panel
# What a method logs of each direction while training -> its name here.
METHOD_STATISTICS = {
    "risk": "risk of the samples",
    "reward": "reward of the round trips",
    "marginal_loss": "(log marginal - its estimate)² (nats²)",
    "effective_samples": "effective samples",
    "bound_gap": "log marginal - its bound (nats)",
}
MOST_MARKERS = 30  # points of a line that are marked; more would be a blur
_SAMPLES = 8


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
        return [key.removeprefix("ppl_") for key in keys if key.startswith("ppl_")]


def draw(axes, runs, label, values_of):
    """Draws `values_of(run)`, a series or None, of several runs over their updates."""
    for number, run in enumerate(runs):
        drawn = values_of(run)
        if drawn is None or not drawn[0]:
            continue
        marker = "o" if len(drawn[0]) <= MOST_MARKERS else None
        # The first line is broad: one that lies upon it leaves it to be seen.
        width, opacity = (4, 0.5) if number == 0 else (1.5, 1)
        color = COLORS[number % len(COLORS)]
        axes.plot(*drawn, color=color, linewidth=width, alpha=opacity, marker=marker, markersize=4, label=run.name)
    axes.set_xlabel("updates")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def statistic(records, key, scale=1.0):
    """How to read one statistic of a run, for `draw`. `records` names the log: "training" or "validation"."""

    def values_of(run):
        updates, values = trainlog.series(getattr(run, records), key)
        return updates, [scale * value for value in values]

    return values_of


def perplexity(records, direction=None):
    """The perplexity of a run, for `draw`: from the loss, since fairseq rounds the perplexity itself."""

    def values_of(run):
        # A language model logs its loss alone, which is of the likelihood.
        for key in (f"nll_loss_{direction}",) if direction else ("nll_loss", "loss"):
            updates, bits = trainlog.series(getattr(run, records), key)
            if updates:
                return updates, numpy.exp2(bits).tolist()  # infinite, of a run that diverged, where 2.0 ** value fails
        return None

    return values_of


def panels(rows, columns):
    size = (PLOT_WIDTH * columns, 0.7 * PLOT_WIDTH * rows)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)


def plot_learning(runs, path):
    """A column for each direction: the training loss and the validation perplexity."""
    figure, axes = panels(2, 2)
    for column, direction in enumerate(runs[0].directions):
        loss = statistic("training", f"nll_loss_{direction}")
        draw(axes[0][column], runs, "training loss (bits per token)", loss)
        draw(axes[1][column], runs, "validation perplexity (per token)", perplexity("validation", direction))
        axes[0][column].set_title(direction)
    save(figure, path)


def plot_duality(runs, path):
    """The gap between the two factorizations of each validation pair's probability."""
    figure, axes = panels(1, 3)
    for panel, title, key, label, scale in zip(
        axes[0],
        ("size of the duality gap", "sign of the duality gap", "cost of the duality term"),
        ("duality_gap", "duality_gap_signed", "unlearnt"),
        ("mean |gap| (nats per pair)", "mean gap (nats per pair)", "pairs un-learnt by one direction (%)"),
        (1, 1, 100),
    ):
        draw(panel, runs, label, statistic("validation", key, scale))
        panel.set_title(f"{title} (validation)")
    axes[0][2].set_ylim(bottom=0, top=max(1, axes[0][2].get_ylim()[1]))
    save(figure, path)


def plot_bleu(runs, path):
    figure, axes = panels(1, 2)
    for column, direction in enumerate(runs[0].directions):
        draw(axes[0][column], runs, "validation BLEU", statistic("validation", f"bleu_{direction}"))
        axes[0][column].set_title(direction)
    save(figure, path)


def method_statistics(runs):
    """The statistics of methods that any of the runs logged."""
    logged = {key for run in runs for statistics in run.training.values() for key in statistics}
    return [key for key in METHOD_STATISTICS if f"{key}_{runs[0].directions[0]}" in logged]


def plot_methods(runs, path):
    """A row for each statistic of a method, a column for each direction."""
    keys = method_statistics(runs)
    figure, axes = panels(len(keys), 2)
    for row, key in zip(axes, keys):
        for panel, direction in zip(row, runs[0].directions):
            draw(panel, runs, METHOD_STATISTICS[key], statistic("training", f"{key}_{direction}"))
            panel.set_title(direction)
    save(figure, path)


def plot_models(runs, path):
    """The perplexity of language models and warm starts."""
    figure, axes = panels(1, 2)
    for panel, records in zip(axes[0], ("training", "validation")):
        draw(panel, runs, f"{records} perplexity (per token)", perplexity(records))
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(ScalarFormatter())
        panel.yaxis.set_minor_formatter(NullFormatter())
    save(figure, path)


def save(figure, path):
    with written_atomically(str(path)) as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)


def markdown_table(rows):
    r"""
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
        rows = [header]
        for name in evaluation["systems"]:
            row = [name]
            for metric in metrics.values():
                score = metric["systems"][name]
                row += [f"{score['score']:.2f}", f"{score['mean']:.2f} ± {score['ci']:.2f}"]
                row.append(evaluate.against(score, metric["systems"][baseline]))
            rows.append(row)
        signatures = "; ".join(f"{name}: `{metric['signature']}`" for name, metric in metrics.items())
        parts.append(f"{markdown_table(rows)}\n\n{signatures}")
    labels = evaluate.GAP_STATISTICS
    gaps = [[name, *(f"{gap[key]:.2f}" for key in labels)] for name, gap in evaluation["duality_gap"].items() if gap]
    if gaps:
        header = [f"duality gap on {evaluation['subset']}, nats per pair", *labels.values()]
        parts.append(markdown_table([header, *gaps]))
    return "\n\n".join(parts)


def samples(evaluation, count):
    """A few translations side by side: sentences at even distances, so that nobody has chosen them."""
    parts = []
    primal = evaluation["languages"]
    for source, target in (primal, reversed(primal)):
        direction = f"{source}-{target}"
        columns = {
            source: evaluate.read_lines(f"{evaluation['text']}.{source}"),
            f"{target} (reference)": evaluate.read_lines(f"{evaluation['text']}.{target}"),
        }
        for name, paths in evaluation["hypotheses"].items():
            columns[name] = evaluate.read_lines(paths[direction])
        chosen = range(0, evaluation["sentences"], max(1, evaluation["sentences"] // count))[:count]
        rows = [["", *columns], *([number + 1, *(lines[number] for lines in columns.values())] for number in chosen)]
        parts.append(f"### {direction}\n\n{markdown_table(rows)}")
    return "\n\n".join(parts)


def best(runs):
    """The lowest validation perplexities of each run."""
    rows = [["run", "updates", "lowest validation perplexity"]]
    for run in runs:
        curves = [(f"{direction} ", perplexity("validation", direction)(run)) for direction in run.directions]
        curves = curves or [("", perplexity("validation")(run))]
        lowest = ", ".join(f"{name}{min(curve[1]):.2f}" for name, curve in curves if curve)
        rows.append([run.name, max([*run.training, *run.validation], default=0), lowest])
    return markdown_table(rows)


def write(args, runs, evaluation):
    """Writes the plots, and then the report that shows them."""
    output = Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    pairs, others = [run for run in runs if run.directions], [run for run in runs if not run.directions]
    plots = []
    if pairs:
        plots = [("learning", plot_learning, pairs)]
        logged = {key for run in pairs for statistics in run.validation.values() for key in statistics}
        for name, plot, key in (("duality", plot_duality, "duality_gap"), ("bleu", plot_bleu, "bleu")):
            if key in logged:
                plots.append((name, plot, pairs))
        if method_statistics(pairs):
            plots.append(("methods", plot_methods, pairs))
    if others:
        plots.append(("models", plot_models, others))
    titles = {
        "learning": "Losses and perplexities of both directions",
        "duality": "Duality gap",
        "bleu": "BLEU",
        "methods": "What the methods log of their samples (training)",
        "models": "Language models and warm starts",
    }

    lines = [f"# {args.title}", ""]
    if evaluation:
        lines += [
            f"Test set: {evaluation['sentences']} sentences of `{evaluation['text']}`, beam search. In brackets stands "
            "the 95% interval of the difference; p is that of a two-sided paired bootstrap test. (Without brackets, p "
            "is that of an older evaluation, which is too small for systems that are nearly as good.)",
            "",
            scores(evaluation),
            "",
        ]
    if args.note:
        lines += [args.note, ""]
    for name, plot, drawn in plots:
        plot(drawn, output.parent / f"{name}.png")
        lines += [f"## {titles[name]}", "", f"![{titles[name]}]({name}.png)", ""]
    lines += [best(runs), ""]
    if evaluation:
        lines += ["## Translations", "", samples(evaluation, args.samples), ""]
    commands = [run.command for run in runs if run.command] + (evaluation["commands"] if evaluation else [])
    lines += ["## Commands", "", "```", *commands, "```", ""]
    evaluate.write(output, "\n".join(lines))


def parse_run(text):
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    if not (Path(folder) / "train.log").is_file():
        raise argparse.ArgumentTypeError(
            f"{folder}: no train.log there; give `--log-format json --log-file {folder}/train.log` to fairseq-train"
        )
    return Run(name, folder)


def parse_evaluation(path):
    commandline.input_file(path)
    try:
        evaluation = json.loads(Path(path).read_text(encoding="utf-8"))
        texts = [f"{evaluation['text']}.{lang}" for lang in evaluation["languages"]]
        texts += [text for texts in evaluation["hypotheses"].values() for text in texts.values()]
        scores(evaluation)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise argparse.ArgumentTypeError(f"{path}: expected the evaluation.json of evaluate.py ({reason})")
    for text in texts:
        if not os.path.isfile(text):
            raise argparse.ArgumentTypeError(f"{path}: the text {text}, which it names, is no longer there")
    return evaluation


def make_parser():
    parser = commandline.Parser(__doc__)
    add = parser.add_argument
    add(
        "--run",
        action="append",
        required=True,
        type=parse_run,
        metavar="NAME=DIR",
        help="a training run; may be repeated",
    )
    add(
        "--evaluation",
        type=parse_evaluation,
        metavar="FILE",
        help="evaluation.json of evaluate.py (default: no table and no translations)",
    )
    add(
        "--output",
        type=commandline.output_file,
        default="report.md",
        metavar="FILE",
        help="the report; its plots are written beside it (default: %(default)s)",
    )
    add("--title", default="Dual supervised learning", help="heading of the report (default: %(default)s)")
    add("--note", help="a paragraph under the table (default: none)")
    add(
        "--samples",
        type=commandline.positive,
        default=_SAMPLES,
        help="translations to show of each direction (default: %(default)s)",
    )
    return parser


def main():
    args = make_parser().parse_args()
    write(args, args.run, args.evaluation)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    commandline.run(main)
