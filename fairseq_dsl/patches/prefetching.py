"""fairseq's thread that prepares batches ahead: it ends when nobody needs its batches any more.

It is a daemon, and goes on when training stops within an epoch. A thread that is inside torch when the interpreter ends
takes the process down with it ("terminate called without an active exception", exit code 134).
"""

import atexit
import contextlib
import queue
import threading
import weakref
from typing import List

from fairseq.data import iterators

SECONDS_TO_STOP = 60  # a thread that takes longer waits for a data set that hangs, and so is outside torch


class _Stopped(BaseException):
    """Ends the thread from within. Not an `Exception`: fairseq would pass it on, through a queue that may be full."""


class StoppableConsumer(iterators.BackgroundConsumer):
    """fairseq's thread, which checks before each batch whether it has been stopped."""

    def __init__(self, batches, source, *args):
        super().__init__(batches, self._until_stopped(source), *args)
        self.stopped = False

    def _until_stopped(self, source):
        source = iter(source)
        while True:
            if self.stopped:
                raise _Stopped
            try:
                batch = next(source)
            except StopIteration:
                return
            yield batch

    def run(self):
        try:
            with contextlib.suppress(_Stopped):
                super().run()
        finally:
            self._source = None  # ends the processes that load the data, unless they are kept for other epochs

    def stop(self):
        """Make the thread end before its next batch; nobody may be waiting for one any more."""
        if not self.is_alive():
            return  # it has ended, or this is a forked process, which has no such thread
        self.stopped = True
        if self is not threading.current_thread():
            with contextlib.suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()  # a full queue blocks the thread: make room for its last batch


def running() -> List[StoppableConsumer]:
    """All of these threads but the current one."""
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    return [thread for thread in others if isinstance(thread, StoppableConsumer)]


def end(consumers: List[StoppableConsumer]):
    """Stop threads and wait until they have ended."""
    for consumer in consumers:
        consumer.stop()
    for consumer in consumers:
        consumer.join(SECONDS_TO_STOP)


def stop_threads():
    """fairseq's threads run until the interpreter ends: stop each when its iterator is discarded, or Python ends."""
    create = iterators.BufferedIterator._create_consumer

    def create_consumer(self):
        # The next iterator may use the same data loader, whose processes outlive an epoch.
        end([consumer for consumer in running() if consumer.stopped])
        create(self)
        weakref.finalize(self, self._consumer.stop)

    iterators.BackgroundConsumer = StoppableConsumer
    iterators.BufferedIterator._create_consumer = create_consumer
    atexit.register(lambda: end(running()))
