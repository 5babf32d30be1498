"""Scores in a folder, so that each sentence is scored once."""

import contextlib
import glob
import hashlib
import logging
import math
import os
import re
import time
import zipfile
from typing import List, Optional, Set

import numpy as np

from ..files import content_digest, remove_unfinished, written_atomically
from .marginal import Marginal

logger = logging.getLogger(__name__)

MAX_FILES, MAX_BYTES = 256, 1 << 30  # of scores of other data
MAX_HEADER = 1024  # bytes, of an array in a file
ENTRY = re.compile(r"[0-9a-f]{32}\.npz")
CACHE_VERSION = 2  # 1: not refused where the language model was of another dictionary


class ScoreCache:
    """Scores in a folder, one file for each (marginal, split), named and checked by their content.

    A file that is missing, cut, or of other content is as none. The folder may be read-only: then nothing is stored.
    Of the scores of other data, those used last are kept, up to `MAX_FILES` and `MAX_BYTES`.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self._in_use: Set[str] = set()

    def key(self, marginal: Marginal, size: int, files: List[str]) -> str:
        """Of a marginal's scores of so many sentences, which were read from these files."""
        digest = hashlib.sha256(f"{CACHE_VERSION} {size} {marginal.kind}".encode() + marginal.fingerprint())
        for path in files:
            digest.update(content_digest(path))
        return digest.hexdigest()

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, f"{key[:32]}.npz")

    def read(self, key: str, size: int) -> Optional[np.ndarray]:
        path = self._path(key)
        if not os.path.exists(path):
            return None
        self._in_use.add(path)
        try:
            scores = _read_scores(path, key, size)
            if scores is not None:
                with contextlib.suppress(OSError):  # read-only
                    os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
                return scores
            problem = "is of other content"
        except Exception as error:  # numpy and zipfile raise many kinds for damaged files
            problem = f"cannot be read ({type(error).__name__}: {error})"
        logger.warning(f"marginal cache: {path} {problem}; its sentences are scored again")
        return None

    def write(self, key: str, scores: np.ndarray):
        try:
            os.makedirs(self.folder, exist_ok=True)
            with written_atomically(self._path(key)) as file:
                np.savez(file, key=np.array(key), scores=scores)
        except OSError as error:
            logger.warning(f"--marginal-cache {self.folder}: cannot be written ({error}); the scores are not stored")
            return
        self._in_use.add(self._path(key))
        with contextlib.suppress(OSError):  # another run removes the same
            self._tidy()

    def _tidy(self):
        """Remove what killed runs left, and the scores that were not used for longest, but none of this run."""
        remove_unfinished(os.path.join(glob.escape(self.folder), "*.npz.*"))
        entries = [entry for entry in os.scandir(self.folder) if ENTRY.fullmatch(entry.name)]
        entries.sort(key=lambda entry: (entry.path in self._in_use, entry.stat().st_atime), reverse=True)
        total = 0
        for count, entry in enumerate(entries, 1):
            total += entry.stat().st_size
            if entry.path not in self._in_use and (count > MAX_FILES or total > MAX_BYTES):
                with contextlib.suppress(OSError):  # of another user, or a folder
                    os.remove(entry.path)


def _read_scores(path: str, key: str, size: int) -> Optional[np.ndarray]:
    """The scores in a file if it is of this key; headers come first, as a small file may declare to be a huge one."""
    key_type = np.array(key).dtype
    with zipfile.ZipFile(path) as archive:
        for name, shape, dtype in (("key", (), key_type), ("scores", (size,), np.dtype(np.float64))):
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > MAX_HEADER + math.prod(shape) * dtype.itemsize:
                return None
            with archive.open(member) as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    return None
                if np.lib.format.read_array_header_1_0(file) != (shape, False, dtype):
                    return None
    with np.load(path, allow_pickle=False) as file:  # a zip file: it checks its members' checksums
        return file["scores"] if str(file["key"]) == key else None
