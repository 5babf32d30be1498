"""The folder that a training writes to: it can be written, and no other training writes there."""

import errno
import fcntl
import os
import socket
import tempfile
from typing import Dict, Tuple

from .errors import BadInput
from .files import NO_LINK

LOCK = ".fairseq-train.lock"  # scripts/step.py has a lock of its own there, .lock

_held: Dict[Tuple[int, str], int] = {}  # descriptors of the lock files by process and folder, open until it ends


def verify_save_dir(save_dir: str):
    """Make the folder where it is missing, and lock it against other trainings until this process ends.

    In place of fairseq's check, which only the first of several workers makes, and which writes to ``save_dir/dummy``,
    also where that is a symbolic link.
    """
    try:
        os.makedirs(save_dir, exist_ok=True)
        _lock(save_dir)
        with tempfile.TemporaryFile(dir=save_dir):
            pass
    except OSError as error:
        raise BadInput(f"--save-dir {save_dir}: cannot be written ({error.strerror}: {error.filename})") from error


def _lock(save_dir: str):
    holding = os.getpid(), os.path.realpath(save_dir)  # a forked process has a copy, and no lock
    if holding in _held:
        return  # of an earlier training in this process
    descriptor = os.open(os.path.join(save_dir, LOCK), os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
    try:
        # A lock of the process, unlike flock's: the processes that load data do not inherit it. They live on for some
        # seconds when the training is killed, which may be resumed at once.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return  # a file system without locks
        holder = os.read(descriptor, 200).decode(errors="replace")
        os.close(descriptor)
        raise BadInput(
            f"--save-dir {save_dir}: another training writes there ({holder}); give another --save-dir, or wait until "
            "that one has ended"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    _held[holding] = descriptor
