"""A folder in which a file or folder is built: it appears in its place complete or not at all."""

import contextlib
import fcntl
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Iterator, Optional

from .options import RecipeError


@contextlib.contextmanager
def staging(path: Path, shown: Optional[Path] = None) -> Iterator[Path]:
    """Create an empty folder beside `path`; the block builds in it what it then renames to `path`. Removed in the end.

    Its name is random and it is always new: nobody can plant anything in it, and what outlives a killed run does not
    write into the next run's folder. What killed runs left behind is removed. Only one run at a time builds `path`.

    Raises `RecipeError` if another run builds it, and for every `OSError` in the block.

    Args:
        shown: `path` as the user typed it, for messages.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent / f".{path.name}.lock"):
            for beside in path.parent.iterdir():
                if re.fullmatch(re.escape(f".{path.name}.") + r"[0-9a-f]{32}\.partial", beside.name):
                    shutil.rmtree(beside, ignore_errors=True)
            made = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
            made.mkdir()
            try:
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)  # an error here would hide the first one
    except BlockingIOError:
        raise RecipeError(f"another run is preparing {shown or path}: wait for it to end") from None
    except OSError as error:
        raise RecipeError(f"{shown or path} cannot be created: {error}") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which exists only meanwhile; BlockingIOError if another process holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:  # otherwise its last holder removed it after it was opened here
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)
