"""The plots of an evaluation: BLEU with its confidence intervals, and the duality gaps before and after training."""

import textwrap
from functools import partial

import numpy

from .plots import COLORS, LEAST_BLEU, panels, plt, save, save_all

MOST_BINS = 40
SHOWN = 99  # percent of the gaps that the histogram spreads out


def plot_bleu(evaluation, warm_start, path):
    """A bar for each system, from 0, with the 95% interval of its score; the warm start is a line."""
    figure, axes = panels(1, 2)
    for panel, (direction, metrics) in zip(axes[0], evaluation["directions"].items()):
        scores = metrics["BLEU"]["systems"]
        names = [name for name in scores if name != warm_start] or [warm_start]
        heights = [scores[name]["score"] for name in names]
        # around the bootstrap's mean, which need not be the score
        bounds = [
            (scores[name]["mean"] - scores[name]["ci"], scores[name]["mean"] + scores[name]["ci"]) for name in names
        ]
        errors = [(max(0, height - low), max(0, high - height)) for height, (low, high) in zip(heights, bounds)]
        colors = [COLORS[number % len(COLORS)] for number in range(len(names))]
        bars = panel.bar(range(len(names)), heights, color=colors, yerr=list(zip(*errors)), capsize=4)
        panel.bar_label(bars, labels=[f"{height:.1f}" for height in heights], label_type="center", color="white")
        panel.set_xticks(range(len(names)), [textwrap.fill(name, 12) for name in names])
        if warm_start in scores:
            bleu = scores[warm_start]["score"]
            panel.axhline(bleu, color="black", linestyle="--", linewidth=1, label=f"{warm_start}: {bleu:.1f}")
            panel.legend(loc="upper left")
        panel.set_ylim(0, max(LEAST_BLEU, 1.15 * panel.get_ylim()[1]))  # with room for the legend
        panel.set_ylabel(f"BLEU of {evaluation['subset']}, with 95% interval")
        panel.set_title(direction)
    save(figure, path)


def plot_gaps(evaluation, warm_start, path):
    """The histogram of the test pairs' duality gaps: the warm start's is filled, the others are lines."""
    gaps = {name: values for name, values in evaluation["gaps"].items() if values}
    # fewer bins of few pairs, lest they show chance alone
    bins = min(MOST_BINS, round(max(map(len, gaps.values())) ** 0.5) + 1)
    edge = numpy.percentile(numpy.abs(numpy.concatenate(list(gaps.values()))), SHOWN) or 1.0
    figure, axes = plt.subplots(figsize=(8, 4), constrained_layout=True)
    others = [name for name in gaps if name != warm_start]
    for name in [warm_start, *others] if warm_start in gaps else others:
        values = numpy.array(gaps[name])
        before = name == warm_start
        axes.hist(
            values.clip(-edge, edge),
            bins=numpy.linspace(-edge, edge, bins + 1),
            weights=numpy.full(len(values), 100 / len(values)),
            histtype="stepfilled" if before else "step",
            color="lightgrey" if before else COLORS[others.index(name) % len(COLORS)],
            linewidth=1.5,
            label=f"{name}: mean |gap| {numpy.abs(values).mean():.1f}",
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("log P(x) P(y|x) - log P(y) P(x|y) (nats); the outermost bars hold all beyond")
    axes.set_ylabel(f"share of the pairs of {evaluation['subset']} (%)")
    axes.legend()
    save(figure, path)


def draw_all(evaluation, warm_start, folder):
    """Draws what an evaluation holds, also one of an older version; returns [(title, name of the PNG file)].

    Args:
        warm_start: the name of the system that is drawn as what training started from; it may be missing.
    """
    drawn = [("BLEU of the test set", "test-bleu", partial(plot_bleu, evaluation, warm_start))]
    if any(evaluation.get("gaps", {}).values()):
        when = "before and after training" if evaluation["gaps"].get(warm_start) else "after training"
        drawn.append((f"Duality gaps of the test pairs, {when}", "gaps", partial(plot_gaps, evaluation, warm_start)))
    return save_all(drawn, folder)
