"""What gives log P of whole sentences of a language."""

import abc
import os
from typing import List, Optional

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from ..errors import BadInput
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

    @property
    def kind(self) -> str:
        """Part of the cache's keys."""
        return type(self).__name__

    def require_file(self, expected: str):
        """Refuse a path that is no file, as early as possible.

        Args:
            expected: what is in the file, for the message.
        """
        if not os.path.isfile(self.path):
            raise BadInput(f"{self.name}: no such file; expected {expected}")

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
        """Tells apart whatever gives other scores: the content of files, the dictionary, the version of a formula.

        The cache finds scores by it.
        """

    @abc.abstractmethod
    def _score(self, sentences: List[Tensor]) -> np.ndarray:
        """log P of each sentence, ``(sentences,)``, in nats, float64; the sentences end in the end-of-sentence symbol.

        They may be samples: every symbol of the dictionary may occur, ``<s>`` and ``<unk>`` too.
        """

    def score(self, sentences: List[Tensor]) -> np.ndarray:
        """log P of each sentence, ``(sentences,)``, in nats, float64. Raises `BadInput` where one is not finite."""
        scores = np.asarray(self._score(sentences), dtype=np.float64)
        if scores.shape != (len(sentences),):
            raise ValueError(f"{self.name}: expected {len(sentences)} scores, found an array of shape {scores.shape}")
        if not np.isfinite(scores).all():
            found = scores[~np.isfinite(scores)][0]
            raise BadInput(f"{self.name}: gives a sentence log P = {found}; expected a finite number for each")
        return scores

    @property
    def refuses_samples(self) -> Optional[str]:
        """Why it cannot score every sentence over the dictionary, such as samples; None where it can."""
        return None

    def require_samples(self, who: str):
        """Refuse a kind that cannot score every sentence, as early as possible.

        Args:
            who: is in need of it, for the message.
        """
        reason = self.refuses_samples
        if reason:
            raise BadInput(f"{self.name}: {reason}; {who} requires a language model that scores any sentence")

    def of_split(self, split: str, shard: int, sentences: int) -> Optional[np.ndarray]:
        """The scores of a split, ``(sentences,)``, in nats, if they are given; None if the sentences are to be scored.

        Args:
            split: its name.
            shard: the number of the data folder that it is read from, from 0.
            sentences: how many it has.
        """
        return None

    def release(self):  # noqa: B027  (not all have something to let go of)
        """Let go of what takes memory; it is loaded again when it is asked for a score."""

    def to(self, device: torch.device):
        """Compute on another device, where it computes by torch at all."""
        if device != self.device:
            self.device = device
            self.release()

    # ---- what `swaps` asks, before the first score of a split

    def likelihood(self, sentences: List[Tensor]) -> Optional[Likelihood]:
        """How likely it finds some sentences, whatever their language; None where it cannot say."""
        symbols = sum(map(len, sentences))  # with the ends of sentences, which are in the scores too
        return Likelihood(float(self.score(sentences).sum()), symbols)

    def is_same_as(self, other: "Marginal") -> bool:
        """Whether another marginal gives every sentence the same score, as of one file under two names."""
        return self.fingerprint() == other.fingerprint()
