"""What an evaluation compares."""

import argparse
import os
import re
from dataclasses import dataclass
from typing import Optional, Tuple

_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,100}")  # of a system: it begins the names of its files


@dataclass(frozen=True)
class System:
    """A pair checkpoint, or two plain ones: the path (for fairseq: `a.pt:b.pt` is an ensemble) for each direction."""

    name: str
    paths: Tuple[str, ...]  # one path for both directions, or one for each
    base: Optional["System"] = None  # of a system with dual inference: the same without

    @classmethod
    def parse(cls, text: str) -> "System":
        name, equals, given = text.partition("=")
        paths = tuple(given.split(","))
        if not (name and equals and all(paths) and len(paths) <= 2):
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither NAME=DUAL.pt nor NAME=PRIMAL.pt,DUAL.pt (two plain checkpoints)"
            )
        if not _NAME.fullmatch(name):
            raise argparse.ArgumentTypeError(f"{name!r}: expected a name for files, without / or a leading dot")
        for file in (file for path in paths for file in path.split(os.pathsep)):
            if not os.path.isfile(file):
                raise argparse.ArgumentTypeError(f"{text!r}: expected files, found {file!r}")
        return cls(name, paths)

    @property
    def is_ensemble(self) -> bool:
        return any(os.pathsep in path for path in self.paths)

    @property
    def is_pair(self) -> bool:
        return len(self.paths) == 1

    def path(self, is_primal: bool) -> str:
        return self.paths[0] if self.is_pair or is_primal else self.paths[1]
