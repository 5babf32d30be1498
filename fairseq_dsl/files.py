"""Writing files so that nobody ever reads a half-written one, nor has it written elsewhere; and telling their content."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import tempfile
import uuid
from typing import IO, Iterator, Optional

UNFINISHED = re.compile(r".*\.[0-9a-f]{32}\.tmp")
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def written_atomically(path: str, mode: str = "wb", **keywords) -> Iterator[IO]:
    """Open a file beside `path`, which replaces it when the block ends well, and is removed when it does not.

    Its name is random and it is made anew, never through a symbolic link: nobody can prepare where it leads. A link at
    `path` itself is replaced, not followed. Unlike `tempfile`'s files, others may read it as the umask says. What a
    killed process left of an earlier attempt is removed.

    Args:
        mode: ``"wb"`` or ``"w"``.
        keywords: as of `open`, such as ``encoding``.

    Raises `OSError` where the folder cannot be written.
    """
    beside, descriptor = _made_anew(path)
    try:
        with open(descriptor, mode, **keywords) as file:
            yield file
            file.flush()
            os.replace(beside, path)  # while the lock is held
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.remove(beside)
        if isinstance(error, OSError):
            error.filename = error.filename or path  # a full disk does not say where
        raise
    remove_unfinished(f"{glob.escape(path)}.*")


def remove_unfinished(pattern: str):
    """Remove the files of `written_atomically` that a killed process left: those that nobody holds the lock of."""
    for path in filter(UNFINISHED.fullmatch, glob.glob(pattern)):
        with contextlib.suppress(OSError):  # in use, gone, or of another user
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
    """What is in the way of files in a folder, which need not exist; None where nothing is known to be."""
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        return f"{there} is not a folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{error.strerror}: {there}"


def _made_anew(path: str):
    while True:
        beside = f"{path}.{uuid.uuid4().hex}.tmp"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return beside, descriptor
        os.close(descriptor)  # somebody took it for abandoned before it was locked
