"""The order and the score of re-ranked lists, against dual inference itself and sacrebleu's own corpus scores."""

import math
from types import SimpleNamespace

import pytest
import sacrebleu
import torch
from sacrebleu.metrics import BLEU, CHRF
from score_lines import REFERENCES, drawn, hypothesis, line, save

from fairseq_dsl.inference import DualGenerator, Hypotheses
from fairseq_dsl_cli.tuning import score_lists
from fairseq_dsl_cli.tuning.reranking import Reranking

WEIGHTS = [(0, 0), (0, 1), (0.3, 0), (0.5, 0.1), (1, 0), (0.7, 3)]


def reranking(path, lines, references=REFERENCES, metric=None):
    lists = score_lists.read([save(path / "scores.jsonl", lines)], "ref.en", len(references))
    return Reranking(lists, references, metric or BLEU(tokenize="none"))


def first_of_generator(one, reverse_weight, lm_weight):
    """The text that `DualGenerator` puts first, of a line's hypotheses."""
    listed, score = one["hypotheses"], torch.tensor(0.0)
    found = [{"tokens": torch.zeros(h["length"]), "score": score, "text": h["text"]} for h in listed]
    scores = (
        torch.tensor([math.nan if h[name] is None else h[name] for h in listed], dtype=torch.float64)
        for name in ("forward", "reverse", "lm")
    )
    hypotheses = Hypotheses(one["id"], torch.zeros(one["source_length"]), found, *scores)
    generator = SimpleNamespace(generate=lambda models, sample: None)
    reranker = SimpleNamespace(score=lambda sample, found: [hypotheses])
    made = DualGenerator(generator, reranker, reverse_weight, lm_weight, lambda scored: None)
    return made.generate([], {})[0][0]["text"]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_first_hypotheses_are_those_of_dual_inference(tmp_path, weights):
    lines = drawn()
    assert reranking(tmp_path, lines).translations(*weights) == [first_of_generator(one, *weights) for one in lines]


def test_of_equal_scores_the_forward_models_choice_comes_first(tmp_path):
    lines = [line(0, [hypothesis("a", -2, -1, -1), hypothesis("b", -2, -1, -1), hypothesis("c", -3, -9, -1)])]
    assert reranking(tmp_path, lines, ["a"]).translations(0.5, 0.1) == ["a"]


def test_what_has_no_score_comes_last_and_first_leaves_all_as_they_are(tmp_path):
    unscored, scored = [hypothesis("a", -2), hypothesis("b", -9)], [hypothesis("a", -2, -9), hypothesis("b", -2, -1)]
    lines = [line(0, unscored), line(1, scored), line(2, [*scored, hypothesis("c", -5)])]
    lines += [line(3, [hypothesis("c", -1), *scored])]
    assert reranking(tmp_path, lines, ["a"] * 4).translations(1, 0) == ["a", "b", "b", "c"]
    assert [first_of_generator(one, 1, 0) for one in lines] == ["a", "b", "b", "c"]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_scores_are_those_of_sacrebleu(tmp_path, weights):
    made = reranking(tmp_path, drawn())
    lines = made.translations(*weights)
    assert made.score(*weights) == pytest.approx(sacrebleu.corpus_bleu(lines, [REFERENCES], tokenize="none").score)
    made = reranking(tmp_path, drawn(), metric=CHRF())
    assert made.score(*weights) == pytest.approx(sacrebleu.corpus_chrf(lines, [REFERENCES]).score)
