"""What terms are made of: outputs that they share, and sums that they log."""

import numpy as np
import pytest
import tiny
import torch
from drawn import is_given
from fairseq.logging import metrics
from toys import EOS, SENTENCES, learns_by, log_p, log_p_lm, sample_of, weighted

from fairseq_dsl.terms import Outputs, Totals


class CountedPair:
    """A pair that remembers what it was called with, and how often each model's outputs became probabilities."""

    def __init__(self, pair):
        self.pair = pair
        self.models = {direction: CountedModel(model) for direction, model in pair.models.items()}
        self.calls = []

    def __call__(self, inputs):
        self.calls.append(inputs)
        return self.pair(inputs)


class CountedModel:
    def __init__(self, model):
        self.model = model
        self.normalized = 0

    def get_normalized_probs(self, *args, **kwargs):
        self.normalized += 1
        return self.model.get_normalized_probs(*args, **kwargs)


class TestOutputs:
    @pytest.fixture
    def made(self, scored_pair):
        return scored_pair("transformer")

    @pytest.fixture
    def pair(self, made):
        return CountedPair(made.model)

    @pytest.fixture
    def outputs(self, made, pair):
        """Of three batches, one of which two terms ask for."""
        self.first, self.other = tiny.batch(made.data, [0, 4, 2]), tiny.batch(made.data, [1, 3])
        self.reverse = self.first["reverse"]
        asked = [
            (tiny.DE_EN, self.first),
            (tiny.EN_DE, self.reverse),
            (tiny.DE_EN, self.first),
            (tiny.DE_EN, self.other),
        ]
        return Outputs(pair, asked, made.task.src_dict.pad())

    def test_each_batch_runs_once_however_many_terms_ask_for_it(self, made, pair, outputs):
        inputs = {"de-en": [self.first["net_input"], self.other["net_input"]], "en-de": [self.reverse["net_input"]]}
        assert pair.calls == [inputs]
        for direction, batch in (("de-en", self.first), ("de-en", self.other), ("en-de", self.reverse)):
            alone = made.model.models[direction](**batch["net_input"])[0]
            assert torch.equal(outputs.of(batch)[0], alone)

    def test_a_batch_is_scored_once_for_each_label_smoothing(self, pair, outputs):
        plain = outputs.score(tiny.DE_EN, self.first)
        smoothed = outputs.score(tiny.DE_EN, self.first, 0.1)
        assert outputs.score(tiny.DE_EN, self.first) is plain and outputs.score(tiny.DE_EN, self.first, 0.1) is smoothed
        assert pair.models["de-en"].normalized == 2 and pair.models["en-de"].normalized == 0
        assert torch.equal(plain.log_prob, smoothed.log_prob) and not torch.equal(plain.loss, smoothed.loss)
        assert len(outputs.score(tiny.DE_EN, self.other).loss) == 2 and pair.models["de-en"].normalized == 3

    def test_cross_entropy_and_duality_gap_share_theirs(self, made, pair):
        tiny.criterion(made, dsl_lambda=0.1, label_smoothing=0.1)(pair, tiny.batch(made.data))
        assert [{direction: len(inputs) for direction, inputs in call.items()} for call in pair.calls] == [
            {"de-en": 1, "en-de": 1}
        ]
        assert [model.normalized for model in pair.models.values()] == [1, 1]


def test_totals_are_of_all_logs_whether_or_not_they_have_a_key():
    totals = Totals(
        [{"nll_loss_de-en": 2.0, "nll_loss_en-de": 0, "gap": torch.tensor(1.5)}, {"nll_loss_de-en": torch.tensor(3.0)}]
    )
    assert totals.directions == ["de-en", "en-de"]
    assert [totals[key] for key in ("nll_loss_de-en", "gap", "absent")] == [5.0, 1.5, 0]
    assert Totals([]).directions == []


def test_averages_are_by_sentence_or_sample(toy_pair):
    made = toy_pair()
    criterion = learns_by(made, "dual_learning", num_samples=2, reward_alpha=0.3)
    weighted(criterion, "0.25")
    is_given(criterion, [[(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)]])
    de = SENTENCES["de"][:2]
    first = criterion(made.model, sample_of(made, de=de))[2]
    is_given(criterion, [[(4, 5, EOS), (4, 6, EOS)]])
    second = criterion(made.model, sample_of(made, de=de[1:]))[2]
    with metrics.aggregate(new_root=True) as meters:
        type(criterion).reduce_metrics([first, second, criterion(made.model, sample_of(made))[2]])
    found = meters.get_smoothed_values()
    rewards, naturals, reconstructions = [], [], []
    for z, drawn in zip(
        (de[0], de[1], de[1]), ([(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)], [(4, 5, EOS), (4, 6, EOS)])
    ):
        for w in drawn:
            naturals.append(log_p_lm(made, "en", w))
            reconstructions.append(log_p(made, "en-de", w, z).item())
            rewards.append(0.3 * naturals[-1] + 0.7 * reconstructions[-1])
    wanted = {
        "samples_cut": 3 / 6, "length_ratio": 9 / (2 * (3 + 2 + 2)), "mono_weight": 0.25, "reward": np.mean(rewards),
        "reward_lm": np.mean(naturals), "reward_reconstruction": np.mean(reconstructions),
    }  # fmt: skip
    for key, value in wanted.items():
        assert found[f"{key}_de-en"] == pytest.approx(value, abs=6e-4), key
        assert f"{key}_en-de" not in found  # there was none: which is not 0
