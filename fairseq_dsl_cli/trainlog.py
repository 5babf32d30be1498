"""The statistics in a log that fairseq wrote with `--log-format json`.

On the standard output a line is `TIME | INFO | TAG | {"num_updates": "40", "loss": "9.1", ...}`, among lines of other
loggers; in a `--log-file` it is the part in braces alone. TAG is `train_inner` (every `--log-interval` updates),
`train` (end of an epoch) or the name of an evaluated subset (`valid`, `test`). The last two carry their tag as a prefix
of every key, which is taken off here.
"""

import json
import math


def parse_line(line):
    """Returns (tag, statistics) of one line, or None if it holds none.

    >>> parse_line('2024-01-01 00:00:00 | INFO | valid | {"epoch": 1, "valid_ppl": "7.5", "valid_num_updates": "40"}')
    ('valid', {'epoch': 1.0, 'ppl': 7.5, 'num_updates': 40.0})
    >>> parse_line('{"epoch": 1, "update": 0.5, "ppl": "7.5", "num_updates": "40"}')
    ('train_inner', {'epoch': 1.0, 'update': 0.5, 'ppl': 7.5, 'num_updates': 40.0})
    """
    *fields, text = line.rstrip("\n").split(" | ", 3)
    if not text.startswith("{"):
        return None
    try:
        raw = json.loads(text)
    except json.JSONDecodeError:  # the line that was being written when a run was killed
        return None
    tag = fields[-1] if fields else _tag_of_keys(raw)
    prefix = f"{tag}_"
    numbers = {key[key.startswith(prefix) and len(prefix) :]: _number(value) for key, value in raw.items()}
    return tag, {key: number for key, number in numbers.items() if number is not None}


def _tag_of_keys(keys):
    """Which tag the keys of a line are prefixed with: every line of training has a `num_updates`."""
    ending = "_num_updates"
    return next((key[: -len(ending)] for key in keys if key.endswith(ending)), "train_inner")


def _number(value):
    """None for what is no number; fairseq logs a statistic that it does not know as nan."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def read(path):
    """Returns {tag: {number of updates: statistics}} of a log file, in the order of updates.

    A run that was interrupted repeats the updates since its last checkpoint when it resumes: the later line counts.
    """
    logs = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            parsed = parse_line(line)
            if parsed and "num_updates" in parsed[1]:
                tag, statistics = parsed
                logs.setdefault(tag, {})[int(statistics["num_updates"])] = statistics
    return {tag: dict(sorted(records.items())) for tag, records in logs.items()}


def series(records, key):
    """Returns the updates at which `key` was logged, and its values: two lists of one length."""
    points = [(update, statistics[key]) for update, statistics in records.items() if key in statistics]
    return [update for update, _ in points], [value for _, value in points]
