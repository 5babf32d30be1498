"""The duality gap on tiny pairs of models, against a calculation of its own."""

import math

import numpy as np
import pytest
import tiny
import torch
from fairseq.models import FairseqDecoder

from fairseq_dsl.errors import BadInput
from fairseq_dsl.terms import Step
from fairseq_dsl.terms.duality_gap import DualityGap

SIZE = len(tiny.PAIRS)


def sentence_by_sentence(made, rows, lambdas, label_smoothing=0.0, clip=None):
    """The loss and its gradients in float64, each sentence alone, without padding, detach or any of the plugin's code.

    What the other direction says is a number here, so each λ's penalty is a number times its own log-probability.
    """
    model = made.task.build_model(made.cfg.model, from_checkpoint=True)
    model.load_state_dict(made.model.state_dict())
    model.double()
    symbols = {"de": made.task.src_dict, "en": made.task.tgt_dict}
    value, gaps = 0.0, []
    for row in rows:
        encoded = {lang: tiny.encode(words, symbols[lang])[None] for lang, words in zip(("de", "en"), tiny.PAIRS[row])}
        log_prob, cross_entropy = {}, {}
        for source, target in (("de", "en"), ("en", "de")):
            gold = encoded[target]
            logits = model.models[f"{source}-{target}"](
                encoded[source], torch.tensor([encoded[source].size(1)]), gold.roll(1, 1)
            )[0]
            lprobs = logits[0].log_softmax(-1)
            wanted = torch.full_like(lprobs, label_smoothing / (lprobs.size(-1) - 1))
            wanted[range(gold.size(1)), gold[0]] = 1 - label_smoothing
            cross_entropy[target] = -(wanted * lprobs).sum()
            log_prob[target] = lprobs[range(gold.size(1)), gold[0]].sum()
        gap = (
            tiny.LOG_MARGINALS["de"][row]
            + log_prob["en"].item()
            - tiny.LOG_MARGINALS["en"][row]
            - log_prob["de"].item()
        )
        beyond = clip is not None and abs(gap) > clip
        penalty = 2 * clip * abs(gap) - clip**2 if beyond else gap**2
        slope = math.copysign(2 * clip, gap) if beyond else 2 * gap
        value += sum(cross_entropy.values()).item() + sum(lambdas) * penalty
        gaps.append(gap)
        weighted = lambdas[0] * slope * log_prob["en"] - lambdas[1] * slope * log_prob["de"]
        (sum(cross_entropy.values()) + weighted).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    return value, gradients, gaps


@pytest.mark.parametrize(
    "primal, dual",
    [("transformer", None), ("lstm", None), ("fconv", None), ("transformer", "lstm"), ("lstm", "transformer")],
)
@pytest.mark.parametrize(
    "lambdas, settings",
    [
        ((0.02, 0.02), {}),
        ((0.05, 0.01), {"label_smoothing": 0.1}),
        ((0.0, 0.03), {"clip": 10.0}),
        ((0.02, 0.04), {"clip": 10.0, "label_smoothing": 0.2}),
    ],
)
def test_loss_gap_and_gradients_equal_a_calculation_by_sentence(scored_pair, primal, dual, lambdas, settings):
    made = scored_pair(primal, dual)
    made.model.eval()
    criterion = tiny.criterion(
        made, dsl_lambda=lambdas[0], dsl_lambda_dual=lambdas[1],
        label_smoothing=settings.get("label_smoothing", 0.0), dsl_gap_clip=settings.get("clip"),
    )  # fmt: skip
    criterion.train()
    rows = [4, 1, 9, 12, 6, 0]
    loss, _, logged = criterion(made.model, tiny.batch(made.data, rows))
    found = tiny.gradients(made.model, loss)
    value, wanted, gaps = sentence_by_sentence(made, rows, lambdas, **settings)
    assert min(gaps) < -10 and max(gaps) > 10 and min(abs(g) for g in gaps) < 10  # the case has something to show
    assert loss.item() == pytest.approx(value, rel=1e-5)
    assert logged["gap"].item() == pytest.approx(sum(gaps), abs=1e-3)
    assert logged["gap_abs"].item() == pytest.approx(sum(map(abs, gaps)), abs=1e-3)
    assert logged["gap_squared"].item() == pytest.approx(sum(g * g for g in gaps), rel=1e-4)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name].double(), gradient, rtol=1e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize(
    "start, ramp, shares",
    [
        (0, 0, {0: 1, 1: 1, 100: 1}),
        (3, 0, {0: 0, 2: 0, 3: 1, 100: 1}),
        (0, 4, {0: 0.25, 1: 0.5, 3: 1, 4: 1}),
        (3, 4, {0: 0, 2: 0, 3: 0.25, 5: 0.75, 6: 1, 7: 1}),
    ],
)
def test_lambda_starts_late_and_grows_in_training_alone(scored_pair, start, ramp, shares):
    made = scored_pair("transformer")
    criterion = tiny.criterion(made, dsl_lambda=0.2, dsl_lambda_dual=0.1, dsl_start_update=start, dsl_ramp_updates=ramp)
    sample = tiny.batch(made.data, [0, 5])
    for update, share in shares.items():
        criterion.update = update
        for mode, factor in ((criterion.train, share), (criterion.eval, 1)):
            mode()
            logged = tiny.numbers(criterion(made.model, sample)[2])
            assert logged["lambda_de-en"] == pytest.approx(2 * 0.2 * factor)
            assert logged["lambda_en-de"] == pytest.approx(2 * 0.1 * factor)
            assert logged["regularizer"] == pytest.approx(0.3 * factor * logged["gap_squared"])


