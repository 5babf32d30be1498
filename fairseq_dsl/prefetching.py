"""fairseq's thread that prepares batches ahead, made to end when nobody wants its batches any more.

It is a daemon: one that is inside torch while the interpreter ends takes the whole process down with it ("terminate
called without an active exception", exit code 134). It lives on where a training stops within an epoch.
"""

import atexit
import contextlib
import queue
import threading
import weakref
from typing import List

from fairseq.data import iterators

SECONDS_TO_STOP = 60  # for a thread that waits for a data set that hangs: that one is outside torch


class _Stopped(BaseException):
    """Ends the thread from within: fairseq hands on what is an `Exception`, through a queue that may be full."""


class StoppableConsumer(iterators.BackgroundConsumer):
    """fairseq's thread, which looks before each batch whether it has been stopped."""

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
            self._source = None  # with it the processes that load the data, where they are not kept for other epochs

    def stop(self):
        """Have the thread end before its next batch; nobody may be waiting for one any more."""
        if not self.is_alive():
            return  # it has ended, or this is a forked process, where it does not run
        self.stopped = True
        if self is not threading.current_thread():
            with contextlib.suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()  # it may be waiting for a place: there is one for its last batch now


def running() -> List[StoppableConsumer]:
    """All such threads but this one."""
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    return [thread for thread in others if isinstance(thread, StoppableConsumer)]


def end(consumers: List[StoppableConsumer]):
    """Stop threads and wait until they have ended."""
    for consumer in consumers:
        consumer.stop()
    for consumer in consumers:
        consumer.join(SECONDS_TO_STOP)


def install():
    """Have fairseq use such threads, and stop each when the iterator that it works for is discarded or Python ends."""
    create = iterators.BufferedIterator._create_consumer

    def create_consumer(self):
        # The next iterator may draw from the same data loader, whose processes outlive an epoch.
        end([consumer for consumer in running() if consumer.stopped])
        create(self)
        weakref.finalize(self, self._consumer.stop)

    iterators.BackgroundConsumer = StoppableConsumer
    iterators.BufferedIterator._create_consumer = create_consumer
    atexit.register(lambda: end(running()))
