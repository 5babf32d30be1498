"""The marginals log P(x) and log P(y), and their scores of a split, stored once and for all.

They are constants of the data: each sentence is scored before training.
"""

from .cache import ScoreCache
from .computing import Computing
from .given import GivenScores
from .kenlm import KenLMMarginal
from .kinds import KINDS, given_marginals, marginals_of
from .marginal import Marginal
from .neural import NeuralMarginal
from .scoring_log import ScoringLog
from .side import Side
from .split import SplitScorer

__all__ = [
    "KINDS",
    "Computing",
    "GivenScores",
    "KenLMMarginal",
    "Marginal",
    "NeuralMarginal",
    "ScoreCache",
    "ScoringLog",
    "Side",
    "SplitScorer",
    "given_marginals",
    "marginals_of",
]
