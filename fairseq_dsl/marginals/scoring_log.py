"""What is told of scoring while it goes on."""

import contextlib
import sys
import time
from typing import Callable, Iterator

from tqdm import tqdm

MOST_SECONDS = 30  # between two lines


class ScoringLog:
    """A bar in a terminal; elsewhere lines with the share that is done, the rate and the time that is left.

    Args:
        interval: a line comes after so many batches, and after `MOST_SECONDS` at the latest.
        live: whether the standard error is a terminal on which a bar may be drawn.
        write: shows a line.
    """

    def __init__(self, interval: int, live: bool, write: Callable[[str], None]):
        self.interval = interval
        self.live = live
        self.write = write

    @contextlib.contextmanager
    def watching(self, name: str, tokens: int, done: int = 0) -> Iterator[Callable[[int], object]]:
        """Tell of some work, beginning with a line; yields what is to be called after each batch, with its tokens.

        Args:
            name: of the work.
            tokens: how many there are, which tell better than sentences how much is left: these come by length.
            done: how many of them were done before.
        """
        again = f", of which {done / tokens:.0%} are done: goes on" if done else ""
        self.write(f"{name}: {tokens:,} tokens{again}")
        began = time.monotonic()
        with self._bar(name, tokens, done) if self.live else self._lines(name, tokens, done) as advance:
            yield advance
        seconds = time.monotonic() - began
        self.write(f"{name}: done in {tqdm.format_interval(seconds)}, {_rate(tokens - done, seconds)}")

    @staticmethod
    @contextlib.contextmanager
    def _bar(name: str, tokens: int, done: int) -> Iterator[Callable[[int], object]]:
        options = dict(unit=" tokens", unit_scale=True, leave=False, file=sys.stderr)
        with tqdm(total=tokens, initial=done, desc=name, **options) as bar:
            yield bar.update

    @contextlib.contextmanager
    def _lines(self, name: str, tokens: int, done: int) -> Iterator[Callable[[int], object]]:
        began = last = time.monotonic()
        now_done, batches = done, 0

        def advance(of_batch: int):
            nonlocal last, now_done, batches
            now_done += of_batch
            batches += 1
            now = time.monotonic()
            if (batches == self.interval or now - last >= MOST_SECONDS) and now_done < tokens:
                left = (now - began) / (now_done - done) * (tokens - now_done)
                rate = _rate(now_done - done, now - began)
                self.write(f"{name}: {now_done / tokens:.0%}, {rate}, {tqdm.format_interval(left)} left")
                last, batches = now, 0

        yield advance


def _rate(tokens: int, seconds: float) -> str:
    return f"{tokens / max(seconds, 1e-9):,.0f} tokens/s"
