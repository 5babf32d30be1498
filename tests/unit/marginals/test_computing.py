"""Scores that are computed in batches, interrupted, and gone on with."""

import os

import numpy as np
import pytest
import torch

from fairseq_dsl.marginals import Computing, ScoreCache, ScoringLog, computing
from fairseq_dsl.marginals import pieces as pieces_of

CPU = torch.device("cpu")


class Killed(BaseException):
    pass


class Scoring:
    """Scores the German side of the corpus; counts how often it scored each sentence.

    Args:
        killed_at: the number of the batch at which it ends.
    """

    def __init__(self, corpus, max_tokens=None, killed_at=None):
        self.corpus = corpus
        self.max_tokens = max_tokens
        self.killed_at = killed_at
        self.batches = []

    def score_batches(self, marginal, sentences, batches):
        for number, batch in enumerate(batches):
            if number == self.killed_at:
                raise Killed
            self.batches.append(list(batch))
            yield from computing.in_this_process(marginal, sentences, [batch])

    def run(self):
        side, lines = self.corpus.side("de"), []
        pieces = ScoreCache(str(self.corpus.folder / "cache")).pieces("a" * 64, len(side.sizes))
        compute = Computing(self.max_tokens, CPU, ScoringLog(100, False, lines.append), self.score_batches)
        return compute.scores(self.corpus.marginals()["de"], side, pieces)


@pytest.fixture
def whole(corpus):
    """The scores, and the batches, of a run that nobody interrupts."""
    scoring = Scoring(corpus, max_tokens=15)
    scores = scoring.run()
    assert len(scoring.batches) > 4 and len(scores) == 13 and not np.isnan(scores).any()
    return scores, scoring.batches


@pytest.mark.parametrize("killed_at", [0, 1, 3])
def test_a_second_start_computes_the_rest_and_has_the_same_scores_to_the_bit(corpus, whole, killed_at):
    with pytest.raises(Killed):
        Scoring(corpus, 15, killed_at).run()
    again = Scoring(corpus, max_tokens=15)
    np.testing.assert_array_equal(again.run(), whole[0])
    assert again.batches == whole[1][killed_at:]


def test_a_second_start_goes_on_with_other_batches(corpus, whole):
    with pytest.raises(Killed):
        Scoring(corpus, 15, 3).run()
    again = Scoring(corpus, max_tokens=7)
    np.testing.assert_allclose(again.run(), whole[0], rtol=1e-5)
    assert sorted(sum(again.batches, [])) == sorted(sum(whole[1][3:], []))


def test_a_second_start_goes_on_with_another_number_of_workers(corpus, whole, monkeypatch):
    monkeypatch.setattr(computing, "data_parallel_workers", lambda: (2, 1))
    second = Scoring(corpus, 15, 2)  # the second of two, which scores every other batch
    monkeypatch.setattr(computing, "shared_by_first_worker", lambda values: values)
    with pytest.raises(Killed):
        second.run()
    assert second.batches == whole[1][1:5:2]
    monkeypatch.undo()
    again = Scoring(corpus, max_tokens=15)
    np.testing.assert_array_equal(again.run(), whole[0])
    assert again.batches == [batch for batch in whole[1] if batch not in second.batches]


def test_pieces_are_stored_as_the_scores_come(corpus, monkeypatch):
    monkeypatch.setattr(pieces_of, "PIECE_SECONDS", 0)
    folder, counts = corpus.folder / "cache", []

    class Watched(Scoring):
        def score_batches(self, *args):
            for scores in super().score_batches(*args):
                counts.append(len(os.listdir(folder)) if folder.exists() else 0)
                yield scores

    Watched(corpus, max_tokens=15).run()
    assert counts == list(range(len(counts)))


@pytest.mark.parametrize(
    "vocabulary, device, tokens",
    [(100, "cpu", 8192), (10**6, "cpu", 256), (10**6, "meta", 256), (32000, "cuda", 8192), (10**7, "cuda", 256)],
)
def test_the_table_of_a_batch_is_bounded_by_device(vocabulary, device, tokens):
    assert computing.tokens_of_batch(vocabulary, torch.device(device)) == tokens


def test_the_batches_of_a_scorer_are_bounded_by_its_vocabulary(corpus, monkeypatch):
    monkeypatch.setattr(computing, "LEAST_TOKENS", 1)
    monkeypatch.setattr(computing, "LARGEST_TABLE", {"cpu": 15 * len(corpus.symbols)})
    bounded, given = Scoring(corpus), Scoring(corpus, max_tokens=15)
    bounded.run(), given.run()
    assert bounded.batches == given.batches and len(given.batches) > 4
