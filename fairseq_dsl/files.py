"""Files that nobody reads half-written, and whose place nobody can redirect; and the digest of a file's content."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import tempfile
import uuid
from typing import IO, Iterator, Optional, Tuple

UNFINISHED = re.compile(r".*\.[0-9a-f]{32}\.tmp")
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def written_atomically(path: str, mode: str = "wb", **keywords) -> Iterator[IO]:
    """Open a file beside `path` that replaces it when the block succeeds, and is removed when the block fails.

    The file's name is random and it is never opened through a symbolic link, so that nobody can plant one. A link at
    `path` itself is replaced, not followed. Unlike with `tempfile`, permissions follow the umask. Files that a killed
    process left behind are removed.

    Args:
        mode: ``"wb"`` or ``"w"``.
        keywords: passed to `open`, such as ``encoding``.

    Raises `OSError` if the folder cannot be written to.
    """
    beside, descriptor = _create_beside(path)
    try:
        with open(descriptor, mode, **keywords) as file:
            yield file
            file.flush()
            os.replace(beside, path)  # while the lock is held
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(beside)
        if isinstance(error, OSError):
            error.filename = error.filename or path  # the error of a full disk does not name the file
        raise
    remove_unfinished(f"{glob.escape(path)}.*")


def remove_unfinished(pattern: str):
    """Remove files of `written_atomically` that a killed process left behind: those that nobody has locked."""
    for path in filter(UNFINISHED.fullmatch, glob.glob(pattern)):
        with contextlib.suppress(OSError):  # in use, gone, or another user's
            descriptor = os.open(path, os.O_RDONLY | NO_LINK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.remove(path)
            finally:
                os.close(descriptor)


def content_digest(path: str) -> bytes:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.digest()


def why_not_writable(folder: str) -> Optional[str]:
    """Why files cannot be written to a folder, which need not exist; None if nothing is known to prevent it."""
    parent = os.path.abspath(folder)  # the folder itself, or its nearest parent that exists
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        return f"{parent} is not a folder"
    try:
        with tempfile.TemporaryFile(dir=parent):
            return None
    except OSError as error:
        return f"{error.strerror}: {parent}"


def _create_beside(path: str) -> Tuple[str, int]:
    """Create and lock a file with a random name; return its path and descriptor."""
    while True:
        beside = f"{path}.{uuid.uuid4().hex}.tmp"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return beside, descriptor
        os.close(descriptor)  # another process took it for abandoned before it was locked
