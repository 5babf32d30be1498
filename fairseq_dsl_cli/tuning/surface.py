"""The score of a test set as a function of the weights A and B, and its best point."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Point(NamedTuple):
    """Weights of dual inference, and the test set's score."""

    reverse_weight: float
    lm_weight: float
    score: float


@dataclass(frozen=True)
class Surface:
    """Scores, ``(A, B)``, at ascending weights."""

    reverse_weights: list
    lm_weights: list
    scores: np.ndarray

    @classmethod
    def of(cls, score, reverse_weights, lm_weights):
        """The surface of a function of A and B."""
        return cls(reverse_weights, lm_weights, np.array([[score(a, b) for b in lm_weights] for a in reverse_weights]))

    @property
    def peak(self):
        """The point of the highest score, and of equal ones that with the smallest weights."""
        return self._at(self.scores)

    @property
    def plateau(self):
        """The point that with its neighbours has the highest mean score: a lone peak is chance.

        >>> scores = np.array([[1.0], [9.0], [1.0], [1.0], [7.0], [8.0], [7.0]])
        >>> Surface([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.0], scores).plateau
        Point(reverse_weight=0.5, lm_weight=0.0, score=8.0)
        """
        rows, columns = self.scores.shape
        padded = np.pad(self.scores, 1, mode="edge")
        neighbours = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
        return self._at(np.mean(neighbours, axis=0).round(9))  # equal means differ by rounding

    def _at(self, values):
        row, column = np.unravel_index(values.argmax(), values.shape)  # the first of equal ones
        return Point(self.reverse_weights[row], self.lm_weights[column], float(self.scores[row, column]))


@dataclass(frozen=True)
class Tuned:
    """What a search has found.

    Attributes:
        surface: of the weights that were tried first.
        forward: the point A = 0, the forward model's order.
        best: of a plateau; `forward` where that is no worse.
        peak: the highest point of all that were tried.
    """

    surface: Surface
    forward: Point
    best: Point
    peak: Point


def search(score, reverse_weights, lm_weights, refine=(True, True)):
    """Tries all weights of two axes, and then finer ones around the best.

    Args:
        score: a function of A and B.
        refine: whether to try weights between those of each axis.
    """
    surface = Surface.of(score, reverse_weights, lm_weights)
    axes = tuple(zip((reverse_weights, lm_weights), surface.plateau))
    around = Surface.of(score, *(finer(*axis) if wanted else axis[0] for axis, wanted in zip(axes, refine)))
    forward = Point(0.0, 0.0, score(0.0, 0.0))
    best = max(forward, around.plateau, key=lambda point: point.score)
    peak = max(forward, surface.peak, around.peak, key=lambda point: point.score)
    return Tuned(surface, forward, best, peak)


def finer(axis, weight, steps=5):
    """From the neighbour of a weight on an axis to the other one, with so many steps on either side.

    >>> finer([0.0, 0.1, 0.2, 0.5], 0.2, steps=2)
    [0.1, 0.15, 0.2, 0.35, 0.5]
    >>> finer([0.0, 0.1], 0.0, steps=2)
    [0.0, 0.05, 0.1]
    """
    place = axis.index(weight)
    ends = axis[max(place - 1, 0)], axis[min(place + 1, len(axis) - 1)]
    return sorted({round(float(value), 4) for end in ends for value in np.linspace(weight, end, steps + 1)})