def test_a_fresh_criterion_validates_with_the_final_lambda(scored_pair):
    criterion = tiny.criterion(scored_pair("transformer"), dsl_lambda=0.2, dsl_start_update=1000, dsl_ramp_updates=10)
    gap = criterion.terms[1]
    assert gap.current_lambdas(Step(None, {}, {}, update=0, training=False)) == (0.2, 0.2)


def test_the_gap_is_of_the_unsmoothed_models(scored_pair):
    made = scored_pair("lstm")
    logged = [
        tiny.criterion(made, dsl_lambda=0.01, label_smoothing=smoothing)(made.model, tiny.batch(made.data))[2]
        for smoothing in (0.0, 0.4)
    ]
    assert logged[0]["loss"] != logged[1]["loss"]
    for key in ("gap", "gap_abs", "gap_squared", "nll_loss_de-en", "nll_loss_en-de"):
        assert logged[0][key] == logged[1][key], key


def test_unlearnt_pairs_are_counted_at_the_weights_of_this_update(scored_pair):
    made = scored_pair("transformer")
    gaps = np.abs(sentence_by_sentence(made, range(SIZE), (0, 0))[2])
    settings = dict(dsl_lambda=0.03, dsl_start_update=10, dsl_ramp_updates=2, label_smoothing=0.1)
    criterion = tiny.criterion(made, **settings)
    found = []
    for update, weight in ((0, 0.0), (10, 0.015), (11, 0.03)):
        criterion.update = update
        found.append(criterion(made.model, tiny.batch(made.data))[2]["unlearnt"].item())
        assert found[-1] == sum(gap * 2 * weight > 0.9 for gap in gaps)
    assert 0 == found[0] < found[1] < found[2]
    clipped = tiny.criterion(made, dsl_gap_clip=10.0, **settings)
    clipped.update = 11
    assert clipped(made.model, tiny.batch(made.data))[2]["unlearnt"] == 0


