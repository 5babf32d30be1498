"""How the sides of a ratio are timed."""

import subprocess
import sys

from fairseq_dsl_cli.benchmarks.turns import ratio, take_turns


def test_ratio_is_the_median_of_the_turns():
    seconds = {
        "dual": [(2, 3), (8, 3), (3, 3)],
        "primal": [(1, 1), (1, 1), (1, 2)],
        "reverse": [(1, 1), (1, 1), (2, 2)],
    }
    on_gpu = ratio(seconds, "dual", ["primal", "reverse"], cuda=True)
    assert on_gpu["wall_ratios"] == [1, 4, 1]
    assert on_gpu["wall_seconds"] == [3, 2]
    assert on_gpu["ratio"] == 1  # of wall-clock time; of the medians it would be 1.5
    assert ratio(seconds, "dual", ["primal", "reverse"], cuda=False)["ratio"] == 1.5


def test_the_sides_take_turns():
    calls = []
    sides = {name: lambda name=name: calls.append(f"prepare {name}") or (lambda: calls.append(name)) for name in "ab"}
    seconds = take_turns(sides, 2, cuda=False)
    assert calls == ["prepare a", "a", "prepare b", "b", "prepare b", "b", "prepare a", "a"]
    assert [len(turns) for turns in seconds.values()] == [2, 2]


def test_a_turn_has_the_cpu_time_of_a_child_that_garbage_holds():
    class Batches:
        def __init__(self):
            self.itself = self  # garbage that the collector alone finds, as fairseq's iterators are
            self.process = subprocess.Popen([sys.executable, "-c", "sum(range(2 * 10**7))"])

        def __del__(self):
            self.process.wait()

    def make_batches():
        Batches()

    [(_, cpu)] = take_turns({"a": lambda: make_batches}, 1, cuda=False)["a"]
    assert cpu > 0.1
