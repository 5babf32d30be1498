"""The text of experiments: few pairs, and monolingual text of which nothing tells what belongs together."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts/experiments"))

import text  # noqa: E402

TRAIN = [(f"x{i}", f"y{i}") for i in range(40)]
TEST = [("x7", "new"), ("new", "y30"), ("p", "q"), ("r", "s"), ("t", "u")]


def test_pairs_come_first_and_the_rest_is_monolingual():
    splits, mono = text.split(TRAIN, [("v", "w")], TEST, pairs=10, test_size=9, more=[["more", "x3"], ["x3"]])
    assert splits["train"] == TRAIN[:10] and splits["valid"] == [("v", "w")]
    assert sorted(mono[0]) == sorted([*(x for x, _ in TRAIN[10:]), "more"])  # x3 is a sentence of the pairs
    assert sorted(mono[1]) == sorted([*(y for _, y in TRAIN[10:]), "x3"])


def test_monolingual_sentences_are_not_aligned():
    _, mono = text.split(TRAIN, [], TEST, pairs=10, test_size=9, more=[[], []])
    assert sum(x[1:] == y[1:] for x, y in zip(*mono)) < 10


def test_no_side_of_the_test_set_is_known_from_training():
    splits, _ = text.split(TRAIN, [], TEST, pairs=10, test_size=2, more=[[], []])
    assert splits["test"] == [("p", "q"), ("r", "s")]


def test_a_pair_counts_once(tmp_path):
    (tmp_path / "a.x").write_text("one\n\none\ntwo\none\n")
    (tmp_path / "a.y").write_text("eins\nnichts\neins\nzwei\nein\n")
    assert text.pairs_of(tmp_path / "a", ["x", "y"]) == [("one", "eins"), ("two", "zwei"), ("one", "ein")]
