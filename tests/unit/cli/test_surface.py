"""Which weights a search finds."""

import numpy as np
import pytest

from fairseq_dsl_cli.tuning.surface import Point, Surface, search

A = [step / 10 for step in range(11)]
B = [0.0, 0.1, 1.0, 3.0]


def hill(a, b):
    """Highest at A = 0.44, B = 0.8."""
    return 30 - 50 * (a - 0.44) ** 2 - (b - 0.8) ** 2


def test_finds_the_top_of_a_hill_between_the_first_weights():
    tuned = search(hill, A, B)
    assert tuned.best.reverse_weight == pytest.approx(0.44, abs=0.021)
    assert tuned.best.lm_weight == pytest.approx(0.8, abs=0.21)
    assert tuned.best.score == hill(*tuned.best[:2]) > tuned.surface.scores.max()


def test_tries_the_given_weights_alone_where_it_is_not_to_refine():
    tuned = search(hill, [0.2, 0.4], B, refine=(False, True))
    assert tuned.best.reverse_weight == 0.4 and tuned.best.lm_weight not in B
    tuned = search(hill, A, [3.0], refine=(True, False))
    assert tuned.best.lm_weight == 3.0 and tuned.best.reverse_weight not in A


def test_of_equal_scores_the_smallest_weights():
    tuned = search(lambda a, b: 30.0, A, B)
    assert tuned.best == tuned.peak == tuned.forward == Point(0.0, 0.0, 30.0)
    assert Surface([0.2, 0.5], [1.0, 2.0], np.full((2, 2), 7.0)).peak == Point(0.2, 1.0, 7.0)


def test_the_forward_order_where_nothing_is_better():
    tuned = search(lambda a, b: 30 - a - b, A, B)
    assert tuned.best == Point(0.0, 0.0, 30.0)
    tuned = search(lambda a, b: 30 - a, [0.5], [0.0], refine=(False, False))  # though A = 0 is not among the weights
    assert tuned.best == Point(0.0, 0.0, 30.0)


def test_a_plateau_is_preferred_to_a_lone_peak_which_is_told():
    def score(a, b):
        return 31 if a == 0.1 else 30 if 0.5 <= a <= 0.9 else 25

    tuned = search(score, A, [0.0])
    assert tuned.best.score == 30 and 0.5 <= tuned.best.reverse_weight <= 0.9
    assert tuned.peak == Point(0.1, 0.0, 31.0)
