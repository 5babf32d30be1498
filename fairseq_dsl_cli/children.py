"""Child processes that never outlive the script that started them, even when that is killed.

Shell scripts run a command that ends with them so, `$$` being their own process:

    python fairseq_dsl_cli/children.py $$ COMMAND ...

It imports the standard library alone: venv.sh runs it before anything is installed.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with(parent):
    """Asks Linux to end the calling process when its parent does; elsewhere an orphan runs on until it is done.

    Without it a trainer whose script was killed (`kill -9`) would go on writing checkpoints under the next run. The
    request outlives `exec`, but is not inherited: each process asks for itself.

    Args:
        parent: the parent's process number; where the parent has ended already, the caller ends at once.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


def start(command, **kwargs):
    """Starts `command`; its output and errors come, line by line, from the returned process' `stdout`.

    The process ends with the thread that started it.
    """
    options = dict(
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace", bufsize=1
    )
    options.update(kwargs)
    parent = os.getpid()
    return subprocess.Popen(command, preexec_fn=lambda: end_with(parent), **options)


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


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
