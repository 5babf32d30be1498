from .dsl_cross_entropy import DSLCrossEntropyCriterion

PAIR_CRITERIONS = {"dsl_cross_entropy": DSLCrossEntropyCriterion}
"""The criterions that train both directions, by the name that ``--criterion`` takes."""

__all__ = ["DSLCrossEntropyCriterion", "PAIR_CRITERIONS"]
