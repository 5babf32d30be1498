"""Known noise, and how much of it is found."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

import filtering  # noqa: E402

PAIRS = [(f"x{i} a b c", f"y{i} d e f g h") for i in range(200)]


def test_a_share_of_the_lines_is_noise_of_each_kind():
    mixed, kinds = filtering.mix(PAIRS, ["un deux"])
    assert [kinds.count(kind) for kind in filtering.NOISE] == [15] * 4
    for (x, y), (old_x, old_y), kind in zip(mixed, PAIRS, kinds):
        assert x == old_x
        assert {
            "clean": y == old_y,
            "misaligned": y != old_y and y in dict(PAIRS).values(),
            "copied": y == x,
            "other language": y == "un deux",
            "truncated": y == " ".join(old_y.split()[:3]),
        }[kind]


def test_precision_and_recall_are_those_of_as_many_lines_as_are_noise():
    cost = np.array([5.0, 1.0, 4.0, 3.0, 2.0])
    found = filtering.found(cost, ["copied", "copied", "clean", "truncated", "clean"])
    overall, misaligned, copied, other, truncated = found
    assert (round(overall), copied, truncated) == (67, 50.0, 100.0)
    assert np.isnan([misaligned, other]).all()


def test_a_ratio_of_lengths_is_held_against_the_usual_one():
    cost = filtering.length_ratio([("aaa", "bbbbbbb"), ("a" * 9, "b" * 19), ("aaa", "b")])
    assert cost[:2].max() < 1e-9 and cost[2] > 1
