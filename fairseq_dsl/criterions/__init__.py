from .pair_criterion import PairCriterion
from .registry import METHODS, Method

__all__ = ["METHODS", "Method", "PairCriterion"]
