"""Dual inference: both directions and a language model choose the translation; and the scores of given pairs."""

from .dual_inference import DualInference
from .generator import DualGenerator
from .hypotheses import Hypotheses
from .reranker import Reranker
from .score_file import ScoreFile
from .scoring import PairScore, PairScorer
from .weights import DEFAULT_LM_WEIGHT, Weights, given

__all__ = [
    "DEFAULT_LM_WEIGHT",
    "DualGenerator",
    "DualInference",
    "Hypotheses",
    "PairScore",
    "PairScorer",
    "Reranker",
    "ScoreFile",
    "Weights",
    "given",
]
