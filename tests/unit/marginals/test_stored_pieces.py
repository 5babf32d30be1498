"""Scores in pieces: those of a run that was killed come back, and nothing else ever does."""

import logging
import os

import numpy as np
import pytest

from fairseq_dsl.marginals import ScoreCache
from fairseq_dsl.marginals import cache as cache_of
from fairseq_dsl.marginals import pieces as pieces_of

KEY, SIZE = "a" * 64, 6


@pytest.fixture
def cache(tmp_path):
    return ScoreCache(str(tmp_path / "cache"))


def stored(cache, indices, scores, key=KEY):
    """Store a piece, as a run does that is killed then."""
    pieces = ScoreCache(cache.folder).pieces(key, SIZE)
    pieces.add(np.array(indices), np.array(scores, dtype=np.float64))
    pieces.store()


def found(cache):
    return cache.pieces(KEY, SIZE).read()


def test_the_pieces_of_all_runs_and_workers_come_back(cache):
    assert found(cache) is None
    stored(cache, [4, 0], [-4.5, -np.pi])
    stored(cache, [2], [-2.25])
    stored(cache, [1], [-9], key="b" * 64)
    np.testing.assert_array_equal(found(cache), [-np.pi, np.nan, -2.25, np.nan, -4.5, np.nan])


def test_a_piece_is_stored_whenever_half_a_minute_has_passed(cache, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pieces_of.time, "monotonic", lambda: now[0])
    pieces = cache.pieces(KEY, SIZE)
    for indices, seconds, files in (([0], 29, 0), ([1, 2], 1, 1), ([3], 29, 1), ([4], 1, 2), ([5], 1, 2)):
        now[0] += seconds
        pieces.add(np.array(indices), -1.0 - np.array(indices))
        assert (len(os.listdir(cache.folder)) if os.path.exists(cache.folder) else 0) == files
    np.testing.assert_array_equal(found(cache), [-1, -2, -3, -4, -5, np.nan])


def test_nothing_is_stored_twice(cache):
    pieces = cache.pieces(KEY, SIZE)
    pieces.add(np.array([1]), np.array([-1.0]))
    pieces.store()
    pieces.store()
    assert len(os.listdir(cache.folder)) == 1


INDICES, SCORES = np.array([1, 2]), np.array([-1.0, -2.0])
FOREIGN = {
    "of another key": dict(key=np.array("a" * 32 + "b" * 32), indices=INDICES, scores=SCORES),
    "without a key": dict(indices=INDICES, scores=SCORES),
    "without indices": dict(key=np.array(KEY), scores=SCORES),
    "of two lengths": dict(key=np.array(KEY), indices=INDICES, scores=SCORES[:1]),
    "of no sentence": dict(key=np.array(KEY), indices=INDICES[:0], scores=SCORES[:0]),
    "of more sentences": dict(key=np.array(KEY), indices=np.arange(7), scores=-np.ones(7)),
    "beyond the last": dict(key=np.array(KEY), indices=np.array([1, 6]), scores=SCORES),
    "before the first": dict(key=np.array(KEY), indices=np.array([1, -1]), scores=SCORES),
    "of infinite scores": dict(key=np.array(KEY), indices=INDICES, scores=np.array([-1, -np.inf])),
    "of another type": dict(key=np.array(KEY), indices=INDICES.astype(float), scores=SCORES),
    "a pickle": dict(key=np.array(KEY), indices=INDICES, scores=np.array([None, 1], dtype=object)),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_piece_is_not_used_and_the_others_are(cache, content, caplog):
    stored(cache, [3], [-3])
    path = cache.files.path(f"{KEY[:32]}.{'0' * 32}.npz")
    np.savez(path, **content)
    np.testing.assert_array_equal(found(cache), [np.nan, np.nan, np.nan, -3, np.nan, np.nan])
    assert f"marginal cache: {path} " in caplog.text and "scored again" in caplog.text


def test_a_piece_cut_anywhere_is_not_used(cache, caplog):
    stored(cache, [3, 4], [-3, -4])
    [name] = os.listdir(cache.folder)
    with open(cache.files.path(name), "rb") as file:
        whole = file.read()
    for length in range(0, len(whole), 11):
        with open(cache.files.path(name), "wb") as file:
            file.write(whole[:length])
        caplog.clear()
        assert found(cache) is None, length
        assert f"marginal cache: {cache.files.path(name)} cannot be read" in caplog.text


def test_the_whole_takes_the_place_of_its_pieces_alone(cache):
    stored(cache, [3], [-3])
    stored(cache, [3], [-3], key="b" * 64)
    cache.write(KEY, -np.ones(SIZE))
    names = sorted(name[:1] + name[32:][:1] + name[-4:] for name in os.listdir(cache.folder))
    assert names == ["a..npz", "b..npz"] and os.path.exists(cache._path(KEY))
    assert found(cache) is None


def test_where_nothing_can_be_stored_one_warning_says_so(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = ScoreCache(str(tmp_path / "file" / "cache"))  # where nobody can write, not even root
    pieces = cache.pieces(KEY, SIZE)
    for i in range(3):
        pieces.add(np.array([i]), np.array([-1.0]))
        pieces.store()
    cache.write(KEY, -np.ones(SIZE))
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"--marginal-cache {cache.folder}: cannot be written" in record.getMessage()


@pytest.mark.parametrize("limit", [{"MAX_FILES": 2}, {"MAX_BYTES": 3000}])
def test_abandoned_pieces_count_as_one_file_and_are_removed_as_wholes_are(cache, monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(cache_of, name, value)
    keys = {letter: letter * 64 for letter in "bcd"}
    for age, (letter, key) in enumerate(keys.items()):
        for i in range(2):
            stored(cache, [i], [-1], key=key)
        for name in os.listdir(cache.folder):
            if name.startswith(letter):
                os.utime(cache.files.path(name), (1000 + age, 1000 + age))
    cache.write(KEY, -np.ones(SIZE))
    assert sorted(name[0] for name in os.listdir(cache.folder)) == ["a", "d", "d"]


def test_pieces_beside_their_whole_are_removed_and_those_of_this_run_are_not(cache, monkeypatch):
    ScoreCache(cache.folder).write("b" * 64, -np.ones(SIZE))
    stored(cache, [1], [-1], key="b" * 64)  # by a run that went on after another one was done
    stored(cache, [1], [-1], key="c" * 64)
    monkeypatch.setattr(cache_of, "MAX_FILES", 0)
    cache.pieces("b" * 64, SIZE)
    cache.pieces("c" * 64, SIZE)
    cache.write(KEY, -np.ones(SIZE))
    assert sorted(name[0] for name in os.listdir(cache.folder)) == ["a", "b", "b", "c"]
    monkeypatch.setattr(cache_of, "MAX_FILES", 5)
    ScoreCache(cache.folder).write(KEY, -np.ones(SIZE))
    assert sorted(name[0] for name in os.listdir(cache.folder)) == ["a", "b", "c"]
