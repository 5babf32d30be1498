"""Dual inference: both directions and a language model choose the translation."""

from .dual_inference import DualInference
from .generator import DualGenerator
from .hypotheses import Hypotheses
from .reranker import Reranker
from .score_file import ScoreFile
from .weights import Weights, given

__all__ = ["DualGenerator", "DualInference", "Hypotheses", "Reranker", "ScoreFile", "Weights", "given"]
