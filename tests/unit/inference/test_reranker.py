"""What is scored, how often, and in which batches."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.sequence_scorer import SequenceScorer

from fairseq_dsl.inference import Hypotheses, Reranker
from fairseq_dsl.inference.forced import marginals

SYMBOLS = SimpleNamespace(pad=lambda: 1, eos=lambda: 2)


class Counted:
    """Stands in for a marginal, and for fairseq's scorer: the score of a sentence is the sum of its symbols."""

    max_length = 4

    def __init__(self):
        self.calls = []

    def score(self, sentences):
        self.calls.append([tuple(sentence.tolist()) for sentence in sentences])
        return np.array([float(sentence.sum()) for sentence in sentences])


def hypothesis(*tokens):
    return {"tokens": torch.tensor(tokens), "positional_scores": torch.full((len(tokens),), -0.5)}


@pytest.fixture
def reranker(monkeypatch):
    def generate(scorer, models, batch):
        models[0].batches.append(batch["target"].shape)
        targets = [row[row != 1] for row in batch["target"]]
        sources = [row[row != 1] for row in batch["net_input"]["src_tokens"]]
        return [[{"positional_scores": 100.0 * y.sum().float() + x.float()}] for y, x in zip(sources, targets)]

    monkeypatch.setattr(SequenceScorer, "generate", generate)
    model = SimpleNamespace(max_positions=lambda: (9, 5), batches=[])
    flags = SimpleNamespace(left_pad_source=True, left_pad_target=False)
    return Reranker([model], SYMBOLS, flags, Counted(), None, max_tokens=12)


def test_each_hypothesis_gets_its_own_scores_and_equal_ones_are_scored_once(reranker):
    sample = {"id": torch.tensor([7, 3]), "net_input": {"src_tokens": torch.tensor([[1, 5, 2], [6, 7, 2]])}}
    found = [[hypothesis(8, 2), hypothesis(9, 9, 2), hypothesis(8, 2)], [hypothesis(8, 2), hypothesis(4, 4, 4, 2)]]
    first, second = reranker.score(sample, found)
    assert (first.number, second.number) == (7, 3)
    assert first.source.tolist() == [5, 2] and second.source.tolist() == [6, 7, 2]
    assert first.forward.tolist() == [-1.0, -1.5, -1.0]
    # 100 times the sum of y for each symbol of x, and the sum of x
    assert first.reverse.tolist() == [2 * 1000 + 7, 2 * 2000 + 7, 2 * 1000 + 7]
    assert second.reverse.tolist() == [3 * 1000 + 15, 3 * 1400 + 15]
    assert first.marginal.tolist() == [10, 20, 10] and second.marginal.tolist() == [10, 14]
    assert sorted(sum(reranker.marginal.calls, [])) == [(4, 4, 4, 2), (8, 2), (9, 9, 2)]
    assert sum(rows for rows, _ in reranker.reverse.models[0].batches) == 4  # of five pairs, two of which are the same
    assert all(rows * width <= 12 for rows, width in reranker.reverse.models[0].batches)


def test_what_is_too_long_for_a_model_has_no_score_of_it(reranker):
    """The marginal allows 4 symbols, the reverse model 9 and, of sources, 5."""
    tokens = torch.tensor([[1, 1, 1, 1, 5, 2], [6, 7, 6, 7, 6, 2]])
    found = [[hypothesis(8, 2), hypothesis(4, 4, 4, 4, 2), hypothesis(*[4] * 9, 2)], [hypothesis(8, 2)]]
    first, long_source = reranker.score({"net_input": {"src_tokens": tokens}}, found)
    assert first.reverse.isnan().tolist() == [False, False, True]
    assert first.marginal.isnan().tolist() == [False, True, True]
    assert long_source.reverse.isnan().all() and long_source.marginal.tolist() == [10] and long_source.number is None
    assert first.scores(0.5, 0.1).isnan().tolist() == [False, True, True]
    assert first.scores(0.5, 0.0).isnan().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "unknown, order", [((), "cba"), ((2,), "bac"), ((1, 2), "abc"), ((0,), "abc"), ((0, 1, 2), "abc")]
)
def test_those_without_a_score_come_last_and_first_leave_all_as_they_are(unknown, order):
    found = [{**hypothesis(4, 2), "score": torch.tensor(float(-k)), "text": text} for k, text in enumerate("abc")]
    one = Hypotheses.of(0, torch.tensor([5, 2]), found)
    one.reverse[:] = torch.tensor([-9.0, -5.0, -1.0])
    one.reverse[list(unknown)] = math.nan
    ordered = one.in_order(1.0, 0.0)
    assert "".join(h["text"] for h in ordered) == order
    for h in ordered:
        k = "abc".index(h["text"])
        scored = 0 not in unknown and k not in unknown
        assert h["score"].item() == (one.reverse[k].item() / 2 if scored else -k)


def test_no_marginal_says_nothing():
    assert all(map(math.isnan, marginals(None)([(torch.tensor([4, 2]),)])))
    counted = Counted()
    found = marginals(counted)([(torch.tensor([4, 2]),), (torch.tensor([4, 4, 4, 4, 2]),)])
    assert found[0] == 6 and math.isnan(found[1])


def test_only_the_reverse_direction_finds_the_right_translation(reranker):
    """Both are as likely translations of the sentence, which comes back from one of them alone."""
    sample = {"net_input": {"src_tokens": torch.tensor([[5, 2]])}}
    found = [{**hypothesis(8, 2), "score": torch.tensor(-0.5)}, {**hypothesis(9, 2), "score": torch.tensor(-0.5)}]
    (one,) = reranker.score(sample, [found])
    assert one.forward[0] == one.forward[1]
    assert [h["tokens"].tolist() for h in one.in_order(0.0, 0.0)] == [[8, 2], [9, 2]]
    assert [h["tokens"].tolist() for h in one.in_order(0.5, 0.0)] == [[9, 2], [8, 2]]
