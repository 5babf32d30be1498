"""A folder with a model in CTranslate2's format: whole or not there at all, and in place of nothing else."""

import contextlib
import os
import tempfile
from typing import Iterator

from fairseq_dsl.errors import BadInput

SENTENCEPIECE = "sentencepiece.model"
"""The sentencepiece model's name in the folder, where there is one of both languages."""
SENTENCEPIECES = ("source_sentencepiece.model", "target_sentencepiece.model")
"""The names of the models of each language."""
_FILES = {"model.bin", "config.json", SENTENCEPIECE, *SENTENCEPIECES}
_FILES |= {f"{name}_vocabulary.json" for name in ("shared", "source", "target")}


def check_free(path: str):
    """Refuse a folder that holds anything but an earlier model of this kind."""
    if not os.path.isdir(path):
        return
    found = set(os.listdir(path))
    others = sorted(found - _FILES)
    if others or found and "model.bin" not in found:
        raise BadInput(
            f"{path}: expected a new or empty folder, or one with a CTranslate2 model to replace, found "
            f"{(others or sorted(found))[0]!r} in it"
        )


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[str]:
    """A new folder beside `path` that takes its place when the block succeeds, and is removed when the block fails."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    check_free(path)
    with tempfile.TemporaryDirectory(
        prefix=f"{os.path.basename(path)}.", suffix=".tmp", dir=os.path.dirname(path)
    ) as beside:
        new = os.path.join(beside, "new")
        os.mkdir(new)  # with the permissions of any folder, unlike the one around it
        yield new
        if os.path.isdir(path):
            check_free(path)
            os.rename(path, os.path.join(beside, "old"))
        os.rename(new, path)
