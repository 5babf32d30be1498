"""The methods: which terms each ``--criterion`` is the sum of.

A method is a line here and a file in `terms`: see `CONTRIBUTING.md`.
"""

from typing import Dict, NamedTuple, Sequence, Type

from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass

from ..terms import (
    BackTranslation,
    BackTranslationConfig,
    CrossEntropy,
    CycleAdversarial,
    CycleAdversarialConfig,
    DSLConfig,
    DualityGap,
    DualLearning,
    DualLearningConfig,
    MarginalRegularization,
    MarginalRegularizationConfig,
    MinimumRisk,
    MinimumRiskConfig,
    Term,
)
from .pair_criterion import PairCriterion


class Method(NamedTuple):
    """What a criterion is made of.

    Attributes:
        class_name: is in checkpoints, whose optimizer fairseq resumes with the same criterion alone.
        flags: the configuration, which inherits the flags of all terms.
        terms: whose sum is the loss, in the order of summation.
        trains_one_direction: whether it also trains fairseq's own translation task.
    """

    class_name: str
    flags: Type[FairseqDataclass]
    terms: Sequence[Type[Term]]
    trains_one_direction: bool = False

    @property
    def reads_monolingual(self) -> bool:
        return any(term.reads_monolingual for term in self.terms)

    @property
    def scores_samples(self) -> bool:
        return any(term.scores_samples for term in self.terms)


DSL = (CrossEntropy, DualityGap)

METHODS: Dict[str, Method] = {
    "dsl_cross_entropy": Method("DSLCrossEntropyCriterion", DSLConfig, DSL),
    "minimum_risk": Method("MinimumRiskCriterion", MinimumRiskConfig, (*DSL, MinimumRisk), trains_one_direction=True),
    "dual_learning": Method("DualLearningCriterion", DualLearningConfig, (*DSL, DualLearning)),
    "cycle_adversarial": Method("CycleAdversarialCriterion", CycleAdversarialConfig, (*DSL, CycleAdversarial)),
    "marginal_regularized_cross_entropy": Method(
        "MarginalRegularizedCrossEntropyCriterion", MarginalRegularizationConfig, (*DSL, MarginalRegularization)
    ),
    "back_translation_cross_entropy": Method(
        "BackTranslationCrossEntropyCriterion", BackTranslationConfig, (*DSL, BackTranslation)
    ),
}


def register(name: str, method: Method):
    """Make the criterion of a method, and have fairseq know it by its name."""
    if not set(DSL) <= set(method.terms):
        raise ValueError(f"{name}: expected the terms of DSL among its terms, which count and log what all methods do")
    members = {
        "term_types": method.terms,
        "trains_one_direction": method.trains_one_direction,
        "__doc__": "\n".join((term.__doc__ or "").splitlines()[0] for term in method.terms),
        "__module__": __name__,
    }
    criterion = type(method.class_name, (PairCriterion,), members)
    globals()[method.class_name] = register_criterion(name, dataclass=method.flags)(criterion)


for _name, _method in METHODS.items():
    register(_name, _method)
