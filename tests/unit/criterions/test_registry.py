"""The methods by their names, and a new one, which is a term and its flags."""

import inspect
from dataclasses import dataclass
from functools import partial

import pytest
import tiny
import torch
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, CRITERION_REGISTRY, register_criterion
from fairseq.logging import metrics
from hydra.core.config_store import ConfigStore
from toys import METHODS, ROUND_TRIPS

from fairseq_dsl.criterions import registry
from fairseq_dsl.errors import BadInput
from fairseq_dsl.ranges import WEIGHT, number
from fairseq_dsl.terms import MethodConfig, Part, Term


def test_class_names_are_those_in_the_checkpoints_of_0_2_and_0_3():
    """With another, fairseq resumes no optimizer: it compares `criterion_name` of the checkpoint's history."""
    names = {name: CRITERION_REGISTRY[name].__name__ for name in registry.METHODS}
    assert (
        names.items()
        >= {
            "dsl_cross_entropy": "DSLCrossEntropyCriterion",
            "minimum_risk": "MinimumRiskCriterion",
            "dual_learning": "DualLearningCriterion",
            "marginal_regularized_cross_entropy": "MarginalRegularizedCrossEntropyCriterion",
            "back_translation_cross_entropy": "BackTranslationCrossEntropyCriterion",
        }.items()
    )


def test_round_trips_read_monolingual_text_and_others_do_not():
    assert set(METHODS) < set(registry.METHODS)
    for method in METHODS:
        assert registry.METHODS[method].reads_monolingual == (method in ROUND_TRIPS)


# ---- a new method, as CONTRIBUTING.md has it


@dataclass
class SurenessConfig(MethodConfig):
    sureness_weight: float = number(1.0, WEIGHT, "weight of the square of log P(y|x)")


class Sureness(Term):
    """w·Σ (log P(y|x))², and its mirror."""

    averages = {"sureness": "pairs"}

    def parts(self, step):
        return [Part({d: batch}, partial(self._loss, d, batch)) for d, batch in step.parallel.items()]

    def _loss(self, direction, batch, outputs):
        square = (outputs.score(direction, batch).log_prob ** 2).sum()
        sums = {f"sureness_{direction}": square.detach(), f"pairs_{direction}": len(batch["id"])}
        return self.cfg.sureness_weight * square, sums


@pytest.fixture
def sureness(monkeypatch):
    """The name of the new method, which is registered for one test."""
    name, method = "sureness", registry.Method("SurenessCriterion", SurenessConfig, (*registry.DSL, Sureness))
    monkeypatch.setitem(registry.METHODS, name, method)
    registry.register(name, method)
    yield name
    del (
        CRITERION_REGISTRY[name],
        CRITERION_DATACLASS_REGISTRY[name],
        ConfigStore.instance().repo["criterion"][f"{name}.yaml"],
    )
    inspect.getclosurevars(register_criterion).nonlocals["REGISTRY_CLASS_NAMES"].discard(method.class_name)
    del registry.SurenessCriterion


@pytest.fixture
def made(data):
    return tiny.pair(data)


class TestANewMethod:
    def test_has_the_flags_of_all_its_terms(self, data, sureness):
        flags = ["--sureness-weight", "0.25", "--label-smoothing", "0.1"]
        command = ["--task", "dual_translation", "--arch", "transformer", "--criterion", sureness]
        cfg = tiny.configure(data, *command, *flags).criterion
        assert (cfg._name, cfg.sureness_weight, cfg.label_smoothing, cfg.dsl_lambda) == (sureness, 0.25, 0.1, 0.0)

    def test_refuses_a_number_out_of_range_by_its_flag(self, made, sureness):
        with pytest.raises(BadInput, match="--sureness-weight -1"):
            tiny.learns_by(made, sureness, dsl_lambda=0.0, sureness_weight=-1.0)

    def test_adds_its_loss_to_that_of_the_others(self, made, sureness):
        sample = tiny.batch(made.data)
        plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0).train()(made.model, sample)[0].item()
        loss, _, logged = tiny.learns_by(made, sureness, dsl_lambda=0.0, sureness_weight=0.5).train()(
            made.model, sample
        )
        squares = logged["sureness_de-en"] + logged["sureness_en-de"]
        assert squares > 0
        assert loss.item() == pytest.approx(plain + 0.5 * squares.item(), rel=1e-5)

    def test_trains_the_pair_and_logs_what_it_names(self, made, sureness):
        criterion = tiny.learns_by(made, sureness, dsl_lambda=0.0, parallel_weight=0.0).train()
        optimizer = torch.optim.Adam(made.model.parameters(), lr=0.01)
        found = []
        for _ in range(5):
            loss, sample_size, logged = criterion(made.model, tiny.batch(made.data))
            optimizer.zero_grad()
            (loss / sample_size).backward()
            optimizer.step()
            with metrics.aggregate(new_root=True) as meters:
                type(criterion).reduce_metrics([logged])
            found.append(meters.get_smoothed_values())
        for direction in ("de-en", "en-de"):
            values = [logged[f"sureness_{direction}"] for logged in found]
            assert values == sorted(values, reverse=True) and values[-1] < 0.9 * values[0]
        assert found[0]["nll_loss"] > found[-1]["nll_loss"]

    def test_that_sums_what_it_does_not_name_is_told(self, made, sureness, monkeypatch):
        """What is not averaged would be logged nowhere, and the workers' keys would differ."""
        monkeypatch.setattr(Sureness, "averages", {"sureness": "batches"})
        criterion = tiny.learns_by(made, sureness).train()
        with pytest.raises(ValueError, match="Sureness.averages: .*found pairs_de-en missing"):
            criterion(made.model, tiny.batch(made.data))

    def test_without_the_terms_of_dsl_is_refused(self):
        with pytest.raises(ValueError, match="alone: expected the terms of DSL"):
            registry.register("alone", registry.Method("AloneCriterion", SurenessConfig, (Sureness,)))

    def test_is_no_part_of_validation_unless_it_says_so(self, made, sureness):
        criterion = tiny.learns_by(made, sureness, dsl_lambda=0.0).eval()
        assert not any(key.startswith("sureness") for key in criterion(made.model, tiny.batch(made.data))[2])
