"""What is told of scoring: from the first second on, wherever the output goes."""

import io

import pytest

from fairseq_dsl.marginals import ScoringLog, scoring_log


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(scoring_log, "time", clock)
    return clock


def told(clock, interval, batches, tokens, done=0):
    """The lines, by the second in which they come.

    Args:
        batches: the tokens of each, and the seconds that it takes.
    """
    lines = []
    log = ScoringLog(interval, False, lambda line: lines.append((clock.now - Clock.now, line)))
    with log.watching("scoring", tokens, done) as advance:
        for size, seconds in batches:
            clock.now += seconds
            advance(size)
    return lines


def test_lines_come_after_some_batches_with_share_rate_and_time_left(clock):
    assert told(clock, 3, [(100, 2)] * 8, 800) == [
        (0, "scoring: 800 tokens"),
        (6, "scoring: 38%, 50 tokens/s, 00:10 left"),
        (12, "scoring: 75%, 50 tokens/s, 00:04 left"),
        (16, "scoring: done in 00:16, 50 tokens/s"),
    ]


def test_no_half_minute_is_without_a_line(clock):
    lines = told(clock, 10**6, [(10, 7)] * 100, 1000)
    seconds = [second for second, _ in lines]
    assert max(b - a for a, b in zip(seconds, seconds[1:])) == 35  # in which a batch of 7 seconds ends
    assert lines[1] == (35, "scoring: 5%, 1 tokens/s, 11:05 left")


def test_what_was_done_before_counts_in_the_share_and_not_in_the_rate(clock):
    assert told(clock, 1, [(100, 2), (100, 2)], 1000, done=800) == [
        (0, "scoring: 1,000 tokens, of which 80% are done: goes on"),
        (2, "scoring: 90%, 50 tokens/s, 00:02 left"),
        (4, "scoring: done in 00:04, 50 tokens/s"),
    ]


def test_in_a_terminal_a_bar_stands_between_the_first_line_and_the_last(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, lines = Terminal(), []
    monkeypatch.setattr(scoring_log.sys, "stderr", terminal)
    with ScoringLog(1, True, lines.append).watching("scoring", 2000, 500) as advance:
        assert "scoring:  25%" in terminal.getvalue() and "500/2.00k" in terminal.getvalue()
        advance(1000)
    assert len(lines) == 2 and lines[1].startswith("scoring: done in ")
