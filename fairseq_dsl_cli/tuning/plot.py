"""The plot of a surface."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

BEST = "#ee7733"


def draw(tuned, name, title, path):
    """Draws the score over A, a line for each B, as a PNG file.

    Args:
        tuned: what a search has found.
        name: of the score.
    """
    from fairseq_dsl.files import written_atomically

    figure, axes = plt.subplots(figsize=(8, 5), constrained_layout=True)
    surface, best = tuned.surface, tuned.best
    colors = plt.get_cmap("viridis").resampled(len(surface.lm_weights)).colors
    for lm_weight, scores, color in zip(surface.lm_weights, surface.scores.T, colors):
        axes.plot(surface.reverse_weights, scores, color=color, marker="o", markersize=3, label=f"B = {lm_weight:g}")
    label = f"best: A = {best.reverse_weight:g}, B = {best.lm_weight:g}"
    axes.plot(
        best.reverse_weight, best.score, color=BEST, marker="*", markersize=16, linestyle="", zorder=3, label=label
    )
    axes.axhline(tuned.forward.score, color="grey", linestyle=":", label="A = 0")
    axes.set_xlabel("weight A of the reverse direction")
    axes.set_ylabel(name)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    with written_atomically(str(path)) as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)
