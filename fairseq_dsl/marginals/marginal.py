"""What gives log P of whole sentences of a language."""

import abc
from typing import List, Optional

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from ..swaps import Likelihood


class Marginal(abc.ABC):
    """log P(sentence) of one language, constant while the pair is trained.

    A new kind is a subclass in a file of its own, and a line in `kinds`: see `CONTRIBUTING.md`. Making one is cheap:
    it refuses what the file's name or beginning shows, and loads the rest when it is first asked for a score.

    Args:
        path: what the flag named.
        flag: ``--source-lm`` or ``--target-lm``.
        language: whose sentences it scores.
        dictionary: the translation dictionary of that language, which the sentences' symbols are of.
        device: where it computes, if it is a model of torch's.

    Attributes:
        name: the flag and the path, for messages.
    """

    def __init__(self, path: str, flag: str, language: str, dictionary: Dictionary, device: torch.device):
        self.path = path
        self.flag = flag
        self.name = f"{flag} {path}"
        self.language = language
        self.dictionary = dictionary
        self.device = device

    @classmethod
    @abc.abstractmethod
    def reads(cls, path: str) -> bool:
        """Whether what a flag named is of this kind."""

    @property
    @abc.abstractmethod
    def max_length(self) -> int:
        """The longest sentence that it scores, in tokens with the end-of-sentence symbol."""

    @abc.abstractmethod
    def fingerprint(self) -> bytes:
        """Of the content that its scores depend on, the dictionary included: what the cache knows them by."""

    @abc.abstractmethod
    def score(self, sentences: List[Tensor]) -> np.ndarray:
        """log P of each sentence, ``(sentences,)``, in nats, float64; the sentences end in the end-of-sentence symbol.

        Raises `BadInput` where a score is not finite.
        """

    def release(self):  # noqa: B027  (not all have something to let go of)
        """Let go of what takes memory; it is loaded again when it is asked for a score."""

    # ---- what `swaps` asks, before the first score of a split

    def likelihood(self, sentences: List[Tensor]) -> Optional[Likelihood]:
        """How likely it finds some sentences, whatever their language; None where it cannot say."""
        words = sum(len(sentence) - 1 for sentence in sentences)
        return Likelihood(float(self.score(sentences).sum()), words)

    def is_same_as(self, other: "Marginal") -> bool:
        """Whether another marginal gives every sentence the same score, as of one file under two names."""
        return self.fingerprint() == other.fingerprint()
