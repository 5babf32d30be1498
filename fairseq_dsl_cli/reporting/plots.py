"""The plots of a report."""

from functools import partial

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter  # noqa: E402

from .. import trainlog  # noqa: E402
from .runs import perplexity  # noqa: E402

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
LEAST_BLEU = 5  # BLEU that a plot's axis shows at least
MOST_MARKERS = 30  # points of a line that are marked; more would be a blur


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


def plot_bleu(runs, path, warm_starts=()):
    """Validation's BLEU; `warm_starts`: runs of one translation model, whose BLEU is a line if they logged it."""
    figure, axes = panels(1, 2)
    for panel, direction in zip(axes[0], runs[0].directions):
        draw(panel, runs, "validation BLEU", statistic("validation", f"bleu_{direction}"))
        bleu = next(filter(None, (bleu_of_best(run) for run in warm_starts if run.direction == direction)), None)
        if bleu is not None:
            panel.axhline(bleu, color="grey", linestyle="--", label="warm start")
            panel.legend()
        widen(panel, LEAST_BLEU)
        panel.set_title(direction)
    save(figure, path)


def bleu_of_best(run):
    """Validation's BLEU of a run at its lowest loss, from where a pair starts; None if it did not log it."""
    known = [statistics for statistics in run.validation.values() if {"loss", "bleu"} <= set(statistics)]
    return min(known, key=lambda statistics: statistics["loss"])["bleu"] if known else None


def widen(axes, least):
    """Makes the y axis at least so long, but not below 0: small differences must not fill the page."""
    low, high = axes.get_ylim()
    if high - low < least:
        low = max(0.0, (low + high - least) / 2)
        axes.set_ylim(low, max(high, low + least))


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
    from fairseq_dsl.files import written_atomically

    with written_atomically(str(path)) as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)


def draw_all(runs, folder):
    """Draws what the runs logged; returns [(title, name of the PNG file)]."""
    pairs, others = [run for run in runs if run.directions], [run for run in runs if not run.directions]
    drawn = []
    if pairs:
        drawn = [("Losses and perplexities of both directions", "learning", partial(plot_learning, pairs))]
        logged = {key for run in pairs for statistics in run.validation.values() for key in statistics}
        if "duality_gap" in logged:
            drawn.append(("Duality gap", "duality", partial(plot_duality, pairs)))
        if "bleu" in logged:
            drawn.append(("BLEU of the validation set", "bleu", partial(plot_bleu, pairs, warm_starts=others)))
        if method_statistics(pairs):
            title = "What the methods log of their samples (training)"
            drawn.append((title, "methods", partial(plot_methods, pairs)))
    if others:
        drawn.append(("Language models and warm starts", "models", partial(plot_models, others)))
    return save_all(drawn, folder)


def save_all(drawn, folder):
    """Draws [(title, name, function of a path)]; returns [(title, name of the PNG file)]."""
    for _, name, plot in drawn:
        plot(path=folder / f"{name}.png")
    return [(title, f"{name}.png") for title, name, _ in drawn]
