"""What tuning has found, as text."""

from tabulate import tabulate

from ..evaluation import scores


def table(surface):
    """A surface as rows of A and columns of B; the highest score has a star."""
    highest = surface.scores.max()
    rows = [["", *(f"{weight:g} " for weight in surface.lm_weights)]]
    for weight, values in zip(surface.reverse_weights, surface.scores):
        rows.append([f"{weight:g}", *(f"{value:.2f}{'*' if value == highest else ' '}" for value in values)])
    text = tabulate(rows, tablefmt="plain", stralign="right", disable_numparse=True)
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))


def summary(tuned, name, numbers, lists):
    """The flags to use, what they gain, and how far to trust that.

    Args:
        name: of the score.
        numbers: of `significance.compare`, for the systems ``forward`` and ``best``.
    """
    best, peak = tuned.best, tuned.peak
    lines = [f"best: {flags(best, lists.has_lm)}"]
    if best == tuned.forward:
        lines.append(f"  {name} {best.score:.2f} in the forward model's order, on which no plateau of weights improves")
    else:
        gain = scores.against(numbers["best"], numbers["forward"])
        lines.append(f"  {name} {best.score:.2f}, {tuned.forward.score:.2f} in the forward model's order: {gain}")
    if peak.score > best.score:
        lines.append(
            f"  chosen on a plateau; the highest single score is {peak.score:.2f}, with {flags(peak, lists.has_lm)}"
        )
    lines.append("  tuned on these very sentences: tune on validation data, and report on test data")
    if lists.unscored:
        lines.append(
            f"  sentences left in the forward model's order, as too long for the reverse or the language model: "
            f"{lists.unscored} of {len(lists.texts)}"
        )
    return "\n".join(lines)


def flags(point, has_lm):
    """
    >>> from fairseq_dsl_cli.tuning.surface import Point
    >>> flags(Point(0.5, 0.1, 30.0), has_lm=True)
    '--reverse-weight 0.5 --lm-weight 0.1'
    """
    return f"--reverse-weight {point.reverse_weight:g}" + (f" --lm-weight {point.lm_weight:g}" if has_lm else "")
