"""Log-probabilities that stand in text files."""

import hashlib
import math
import os
import sys
from typing import List, Optional

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary
from torch import Tensor

from ..errors import BadInput
from ..files import content_digest
from ..swaps import Likelihood
from .marginal import Marginal

PREFIX = "scores:"


class GivenScores(Marginal):
    """log P of the sentences of splits, from whatever model: ``scores:DIR``, or ``scores:DIR:DIR`` for data in so
    many folders.

    ``DIR/SPLIT.LANGUAGE``, such as ``DIR/train.de``, has a line for each sentence of the split, in its order, those
    that are filtered out included: log P in natural logarithms. It has no score of any other sentence.
    """

    max_length = sys.maxsize

    def __init__(self, path: str, flag: str, language: str, dictionary: Dictionary, device: torch.device):
        super().__init__(path, flag, language, dictionary, device)
        self.folders = utils.split_paths(path[len(PREFIX) :])
        for folder in self.folders:
            if not os.path.isdir(folder):
                raise BadInput(f"{self.name}: no such folder {folder!r}; expected files such as train.{language} there")

    @classmethod
    def reads(cls, path: str) -> bool:
        return path.startswith(PREFIX)

    @property
    def refuses_samples(self) -> str:
        return "has scores of the sentences of the data alone"

    def fingerprint(self) -> bytes:
        """Of all its splits; the cache has no part in them."""
        digest = hashlib.sha256()
        for folder in self.folders:
            for name in sorted(os.listdir(folder)):
                if name.endswith(f".{self.language}"):
                    digest.update(content_digest(os.path.join(folder, name)))
        return digest.digest()

    def of_split(self, split: str, shard: int, sentences: int) -> np.ndarray:
        if shard >= len(self.folders):
            raise BadInput(
                f"{self.name}: expected a folder of scores for each data folder ({PREFIX}DIR:DIR), found "
                f"{len(self.folders)}"
            )
        path = os.path.join(self.folders[shard], f"{split}.{self.language}")
        if not os.path.isfile(path):
            raise BadInput(
                f"{self.name}: no file {path}; expected log P of each of the {sentences:,} {self.language} sentences "
                f"of {split}, one a line"
            )
        found = _numbers(path)
        if found is not None and len(found) == sentences and np.isfinite(found).all() and found.max(initial=0) <= 0:
            return found
        with open(path, "rb") as file:  # line by line, to name the one that is wrong
            scores = [self._log_prob(line, f"{path}, line {number}") for number, line in enumerate(file, 1)]
        if len(scores) != sentences:
            raise BadInput(
                f"{self.flag} {path}: expected {sentences:,} lines, as {split} has {self.language} sentences, found "
                f"{len(scores):,}"
            )
        return np.array(scores)

    def _log_prob(self, line: bytes, place: str) -> float:
        try:
            value = float(line)
        except ValueError:
            value = math.nan
        if not -math.inf < value <= 0:
            found = line.decode(errors="replace").strip()[:40]
            raise BadInput(
                f"{self.flag} {place}: expected the natural logarithm of a probability, 0 or less, found {found!r}"
            )
        return value

    def _score(self, sentences: List[Tensor]) -> np.ndarray:
        raise BadInput(f"{self.name}: {self.refuses_samples}")

    def likelihood(self, sentences: List[Tensor]) -> Optional[Likelihood]:
        return None


def _numbers(path: str) -> Optional[np.ndarray]:
    """The numbers in a file that has one on each line; None if it has not, or where only Python can tell."""
    text = np.fromfile(path, np.uint8)
    lines = np.count_nonzero(text == ord("\n")) + (text.size > 0 and text[-1] != ord("\n"))
    try:
        found = np.loadtxt(path, ndmin=1, comments=None) if lines > 1 else np.zeros(0)
    except ValueError:
        return None
    return found if found.shape == (lines,) else None  # empty lines are left out; of two numbers each, it has columns
