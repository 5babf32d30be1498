"""Processes that score sentences together."""

import collections
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Deque, Iterator, List, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import Marginal
from fairseq_dsl.marginals.computing import in_this_process

BATCHES = 8  # that a process is given at a time
AHEAD = 3  # of these, for each process


class Pool:
    """Scores batches in several processes, which share the threads of this one, or the GPUs.

    Args:
        workers: how many processes.
    """

    def __init__(self, workers: int):
        self.workers = workers

    def score_batches(
        self, marginal: Marginal, sentences: Dataset, batches: Sequence[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """As `fairseq_dsl.marginals.computing.in_this_process`."""
        chunks = [list(batches[k : k + BATCHES]) for k in range(0, len(batches), BATCHES)]
        workers = min(self.workers, len(chunks))
        if workers < 2:
            yield from in_this_process(marginal, sentences, batches)
            return
        marginal.release()  # each process loads its own
        # Not by fork: torch's threads, which this process has used, hang in its children.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["fairseq_dsl.marginals"])
        threads = max(torch.get_num_threads() // workers, 1)
        given = pickle.dumps((marginal, sentences))  # here: tensors would be sent as files, of which few may be open
        begin = (given, threads, context.Value("i", 0))
        waiting: Deque[Future] = collections.deque()
        try:
            with ProcessPoolExecutor(workers, context, _begin, begin) as executor:
                try:
                    for chunk in chunks:
                        waiting.append(executor.submit(_score, chunk))
                        if len(waiting) > AHEAD * workers:
                            yield from waiting.popleft().result()
                    while waiting:
                        yield from waiting.popleft().result()
                finally:
                    for future in waiting:  # interrupted
                        future.cancel()
        except BrokenProcessPool as error:
            raise BadInput(
                f"--workers {self.workers}: a worker process was killed, perhaps for lack of memory; give fewer; "
                "the same command goes on from what is scored"
            ) from error


_given: Any = None  # in a process of the pool: the marginal and the sentences


def _begin(given: bytes, threads: int, begun: Any):
    global _given
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first process says what to do
    torch.set_num_threads(threads)
    with begun.get_lock():
        number, begun.value = begun.value, begun.value + 1
    marginal, sentences = pickle.loads(given)
    if marginal.device.type == "cuda":
        marginal.to(torch.device("cuda", number % torch.cuda.device_count()))
    _given = marginal, sentences


def _end_with_parent():
    """Leave no orphan where the command is killed: it is no child of the command, but of a server that waits for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _score(batches: List[np.ndarray]) -> List[np.ndarray]:
    marginal, sentences = _given
    return list(in_this_process(marginal, sentences, batches))
