from .back_translation_cross_entropy import BackTranslationCrossEntropyCriterion
from .dsl_cross_entropy import DSLCrossEntropyCriterion
from .dual_learning import DualLearningCriterion
from .marginal_regularized_cross_entropy import MarginalRegularizedCrossEntropyCriterion
from .minimum_risk import MinimumRiskCriterion

PAIR_CRITERIONS = {
    "dsl_cross_entropy": DSLCrossEntropyCriterion,
    "minimum_risk": MinimumRiskCriterion,
    "dual_learning": DualLearningCriterion,
    "marginal_regularized_cross_entropy": MarginalRegularizedCrossEntropyCriterion,
    "back_translation_cross_entropy": BackTranslationCrossEntropyCriterion,
}
"""The criterions that train both directions, by the name that ``--criterion`` takes."""

__all__ = [*(criterion.__name__ for criterion in PAIR_CRITERIONS.values()), "PAIR_CRITERIONS"]
