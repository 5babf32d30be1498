"""The thread that prepares batches ahead ends with the iterator that it works for."""

import threading
import time

import pytest
import torch
from fairseq.data import iterators
from torch.utils.data import DataLoader

from fairseq_dsl.patches import prefetching


@pytest.fixture(autouse=True)
def none_of_other_tests():
    """A training in this process may have been stopped within an epoch, by a test that keeps it."""
    prefetching.end(prefetching.running())


class Squares(torch.utils.data.Dataset):
    """Squares, which take some time and note when they were asked for."""

    def __init__(self, count, seconds=0.0, fails_at=None):
        self.count, self.seconds, self.fails_at = count, seconds, fails_at
        self.asked = []

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        self.asked.append(i)
        time.sleep(self.seconds)
        if i == self.fails_at:
            raise ZeroDivisionError
        return i * i


def ahead(squares, size=3, **keywords):
    return iterators.BufferedIterator(size, DataLoader(squares, batch_size=None, **keywords))


def running():
    """The threads of fairseq's class, whether they can be stopped or not."""
    (fairseqs,) = prefetching.StoppableConsumer.__bases__
    return [thread for thread in threading.enumerate() if isinstance(thread, fairseqs)]


def all_ended(seconds=5.0):
    end = time.time() + seconds
    while running() and time.time() < end:
        time.sleep(0.001)
    return not running()


def until(condition, seconds=5.0):
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.001)
    assert condition()


@pytest.mark.parametrize("workers", [0, 2])
def test_every_batch_comes_in_order(workers):
    assert list(ahead(Squares(20), num_workers=workers)) == [i * i for i in range(20)]
    assert all_ended()


def test_an_error_in_the_data_is_raised_where_batches_are_taken():
    batches = ahead(Squares(20, fails_at=2))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(batches)
    assert all_ended()


def test_a_discarded_iterator_ends_its_thread_that_waits_for_a_place():
    squares = Squares(100)
    batches = ahead(squares, size=3)
    assert next(batches) == 0
    until(lambda: len(squares.asked) == 5)  # one taken, three in the queue, one in hand
    del batches
    assert all_ended()
    assert len(squares.asked) == 5


def test_a_discarded_iterator_ends_its_thread_in_the_middle_of_a_batch():
    squares = Squares(100, seconds=0.05)
    batches = ahead(squares, size=50)
    assert next(batches) == 0
    del batches
    asked = len(squares.asked)
    assert all_ended()
    assert len(squares.asked) <= asked + 1


def test_a_kept_iterator_goes_on_while_another_is_read():
    training = ahead(Squares(20), size=2)
    assert [next(training), next(training)] == [0, 1]
    assert list(ahead(Squares(5))) == [0, 1, 4, 9, 16]
    assert list(training) == [i * i for i in range(2, 20)]


def test_the_next_iterator_waits_for_the_end_of_a_discarded_one():
    squares = Squares(100, seconds=0.1)
    first = ahead(squares, size=50)
    assert next(first) == 0
    (thread,) = running()
    del first
    second = ahead(squares)
    assert thread.is_alive()
    next(second)
    assert not thread.is_alive()


def test_at_the_end_all_threads_are_stopped_and_waited_for():
    kept = [ahead(Squares(100, seconds=0.02), size=size) for size in (1, 50)]
    for batches in kept:
        next(batches)
    assert len(running()) == 2
    prefetching.end(prefetching.running())
    assert running() == []
