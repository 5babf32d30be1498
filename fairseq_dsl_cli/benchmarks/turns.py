"""Two sides of a ratio, timed in turns."""

import gc
import os
import statistics
import time

import torch


def take_turns(sides, turns, cuda):
    """Lets each of `sides` be timed in turn. Returns {name: [(wall, cpu) seconds of each turn]}.

    Each is a function that prepares a turn, outside the time, and returns the function to be timed.
    """
    seconds = {name: [] for name in sides}
    names = list(sides)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            run = sides[name]()
            gc.collect()
            if cuda:
                torch.cuda.synchronize()
            wall, cpu, children = time.perf_counter(), time.process_time(), children_seconds()
            run()
            if cuda:
                torch.cuda.synchronize()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            # fairseq's commands make batches in a child, which ends, and whose time is known, when nothing refers to it
            gc.collect()
            seconds[name].append((wall, cpu + children_seconds() - children))
    return seconds


def children_seconds():
    """CPU time of the children of this process that have ended."""
    return sum(os.times()[2:4])


def median_wall(turns):
    return statistics.median(wall for wall, _ in turns)


def ratio(seconds, numerator, denominators, cuda):
    """Returns the medians of both sides of a ratio, and of the ratio itself, as a dictionary."""

    def total(names, clock):
        return [sum(turn) for turn in zip(*([one[clock] for one in seconds[name]] for name in names))]

    result = {}
    for label, clock in (("wall", 0), ("cpu", 1)):
        over, under = total([numerator], clock), total(denominators, clock)
        result[f"{label}_seconds"] = [statistics.median(over), statistics.median(under)]
        result[f"{label}_ratio"] = statistics.median(a / b for a, b in zip(over, under))
        result[f"{label}_ratios"] = [round(a / b, 4) for a, b in zip(over, under)]
    result["ratio"] = result["wall_ratio" if cuda else "cpu_ratio"]
    return result
