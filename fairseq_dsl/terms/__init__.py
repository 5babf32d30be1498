from .back_translation import BackTranslation, BackTranslationConfig
from .cross_entropy import CrossEntropy
from .cycle_adversarial import CycleAdversarial, CycleAdversarialConfig
from .dual_learning import DualLearning, DualLearningConfig
from .duality_gap import DSLConfig, DualityGap, MethodConfig
from .marginal_regularization import MarginalRegularization, MarginalRegularizationConfig
from .minimum_risk import MinimumRisk, MinimumRiskConfig
from .resources import Resources
from .term import Batches, Outputs, Part, Step, Term, Totals

__all__ = [
    "BackTranslation",
    "BackTranslationConfig",
    "Batches",
    "CrossEntropy",
    "CycleAdversarial",
    "CycleAdversarialConfig",
    "DSLConfig",
    "DualLearning",
    "DualLearningConfig",
    "DualityGap",
    "MarginalRegularization",
    "MarginalRegularizationConfig",
    "MethodConfig",
    "MinimumRisk",
    "MinimumRiskConfig",
    "Outputs",
    "Part",
    "Resources",
    "Step",
    "Term",
    "Totals",
]
