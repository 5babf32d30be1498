"""Which lines of a corpus are kept by a column of its scores."""

import os
from itertools import compress

import numpy as np

from fairseq_dsl.errors import BadInput
from fairseq_dsl.files import written_atomically

from .score_table import TEXTS


def check_of(table, texts):
    """Refuses texts that are not those of which a table has the scores.

    Returns whether it can tell: its file of inputs may be missing.
    """
    inputs = table.inputs() or {}
    for name, text in zip(TEXTS, texts):
        if inputs.get(name, text.digest) != text.digest:
            raise BadInput(f"{text.name}: expected the {name} that {table.path} was made from, found other content")
    return set(TEXTS) <= inputs.keys()


def column(table, value, lines):
    """A number for each line, ``(lines,)``, nan where it has none.

    Args:
        value: of the values of a line.
        lines: of the corpus, as many as the table must have.
    """
    values = np.full(lines, np.nan)
    count = 0
    for count, one in enumerate(table.values(), 1):
        if count <= lines:
            values[count - 1] = value(one)
    if count != lines:
        hint = "; start fairseq-dsl score again, which goes on where it was" if count < lines else ""
        raise BadInput(f"{table.path}: expected a line for each of {lines:,} pairs, found {count:,}{hint}")
    return values


def choose(values, less_is_better, keep=None, threshold=None):
    """Which lines are kept, ``(lines,)``, bool: by a share of all lines, of equal ones the first, or by a threshold.

    >>> choose(np.array([0.2, np.nan, 0.9, 0.2]), False, keep=0.5)
    array([ True, False,  True, False])
    >>> choose(np.array([0.2, np.nan, 0.9, 0.2]), True, threshold=0.2)
    array([ True, False, False,  True])
    """
    cost = values if less_is_better else -values
    if threshold is not None:
        return cost <= (threshold if less_is_better else -threshold)  # not so of nan
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.argsort(cost, kind="stable")[: round(keep * len(values))]] = True  # nan comes last
    return chosen & ~np.isnan(values)


def nothing(values, by, better, threshold):
    """The `BadInput` of a choice that keeps nothing."""
    known = values[~np.isnan(values)]
    if not len(known):
        return BadInput(f"--by {by}: none of the {len(values):,} lines has this score; expected another column")
    if threshold is None:
        return BadInput(f"--keep: keeps none of {len(values):,} lines; expected a larger share")
    return BadInput(
        f"--threshold {threshold:g}: keeps nothing: expected {by} of {better} that, found {known.min():.6g} to "
        f"{known.max():.6g}"
    )


def write(path, output, chosen):
    """Copies the chosen lines of a file as they are, byte by byte."""
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    with open(path, "rb") as lines, written_atomically(output) as file:
        for line in compress(lines, chosen):
            file.write(line if line.endswith(b"\n") else line + b"\n")
