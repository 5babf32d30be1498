"""The sum of terms: one call of the pair, batches that add up, and what is logged."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from drawn import SETTINGS, is_given_fixed_samples
from fairseq import tasks
from fairseq.logging import metrics
from toys import DIRECTIONS, METHODS, SENTENCES, learns_by, sample_of, weighted

from fairseq_dsl.criterions.registry import DSLCrossEntropyCriterion

SIZE = len(tiny.PAIRS)
ARCHITECTURES = ("transformer", "lstm", "fconv")


@pytest.mark.parametrize("sentence_avg", [False, True])
def test_micro_batches_add_up(scored_pair, sentence_avg):
    made = scored_pair("transformer")
    criterion = tiny.criterion(made, dsl_lambda=0.03, label_smoothing=0.1, sentence_avg=sentence_avg)
    loss, sample_size, logged = criterion(made.model, tiny.batch(made.data))
    whole = tiny.gradients(made.model, loss)
    parts = [
        criterion(made.model, tiny.batch(made.data, rows))
        for rows in ([2, 0, 7], [1, 3, 4, 5, 6], [8], [12, 11, 10, 9])
    ]
    added = tiny.gradients(made.model, sum(part[0] for part in parts))
    assert sum(part[1] for part in parts) == sample_size
    for key, value in tiny.numbers(logged).items():
        assert sum(tiny.numbers(part[2])[key] for part in parts) == pytest.approx(value, rel=1e-5, abs=1e-5), key
    for name, gradient in whole.items():
        torch.testing.assert_close(added[name], gradient, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_sentence_scores_the_same_whatever_it_is_batched_with(scored_pair, architecture):
    made = scored_pair(architecture)
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


def test_the_other_direction_of_the_task_gives_the_same_values(data, scored_pair):
    """As ``fairseq-validate -s en -t de`` on a de-en pair: the primal stays the primal."""
    made = scored_pair("transformer")
    cfg = tiny.pair_config(data, "transformer")
    cfg.task.source_lang, cfg.task.target_lang = "en", "de"
    task = tasks.setup_task(cfg.task)
    flipped = SimpleNamespace(task=task, model=task.build_model(cfg.model, from_checkpoint=True))
    flipped.model.load_state_dict(made.model.state_dict())
    task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    task.dataset("train").log_marginals = tiny.LOG_MARGINALS
    settings = dict(dsl_lambda=0.05, dsl_lambda_dual=0.01, label_smoothing=0.1)
    rows = [3, 7, 1]
    wanted = tiny.criterion(made, **settings)(made.model, tiny.batch(made.data, rows))[2]
    found = tiny.criterion(flipped, **settings)(flipped.model, tiny.batch(task.dataset("train"), rows))[2]
    assert tiny.numbers(found) == pytest.approx(tiny.numbers(wanted), rel=1e-6)


def test_the_same_keys_are_logged_always(scored_pair):
    """With two workers, fairseq adds up the numbers of all by the keys of the first."""
    made = scored_pair("transformer")
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


@pytest.mark.parametrize("method", METHODS)
def test_gradient_of_the_whole_loss_is_that_of_finite_differences(toy_pair, method):
    """Along random directions in the space of both models' parameters, the parallel part included."""
    made = toy_pair()
    criterion = learns_by(made, method, parallel_weight=0.8, **SETTINGS[method])
    weighted(criterion, "0.6")
    sample = sample_of(made, de=SENTENCES["de"][:2], en=SENTENCES["en"][:2])
    is_given_fixed_samples(criterion)
    gradients = tiny.gradients(made.model, criterion(made.model, sample)[0])
    parameters = {name: p for name, p in made.model.named_parameters() if name in gradients}
    for direction in DIRECTIONS:
        for seed in range(2):
            generator = torch.Generator().manual_seed(seed)
            along = {
                name: torch.randn(p.shape, generator=generator).double() * (f".{direction}." in name)
                for name, p in parameters.items()
            }
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    for name, p in parameters.items():
                        p.add_(step * along[name])
                    values.append(criterion(made.model, sample)[0].item())
                    for name, p in parameters.items():
                        p.sub_(step * along[name])
            slope = sum((gradients[name] * along[name]).sum().item() for name in parameters)
            assert abs(slope) > 1e-3
            assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_the_weighted_sum_of_its_parts(toy_pair, method):
    """The parallel part, and the method's own: of either language's monolingual sentences, or of the parallel data."""
    made = toy_pair()
    de, en = SENTENCES["de"][:2], SENTENCES["en"][:2]

    def loss(parallel_weight, mono_weight, risk_weight=1.0, **monolingual):
        settings = {**SETTINGS[method], **({"risk_weight": risk_weight} if method == "minimum_risk" else {})}
        if method == "cycle_adversarial":  # a critic's loss is of sentences of both languages
            settings["critic_weight"] = 0.0
        criterion = learns_by(made, method, parallel_weight=parallel_weight, **settings)
        weighted(criterion, mono_weight)
        sample = sample_of(made, **monolingual)
        is_given_fixed_samples(criterion)
        with torch.no_grad():
            return criterion(made.model, sample)[0].item()

    plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0, label_smoothing=0.1)
    parallel = plain(made.model, sample_of(made))[0].item()
    if method == "minimum_risk":
        own, whole = loss(0.0, "1"), loss(0.8, "0.6", risk_weight=0.6)
    else:
        own, whole = loss(0.0, "1", de=de) + loss(0.0, "1", en=en), loss(0.8, "0.6", de=de, en=en)
        assert loss(0.8, "0.6") == loss(0.8, "0", de=de, en=en) == pytest.approx(0.8 * parallel, rel=1e-9)
    assert whole == pytest.approx(0.8 * parallel + 0.6 * own, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_both_models_run_once_in_training_mode_for_all_parts(toy_pair, method):
    """One call of the pair, as data-parallel training wants; and with dropout, though samples are drawn without."""
    made = toy_pair()
    criterion = learns_by(made, method, parallel_weight=1.0, **SETTINGS[method])
    sample = sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"])
    calls, forward = [], made.model.forward

    def record(*inputs):
        calls.append([name for name, module in made.model.named_modules() if not module.training])
        return forward(*inputs)

    made.model.forward = record
    try:
        criterion(made.model, sample)
    finally:
        del made.model.forward
    assert calls == [[]]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_keys_are_logged_without_monolingual_sentences(toy_pair, method):
    """fairseq adds up the numbers of all workers by the keys of the first, or by their order; tensors apart."""
    made = toy_pair()
    criterion = learns_by(made, method, **SETTINGS[method])
    without = sample_of(made)
    del without["monolingual"]
    de, en = SENTENCES["de"][:2], SENTENCES["en"][:1]
    cases = [without, sample_of(made), sample_of(made, de=de), sample_of(made, en=en), sample_of(made, de=de, en=en)]
    keys, trips = set(), []
    for sample in cases:
        logged = criterion(made.model, sample)[2]
        keys.add(tuple((key, torch.is_tensor(value)) for key, value in logged.items()))
        trips.append([logged.get(f"round_trips_{direction}") for direction in DIRECTIONS])
        assert all(math.isfinite(value) for value in logged.values())
    weighted(criterion, "0:0,10:1")
    logged = criterion(made.model, cases[-1])[2]
    keys.add(tuple((key, torch.is_tensor(value)) for key, value in logged.items()))
    assert len(keys) == 1
    for key, by in criterion.terms[-1].averages.items():
        assert all(f"{name}_{direction}" in logged for name in (key, by) for direction in DIRECTIONS)
    if criterion.terms[-1].reads_monolingual:
        assert trips == [[0, 0], [0, 0], [2, 0], [0, 1], [2, 1]]
        assert logged["round_trips_de-en"] == logged["round_trips_en-de"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_validation_has_no_samples(toy_pair, method):
    made = toy_pair()
    criterion = learns_by(made, method, **SETTINGS[method])
    criterion.terms[-1].sampler = None  # which would fail
    sample = sample_of(made, de=SENTENCES["de"])
    plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0).eval()
    found = criterion.eval()(made.model, sample)[2]
    wanted = plain(made.model, sample)[2]
    assert tuple(found) == tuple(wanted)
    assert float(found["nll_loss_de-en"]) == float(wanted["nll_loss_de-en"])
