"""Child processes that never outlive the script that started them, even when that is killed."""

import ctypes
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent():
    """Asks Linux to end the calling process when its parent ends; elsewhere an orphan runs on until it is done.

    Without it a trainer whose script was killed (`kill -9`) would go on writing checkpoints under the next run.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, **kwargs):
    """Starts `command`; its output and errors come, line by line, from the returned process' `stdout`."""
    options = dict(
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace", bufsize=1
    )
    options.update(kwargs)
    return subprocess.Popen(command, preexec_fn=die_with_parent, **options)


def stop(processes, patience=10):
    """Ends the processes that still run: politely, and after `patience` seconds for certain."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
