"""The criterion `dsl_cross_entropy` on tiny pairs of models, against stock fairseq and against a calculation of its own."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from fairseq import tasks
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.logging import metrics
from fairseq.models import FairseqDecoder

from fairseq_dsl.criterions.registry import DSLCrossEntropyCriterion
from fairseq_dsl.errors import BadInput
from fairseq_dsl.terms import Step

SIZE = len(tiny.PAIRS)
MARGINALS = {  # made up: the gap has either sign, and is beyond a clip of 10 for some pairs
    "de": np.random.RandomState(1).uniform(-60, -2, SIZE),
    "en": np.random.RandomState(2).uniform(-60, -2, SIZE),
}
ARCHITECTURES = ("transformer", "lstm", "fconv")


@pytest.fixture(scope="module")
def pairs(data):
    """Pairs of models by their architectures, made once: tests leave them in evaluation mode and without gradients."""
    made = {}

    def get(primal, dual=None):
        if (primal, dual) not in made:
            made[primal, dual] = tiny.pair(data, primal, dual, MARGINALS)
        return made[primal, dual]

    return get


def numbers(logging_output):
    return {key: float(value) for key, value in logging_output.items()}


@pytest.mark.parametrize("architecture", ["transformer", "lstm"])
@pytest.mark.parametrize("sentence_avg", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_at_lambda_0_the_gradients_equal_those_of_two_ordinary_runs(pairs, architecture, sentence_avg, label_smoothing):
    made = pairs(architecture)
    criterion = tiny.criterion(made, sentence_avg=sentence_avg, label_smoothing=label_smoothing)
    loss, sample_size, _ = criterion(made.model, tiny.batch(made.data))
    found = tiny.gradients(made.model, loss)

    wanted, sizes = {}, []
    for direction, task in made.task.tasks.items():
        task.load_dataset("train")
        stock = LabelSmoothedCrossEntropyCriterion(task, sentence_avg, label_smoothing)
        loss, size, _ = stock(made.model.models[str(direction)], tiny.batch(task.dataset("train")))
        sizes.append(size)
        for name, gradient in tiny.gradients(made.model.models[str(direction)], loss).items():
            wanted[f"models.{direction}.{name}"] = gradient
    assert sample_size == (SIZE if sentence_avg else sum(sizes))
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5, msg=name)


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
        gap = MARGINALS["de"][row] + log_prob["en"].item() - MARGINALS["en"][row] - log_prob["de"].item()
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
    "primal, dual", [("transformer", None), ("lstm", None), ("fconv", None), ("transformer", "lstm"), ("lstm", "transformer")]
)
@pytest.mark.parametrize(
    "lambdas, settings",
    [((0.02, 0.02), {}), ((0.05, 0.01), {"label_smoothing": 0.1}), ((0.0, 0.03), {"clip": 10.0}), ((0.02, 0.04), {"clip": 10.0, "label_smoothing": 0.2})],
)
def test_loss_gap_and_gradients_equal_a_calculation_by_sentence(pairs, primal, dual, lambdas, settings):
    made = pairs(primal, dual)
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


@pytest.mark.parametrize("sentence_avg", [False, True])
def test_micro_batches_add_up(pairs, sentence_avg):
    made = pairs("transformer")
    criterion = tiny.criterion(made, dsl_lambda=0.03, label_smoothing=0.1, sentence_avg=sentence_avg)
    loss, sample_size, logged = criterion(made.model, tiny.batch(made.data))
    whole = tiny.gradients(made.model, loss)
    parts = [criterion(made.model, tiny.batch(made.data, rows)) for rows in ([2, 0, 7], [1, 3, 4, 5, 6], [8], [12, 11, 10, 9])]
    added = tiny.gradients(made.model, sum(part[0] for part in parts))
    assert sum(part[1] for part in parts) == sample_size
    for key, value in numbers(logged).items():
        assert sum(numbers(part[2])[key] for part in parts) == pytest.approx(value, rel=1e-5, abs=1e-5), key
    for name, gradient in whole.items():
        torch.testing.assert_close(added[name], gradient, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_sentence_scores_the_same_whatever_it_is_batched_with(pairs, architecture):
    made = pairs(architecture)
    made.model.eval()
    criterion = tiny.criterion(made)

    def log_probs(*rows):
        with torch.no_grad():
            logged = criterion(made.model, tiny.batch(made.data, rows))[2]
        return np.array([logged[f"nll_loss_{direction}"].item() for direction in ("de-en", "en-de")])

    alone = {row: log_probs(row) for row in range(SIZE)}
    for first in range(SIZE):
        for mate in (0, 3, 8, 11):  # short and long, on either side
            if first != mate:
                np.testing.assert_allclose(log_probs(first, mate) - alone[mate], alone[first], atol=1e-3)


@pytest.mark.parametrize(
    "start, ramp, shares",
    [
        (0, 0, {0: 1, 1: 1, 100: 1}),
        (3, 0, {0: 0, 2: 0, 3: 1, 100: 1}),
        (0, 4, {0: 0.25, 1: 0.5, 3: 1, 4: 1}),
        (3, 4, {0: 0, 2: 0, 3: 0.25, 5: 0.75, 6: 1, 7: 1}),
    ],
)
def test_lambda_starts_late_and_grows_in_training_alone(pairs, start, ramp, shares):
    made = pairs("transformer")
    criterion = tiny.criterion(made, dsl_lambda=0.2, dsl_lambda_dual=0.1, dsl_start_update=start, dsl_ramp_updates=ramp)
    sample = tiny.batch(made.data, [0, 5])
    for update, share in shares.items():
        criterion.update = update
        for mode, factor in ((criterion.train, share), (criterion.eval, 1)):
            mode()
            logged = numbers(criterion(made.model, sample)[2])
            assert logged["lambda_de-en"] == pytest.approx(2 * 0.2 * factor)
            assert logged["lambda_en-de"] == pytest.approx(2 * 0.1 * factor)
            assert logged["regularizer"] == pytest.approx(0.3 * factor * logged["gap_squared"])


def test_a_fresh_criterion_validates_with_the_final_lambda(pairs):
    criterion = tiny.criterion(pairs("transformer"), dsl_lambda=0.2, dsl_start_update=1000, dsl_ramp_updates=10)
    gap = criterion.terms[1]
    assert gap.current_lambdas(Step(None, {}, {}, update=0, training=False)) == (0.2, 0.2)


def test_the_gap_is_of_the_unsmoothed_models(pairs):
    made = pairs("lstm")
    logged = [
        tiny.criterion(made, dsl_lambda=0.01, label_smoothing=smoothing)(made.model, tiny.batch(made.data))[2]
        for smoothing in (0.0, 0.4)
    ]
    assert logged[0]["loss"] != logged[1]["loss"]
    for key in ("gap", "gap_abs", "gap_squared", "nll_loss_de-en", "nll_loss_en-de"):
        assert logged[0][key] == logged[1][key], key


def test_unlearnt_pairs_are_counted_at_the_weights_of_this_update(pairs):
    made = pairs("transformer")
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


def test_the_same_keys_are_logged_always(pairs):
    """With two workers, fairseq adds up the numbers of all by the keys of the first."""
    made = pairs("transformer")
    sample = tiny.batch(made.data, [1, 2])
    without = {**sample, "reverse": {k: v for k, v in sample["reverse"].items() if k != "log_marginal"}}
    del without["log_marginal"]
    keys = set()
    for dsl_lambda, batch in ((0.0, without), (0.0, sample), (0.1, sample)):
        criterion = tiny.criterion(made, dsl_lambda=dsl_lambda, dsl_start_update=5)
        for mode in (criterion.train, criterion.eval):
            mode()
            logged = criterion(made.model, batch)[2]
            keys.add(tuple(logged))
            assert all(isinstance(v, (int, float)) or v.numel() == 1 for v in logged.values())
            assert (logged["scored"] == 0) == (batch is without)
    assert len(keys) == 1
    assert DSLCrossEntropyCriterion.logging_outputs_can_be_summed()


def test_the_other_direction_of_the_task_gives_the_same_values(data, pairs):
    """As ``fairseq-validate -s en -t de`` on a de-en pair: the primal stays the primal."""
    made = pairs("transformer")
    cfg = tiny.pair_config(data, "transformer")
    cfg.task.source_lang, cfg.task.target_lang = "en", "de"
    task = tasks.setup_task(cfg.task)
    flipped = SimpleNamespace(task=task, model=task.build_model(cfg.model, from_checkpoint=True))
    flipped.model.load_state_dict(made.model.state_dict())
    task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    task.dataset("train").log_marginals = MARGINALS
    settings = dict(dsl_lambda=0.05, dsl_lambda_dual=0.01, label_smoothing=0.1)
    rows = [3, 7, 1]
    wanted = tiny.criterion(made, **settings)(made.model, tiny.batch(made.data, rows))[2]
    found = tiny.criterion(flipped, **settings)(flipped.model, tiny.batch(task.dataset("train"), rows))[2]
    assert numbers(found) == pytest.approx(numbers(wanted), rel=1e-6)


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

    def test_half_precision_models_are_scored_in_float32_and_gaps_taken_in_float64(self, pairs):
        made = pairs("transformer")
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


class TestReduceMetrics:
    FIRST = dict(
        loss=60.0, ntokens=20, nsentences=3, sample_size=20, regularizer=6.0, gap=-3.0, gap_abs=9.0, gap_squared=45.0,
        unlearnt=1.0, scored=3,
        **{"nll_loss_de-en": 30.0, "ntokens_de-en": 12, "lambda_de-en": 0.3},
        **{"nll_loss_en-de": 20.0, "ntokens_en-de": 8, "lambda_en-de": 0.06},
    )  # fmt: skip
    SECOND = {**FIRST, "loss": torch.tensor(40.0), "gap": torch.tensor(13.0), "nsentences": 2, "scored": 2}
    SECOND.update({"lambda_de-en": 0.2, "lambda_en-de": 0.04})

    def reduced(self, *logs):
        with metrics.aggregate(new_root=True) as meters:
            DSLCrossEntropyCriterion.reduce_metrics(list(logs))
        return meters.get_smoothed_values()

    def test_averages_by_hand(self):
        bits = math.log(2)
        wanted = {
            "loss": 100 / 40 / bits,
            "nll_loss": 100 / 40 / bits,
            "ppl": math.exp(100 / 40),
            "nll_loss_de-en": 60 / 24 / bits,
            "ppl_de-en": math.exp(60 / 24),
            "nll_loss_en-de": 40 / 16 / bits,
            "ppl_en-de": math.exp(40 / 16),
            "lambda_de-en": 0.1,
            "lambda_en-de": 0.02,
            "duality_gap": 18 / 5,
            "duality_gap_signed": 2.0,
            "duality_loss": 90 / 5,
            "unlearnt": 0.4,
            "duality_share": 0.12,
        }
        found = self.reduced(self.FIRST, self.SECOND)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert found[key] == pytest.approx(value, abs=0.01 if key.startswith("ppl") else 6e-4), key

    def test_an_unknown_gap_is_not_0(self):
        unknown = dict(self.FIRST, scored=0, gap=0, gap_abs=0, gap_squared=0, unlearnt=0, regularizer=0)
        found = self.reduced(unknown)
        assert found.keys() == self.reduced(self.FIRST).keys()
        assert all(math.isnan(found[key]) for key in ("duality_gap", "duality_gap_signed", "duality_loss"))
        assert found["unlearnt"] == 0

    def test_batches_count_by_their_size(self):
        with metrics.aggregate(new_root=True) as meters:
            DSLCrossEntropyCriterion.reduce_metrics([self.FIRST])
            DSLCrossEntropyCriterion.reduce_metrics([self.SECOND])
        found = meters.get_smoothed_values()
        wanted = self.reduced(self.FIRST, self.SECOND)
        for key in ("loss", "ppl", "nll_loss_de-en", "ppl_en-de", "duality_gap", "duality_gap_signed", "unlearnt"):
            assert found[key] == pytest.approx(wanted[key], rel=2e-3), key


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"dsl_lambda": -0.1}, "--dsl-lambda -0.1"),
        ({"dsl_lambda": math.nan}, "--dsl-lambda nan"),
        ({"dsl_lambda": math.inf}, "--dsl-lambda inf"),
        ({"dsl_lambda": 0.1, "dsl_lambda_dual": -1.0}, "--dsl-lambda-dual -1.0"),
        ({"dsl_start_update": -1}, "--dsl-start-update -1"),
        ({"dsl_ramp_updates": -1}, "--dsl-ramp-updates -1"),
        ({"label_smoothing": 1.0}, "--label-smoothing 1.0"),
        ({"label_smoothing": -0.1}, "--label-smoothing -0.1"),
        ({"dsl_gap_clip": 0.0}, "--dsl-gap-clip 0.0"),
        ({"dsl_gap_clip": math.nan}, "--dsl-gap-clip nan"),
        ({"dsl_lambda": 0.1, "marginals": False}, "--source-lm and --target-lm"),
        ({"dsl_lambda_dual": 0.1, "marginals": False}, "--dsl-lambda-dual 0.1"),
    ],
)
def test_refused_settings_are_named(pairs, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        tiny.criterion(pairs("transformer"), **settings)


class TestReportBeforeTheFirstUpdate:
    def report(self, made, caplog, **settings):
        caplog.clear()
        with caplog.at_level("INFO", logger="fairseq_dsl"):
            batches = [made.task.directions.of(tiny.batch(made.data, rows)) for rows in (range(5), range(5, SIZE))]
            tiny.criterion(made, **settings).terms[1].report(made.model, batches)
        return [record.getMessage() for record in caplog.records]

    def test_quantiles_and_share_at_the_final_lambda(self, pairs, caplog):
        made = pairs("transformer")
        gaps = np.array(sentence_by_sentence(made, range(SIZE), (0, 0))[2])
        share = np.mean(np.abs(gaps) > 1 / (2 * 0.03))
        assert 0.05 < share < 1
        (line, warning) = self.report(made, caplog, dsl_lambda=0.03, dsl_start_update=50)
        wanted = [np.quantile(gaps, q) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)]
        found = line.split("in nats: ")[1].split(";")[0].split(", ")
        assert [float(part.split()[1]) for part in found] == pytest.approx(wanted, abs=0.06)
        assert f"{share:.1%}" in line and f"{share:.1%}" in warning
        assert f"of {SIZE} training pairs" in line

    def test_no_warning_where_nothing_is_unlearnt(self, pairs, caplog):
        lines = self.report(pairs("transformer"), caplog, dsl_lambda=0.0)
        assert len(lines) == 1 and "0.0%" in lines[0]
