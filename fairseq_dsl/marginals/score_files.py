"""Files of scores that say of what they are, in a folder that others may write to as well."""

import logging
import math
import os
import zipfile
from typing import List, Mapping, Optional

import numpy as np

from ..files import written_atomically

logger = logging.getLogger(__name__)

MAX_HEADER = 1024  # bytes, of an array in a file


class ScoreFiles:
    """Arrays in files of a folder, each with a key: a file that is missing, cut, or of another key is as none.

    The folder may be read-only: then nothing is stored, and a warning says so, once.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self._warned = False

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, key: str, **arrays: np.ndarray) -> bool:
        """Store arrays in a file; whether that succeeded."""
        try:
            os.makedirs(self.folder, exist_ok=True)
            with written_atomically(self.path(name)) as file:
                np.savez(file, key=np.array(key), **arrays)
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning(
                    f"--marginal-cache {self.folder}: cannot be written ({error}); the scores are not stored"
                )
            return False
        return True

    def read(self, name: str, key: str, dtypes: Mapping[str, np.dtype], lengths: range) -> Optional[List[np.ndarray]]:
        """The arrays of a file, which are of one length; None, with a warning, if they are not what is expected.

        Args:
            dtypes: of the arrays, by name.
            lengths: those that are possible.
        """
        path = self.path(name)
        try:
            arrays = _read(path, key, dtypes, lengths)
            if arrays is not None:
                return arrays
            problem = "is of other content"
        except FileNotFoundError:
            return None
        except Exception as error:  # numpy and zipfile raise many kinds for damaged files
            problem = f"cannot be read ({type(error).__name__}: {error})"
        self.warn(name, problem)
        return None

    def warn(self, name: str, problem: str):
        """Say of a file that it is not used."""
        logger.warning(f"marginal cache: {self.path(name)} {problem}; its sentences are scored again")


def _read(path: str, key: str, dtypes: Mapping[str, np.dtype], lengths: range) -> Optional[List[np.ndarray]]:
    """As `ScoreFiles.read`; headers come first, as a small file may declare to be a huge one."""
    with zipfile.ZipFile(path) as archive:
        if _shape(archive, "key", np.array(key).dtype) != ():
            return None
        shapes = {_shape(archive, name, dtype) for name, dtype in dtypes.items()}
    shape = shapes.pop()
    if shapes or shape is None or len(shape) != 1 or shape[0] not in lengths:
        return None
    with np.load(path, allow_pickle=False) as file:  # a zip file: it checks its members' checksums
        return [file[name] for name in dtypes] if str(file["key"]) == key else None


def _shape(archive: zipfile.ZipFile, name: str, dtype: np.dtype) -> Optional[tuple]:
    """The shape of an array if it is of this type, and as large as it declares to be."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, is_fortran, found = np.lib.format.read_array_header_1_0(file)
    fits = member.file_size <= MAX_HEADER + math.prod(shape) * dtype.itemsize
    return shape if fits and (is_fortran, found) == (False, dtype) else None