class TestPrecision:
    class HalfModel:
        """Answers with half-precision logits; one that is far from zero, so that halves would round its probability."""

        def __init__(self, task):
            dictionaries = {str(direction): task.dictionaries[direction.target] for direction in task.directions}
            self.models = {direction: torch.nn.Module() for direction in dictionaries}
            for direction, model in self.models.items():
                model.get_normalized_probs = FairseqDecoder(dictionaries[direction]).get_normalized_probs
            self.vocabulary = {direction: len(symbols) for direction, symbols in dictionaries.items()}

        def __call__(self, inputs):
            self.logits = {}
            for direction, (net_input,) in inputs.items():
                shape = *net_input["prev_output_tokens"].shape, self.vocabulary[direction]
                self.logits[direction] = (3 * torch.randn(shape)).half()
            return {direction: [(logits,)] for direction, logits in self.logits.items()}

    def test_half_precision_is_scored_in_float32_and_gaps_are_of_float64(self, scored_pair):
        made = scored_pair("transformer")
        model = self.HalfModel(made.task)
        marginals = {"de": np.full(SIZE, -150.03), "en": np.full(SIZE, -149.98)}
        made.data.log_marginals, before = marginals, made.data.log_marginals
        try:
            sample = tiny.batch(made.data)
        finally:
            made.data.log_marginals = before
        logged = tiny.criterion(made)(model, sample)[2]
        gap = {}
        for direction, batch in (("de-en", sample), ("en-de", sample["reverse"])):
            lprobs = model.logits[direction].double().log_softmax(-1).gather(-1, batch["target"][..., None])[..., 0]
            gap[direction] = lprobs[batch["target"] != made.task.src_dict.pad()].sum().item()
        assert logged["gap"].dtype == torch.float64
        assert logged["gap"].item() == pytest.approx(gap["de-en"] - gap["en-de"] - 0.05 * SIZE, abs=2e-3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"dsl_lambda": -0.1}, "--dsl-lambda -0.1"),
        ({"dsl_lambda": math.nan}, "--dsl-lambda nan"),
        ({"dsl_lambda": math.inf}, "--dsl-lambda inf"),
        ({"dsl_lambda": 0.1, "dsl_lambda_dual": -1.0}, "--dsl-lambda-dual -1.0"),
        ({"dsl_start_update": -1}, "--dsl-start-update -1"),
        ({"dsl_ramp_updates": -1}, "--dsl-ramp-updates -1"),
        ({"dsl_gap_clip": 0.0}, "--dsl-gap-clip 0.0"),
        ({"dsl_gap_clip": math.nan}, "--dsl-gap-clip nan"),
        ({"dsl_lambda": 0.1, "marginals": False}, "--source-lm and --target-lm"),
        ({"dsl_lambda_dual": 0.1, "marginals": False}, "--dsl-lambda-dual 0.1"),
    ],
)
def test_refused_settings_are_named(scored_pair, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        tiny.criterion(scored_pair("transformer"), **settings)


class TestReportBeforeTheFirstUpdate:
    def report(self, made, caplog, **settings):
        caplog.clear()
        with caplog.at_level("INFO", logger="fairseq_dsl"):
            batches = [made.task.directions.of(tiny.batch(made.data, rows)) for rows in (range(5), range(5, SIZE))]
            tiny.criterion(made, **settings).terms[1].report(made.model, batches)
        return [record.getMessage() for record in caplog.records]

    def test_quantiles_and_share_at_the_final_lambda(self, scored_pair, caplog):
        made = scored_pair("transformer")
        gaps = np.array(sentence_by_sentence(made, range(SIZE), (0, 0))[2])
        share = np.mean(np.abs(gaps) > 1 / (2 * 0.03))
        assert 0.05 < share < 1
        (line, warning) = self.report(made, caplog, dsl_lambda=0.03, dsl_start_update=50)
        wanted = [np.quantile(gaps, q) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)]
        found = line.split("in nats: ")[1].split(";")[0].split(", ")
        assert [float(part.split()[1]) for part in found] == pytest.approx(wanted, abs=0.06)
        assert f"{share:.1%}" in line and f"{share:.1%}" in warning
        assert f"of {SIZE} training pairs" in line

    def test_no_warning_where_nothing_is_unlearnt(self, scored_pair, caplog):
        lines = self.report(scored_pair("transformer"), caplog, dsl_lambda=0.0)
        assert len(lines) == 1 and "0.0%" in lines[0]


def test_listeners_are_told_each_pair_of_a_batch(scored_pair, monkeypatch):
    made = scored_pair("transformer")
    criterion = tiny.criterion(made, dsl_lambda=0.0)
    told = {}
    monkeypatch.setattr(DualityGap, "listeners", [lambda numbers, gaps: told.update(zip(numbers, gaps))])
    rows = [4, 1, 6]
    criterion(made.model, tiny.batch(made.data, rows))
    _, _, gaps = sentence_by_sentence(made, rows, (0, 0))
    assert list(told) == sorted(rows) and told == pytest.approx(dict(zip(rows, gaps)), abs=1e-3)
