"""The plots of what several runs of an experiment gained."""

from functools import partial

from .plots import COLORS, PLOT_WIDTH, panels, plt, save, save_all


def plot_gains(comparison, path):
    """The difference of each system's BLEU from the control's: the mean of the runs with its interval, and each run."""
    names = [name for name in comparison["systems"] if name != comparison["baseline"]]
    size = (2 * PLOT_WIDTH, 1 + 0.35 * len(names))
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, squeeze=False, constrained_layout=True)
    rows = range(len(names))
    for panel, (direction, metrics) in zip(axes[0], comparison["directions"].items()):
        systems = [metrics["BLEU"]["systems"][name] for name in names]
        means = [numbers["difference"] for numbers in systems]
        panel.errorbar(
            means, rows, xerr=errors(systems), fmt="o", color=COLORS[0], capsize=3, label="mean, 95% interval"
        )
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


def errors(systems):
    """How far the intervals of differences reach below and above them, as matplotlib takes it."""
    return [[abs(numbers["interval"][end] - numbers["difference"]) for numbers in systems] for end in (0, 1)]


def draw_all(comparisons, folder):
    """Draws [(name, comparison)]; returns [(title, name of the PNG file)]."""
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
            systems = [numbers for _, numbers in found]
            gains = [numbers["difference"] for numbers in systems]
            color = COLORS[number % len(COLORS)]
            panel.errorbar(places, gains, yerr=errors(systems), marker="o", capsize=3, color=color, label=system)
        panel.axhline(0, color="black", linewidth=0.8)
        panel.set_xticks(range(len(comparisons)), [name for name, _ in comparisons])
        panel.margins(x=0.15)
        panel.set_ylabel(f"BLEU against {comparisons[0][1]['baseline']}")
        panel.set_title(direction)
        panel.grid(alpha=0.3)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(figure, path)
