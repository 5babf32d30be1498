"""The ``--save-dir`` of a training run: it can be written, and no other run writes there."""

import errno
import fcntl
import os
import socket
import tempfile
from typing import Dict, Tuple

from fairseq import checkpoint_utils

from ..errors import BadInput
from ..files import NO_LINK

LOCK = ".fairseq-train.lock"  # scripts/step.py has a lock of its own there, .lock

_held: Dict[Tuple[int, str], int] = {}  # descriptors of lock files by process and folder, open until the process ends


def lock():
    """fairseq lets several training runs write to one ``--save-dir``: refuse the second with `verify_save_dir`."""
    checkpoint_utils.verify_checkpoint_directory = verify_save_dir


def verify_save_dir(save_dir: str):
    """Create the folder if it is missing, and lock it against other training runs until this process ends.

    Replaces fairseq's check, which only the first of several workers makes, and which writes to ``save_dir/dummy`` even
    if that is a symbolic link.
    """
    try:
        os.makedirs(save_dir, exist_ok=True)
        _lock(save_dir)
        with tempfile.TemporaryFile(dir=save_dir):
            pass
    except OSError as error:
        raise BadInput(f"--save-dir {save_dir}: cannot be written ({error.strerror}: {error.filename})") from error


def _lock(save_dir: str):
    holder = os.getpid(), os.path.realpath(save_dir)  # a forked process inherits the dictionary but not the lock
    if holder in _held:
        return  # an earlier training run in this process has locked it
    descriptor = os.open(os.path.join(save_dir, LOCK), os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
    try:
        # Unlike flock's, this lock belongs to the process, and processes that load data do not inherit it: they outlive
        # a killed run by some seconds, and the run may be resumed at once.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return  # a file system without locks
        other = os.read(descriptor, 200).decode(errors="replace")
        os.close(descriptor)
        raise BadInput(
            f"--save-dir {save_dir}: another training run writes there ({other}); expected a folder of its own: give "
            "another --save-dir, or wait until that run has ended"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
    _held[holder] = descriptor
