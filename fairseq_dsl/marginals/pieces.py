"""Scores that are stored while others are still computed, so that a run that is killed loses little."""

import contextlib
import glob
import os
import time
import uuid
from typing import List, Optional, Tuple

import numpy as np

from .score_files import ScoreFiles

PIECE_SECONDS = 30  # of work in a piece: what a killed run may lose
TYPES = {"indices": np.dtype(np.int64), "scores": np.dtype(np.float64)}


class Pieces:
    """Some scores of one side of a split, in files beside the one that is to have all of them.

    Each worker of each run writes files of its own, under random names; whoever begins reads them all. Which sentences
    a piece is of stands in it: batches and workers may be others then.

    Args:
        files: where they are kept.
        key: of the scores, which their names begin with.
        size: the number of sentences.
    """

    def __init__(self, files: ScoreFiles, key: str, size: int):
        self.files = files
        self.key = key
        self.size = size
        self._waiting: List[Tuple[np.ndarray, np.ndarray]] = []
        self._stored_at = time.monotonic()

    def _names(self) -> List[str]:
        pattern = os.path.join(glob.escape(self.files.folder), f"{self.key[:32]}.*.npz")
        return sorted(map(os.path.basename, glob.glob(pattern)))

    def read(self) -> Optional[np.ndarray]:
        """The scores that are stored, ``(size,)``, NaN where there is none; None where nothing is stored."""
        known = np.full(self.size, np.nan)
        for name in self._names():
            found = self.files.read(name, self.key, TYPES, range(1, self.size + 1))
            if found is not None:
                indices, scores = found
                if indices.min() < 0 or indices.max() >= self.size or not np.isfinite(scores).all():
                    self.files.warn(name, "is of other content")
                else:
                    known[indices] = scores
        return None if np.isnan(known).all() else known

    def add(self, indices: np.ndarray, scores: np.ndarray):
        """Take the scores of some sentences; they are stored when `PIECE_SECONDS` have passed since others were."""
        self._waiting.append((indices, scores))
        if time.monotonic() - self._stored_at >= PIECE_SECONDS:
            self.store()

    def store(self):
        """Store what was taken."""
        if self._waiting:
            indices, scores = map(np.concatenate, zip(*self._waiting))
            name = f"{self.key[:32]}.{uuid.uuid4().hex}.npz"
            self.files.write(name, self.key, indices=indices.astype(np.int64), scores=scores)
            self._waiting = []
        self._stored_at = time.monotonic()

    def remove(self):
        """Remove all, of other runs too: the whole is stored."""
        for name in self._names():
            with contextlib.suppress(OSError):  # another run removes the same
                os.remove(self.files.path(name))
