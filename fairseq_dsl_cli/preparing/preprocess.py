"""This Python's fairseq-preprocess, without its two faults: worker processes outlive it, and may vanish unnoticed."""

import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess
from typing import List

from .. import children


def end_workers_with_their_parent() -> None:
    """Make workers end when this process does: otherwise they would finish their part, and then wait for ever.

    A forked worker does not inherit its parent's request to end with its own parent: each makes one.
    """
    parent = 0

    def before():
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=before, after_in_child=lambda: children.end_with(parent))


def end_when_a_worker_fails(finished: threading.Event) -> None:
    """Watch the workers until `finished`; if one is killed, for example for lack of memory, end with an error.

    Left alone, Python's pool of workers starts another one, and waits for ever for the result of the one that was
    killed: https://github.com/python/cpython/issues/96062.
    """
    workers: List[BaseProcess] = []
    start = BaseProcess.start

    def start_watched(self) -> None:
        start(self)
        workers.append(self)

    def watch() -> None:
        while not finished.wait(0.2):
            for worker in list(workers):
                if worker.exitcode:  # None while it runs, 0 when it is done, negative if a signal killed it
                    _fail(worker.exitcode, workers)

    BaseProcess.start = start_watched  # type: ignore[method-assign]
    threading.Thread(target=watch, daemon=True).start()


def _fail(exit_code: int, workers: List[BaseProcess]) -> None:
    cause = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    if exit_code == -signal.SIGKILL:
        cause += ": if memory ran out, give fewer --workers"
    print(f"a worker process ended with {cause}", file=sys.stderr, flush=True)
    for worker in list(workers):
        worker.kill()
    os._exit(1)  # without waiting for the pool


if __name__ == "__main__":
    end_workers_with_their_parent()
    finished = threading.Event()
    end_when_a_worker_fails(finished)
    sys.argv[0] = "fairseq-preprocess"
    from fairseq_cli.preprocess import cli_main

    try:
        cli_main()
    finally:
        finished.set()
