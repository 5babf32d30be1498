"""Scores in a folder, so that each sentence is scored once."""

import collections
import contextlib
import glob
import hashlib
import os
import re
import time
from typing import Dict, List, Optional, Set

import numpy as np

from ..files import content_digest, remove_unfinished
from .marginal import Marginal
from .pieces import Pieces
from .score_files import ScoreFiles

MAX_FILES, MAX_BYTES = 256, 1 << 30  # of scores of other data; the pieces of one whole are as one file
ENTRY = re.compile(r"[0-9a-f]{32}(\.[0-9a-f]{32})?\.npz")  # a whole, or one of its pieces
CACHE_VERSION = 2  # 1: not refused where the language model was of another dictionary
TYPES = {"scores": np.dtype(np.float64)}


class ScoreCache:
    """Scores in a folder, one file for each (marginal, split), named and checked by their content; and `Pieces` of
    those that are not complete.

    A file that is missing, cut, or of other content is as none. The folder may be read-only: then nothing is stored.
    Of the scores of other data, those used last are kept, up to `MAX_FILES` and `MAX_BYTES`.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self.files = ScoreFiles(folder)
        self._in_use: Set[str] = set()

    def key(self, marginal: Marginal, size: int, files: List[str]) -> str:
        """Of a marginal's scores of so many sentences, which were read from these files."""
        digest = hashlib.sha256(f"{CACHE_VERSION} {size} {marginal.kind}".encode() + marginal.fingerprint())
        for path in files:
            digest.update(content_digest(path))
        return digest.hexdigest()

    def _path(self, key: str) -> str:
        return self.files.path(f"{key[:32]}.npz")

    def read(self, key: str, size: int) -> Optional[np.ndarray]:
        path = self._path(key)
        if not os.path.exists(path):
            return None
        self._in_use.add(key[:32])
        found = self.files.read(os.path.basename(path), key, TYPES, range(size, size + 1))
        if found is None:
            return None
        with contextlib.suppress(OSError):  # read-only
            os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
        return found[0]

    def pieces(self, key: str, size: int) -> Pieces:
        self._in_use.add(key[:32])
        return Pieces(self.files, key, size)

    def write(self, key: str, scores: np.ndarray):
        """Store the whole; its pieces are removed."""
        if not self.files.write(os.path.basename(self._path(key)), key, scores=scores):
            return
        self._in_use.add(key[:32])
        self.pieces(key, len(scores)).remove()
        with contextlib.suppress(OSError):  # another run removes the same
            self._tidy()

    def _tidy(self):
        """Remove what killed runs left, and the scores that were not used for longest, but none of this run."""
        remove_unfinished(os.path.join(glob.escape(self.folder), "*.npz.*"))
        found: Dict[str, List[os.DirEntry]] = collections.defaultdict(list)
        for entry in os.scandir(self.folder):
            if ENTRY.fullmatch(entry.name):
                found[entry.name[:32]].append(entry)
        last_use = {stem: max(entry.stat().st_atime for entry in entries) for stem, entries in found.items()}
        total = 0
        for count, stem in enumerate(sorted(found, key=lambda s: (s in self._in_use, last_use[s]), reverse=True), 1):
            whole, entries = f"{stem}.npz", found[stem]
            total += sum(entry.stat().st_size for entry in entries)
            if stem in self._in_use:
                continue
            if count <= MAX_FILES and total <= MAX_BYTES:
                is_complete = any(entry.name == whole for entry in entries)
                entries = [entry for entry in entries if is_complete and entry.name != whole]  # pieces of no more use
            for entry in entries:
                with contextlib.suppress(OSError):  # of another user, or a folder
                    os.remove(entry.path)
