"""Lines of progress that are rewritten in place, with messages above them."""

import os
import shutil
import sys
import time
from typing import List, Optional, TextIO

from tqdm import tqdm

# Set for children of parallel.py: a line of progress then begins with MARK, and parallel.py shows it. Bars that several
# processes draw on one terminal would overwrite each other's messages.
PIPED = "FAIRSEQ_DSL_PIPED_PROGRESS"
MARK = "\x1e"
_SECONDS_BETWEEN_LINES = 30  # where the output is a file, each state of the line would stay: write few


def meter(name: str, done: float, total: float, seconds: float = 0, since: float = 0, note: str = "") -> str:
    """A bar of progress, as tqdm draws it.

    Args:
        total: how much there is to do; 0 where that is not known.
        seconds, since: the time since `since` was done, for the speed and the time that is left.

    >>> meter("de-en", 1, 4)
    'de-en:  25%|##5       | 1/4'
    >>> meter("de-en", 30, 40, seconds=80, since=20, note="ppl 9")
    'de-en:  75%|#######5  | 30/40, 01:20 left, ppl 9'
    >>> meter("de-en", 30, 0, note="ppl 9")
    'de-en: 30, ppl 9'
    """
    left = ""
    if total and seconds and done > since:
        left = f"{tqdm.format_interval(seconds / (done - since) * (total - done))} left"
    layout = "{l_bar}{bar}| {n:g}/{total:.0f}{postfix}" if total else "{desc}: {n:g}{postfix}"
    postfix = ", ".join(filter(None, [left, note]))
    return tqdm.format_meter(done, total, seconds, prefix=name, ascii=True, bar_format=layout, postfix=postfix)


class StatusLine:
    """The lines at the bottom of a terminal; in a file, a state of them now and then."""

    def __init__(self, stream: Optional[TextIO] = None):
        self.stream = stream or sys.stdout
        self.piped = os.environ.get(PIPED) == "1"
        self.live = not self.piped and self.stream.isatty()
        self.bars: List[tqdm] = []  # those that stand at the bottom of the terminal now, one a line
        self.last_written = time.monotonic()

    def update(self, *lines: str) -> None:
        """Shows `lines` in place of those that stood there."""
        if self.piped:
            self._write(*(f"{MARK}{line}" for line in lines))
        elif self.live:
            self._show(lines)
        elif time.monotonic() - self.last_written >= _SECONDS_BETWEEN_LINES:
            self.last_written = time.monotonic()
            self._write(*lines)

    def message(self, text: str) -> None:
        """Prints `text` to stay, above the lines of progress."""
        self._write(text)

    def close(self) -> None:
        """Removes the lines of progress."""
        self._show(())

    def _show(self, lines):
        while len(self.bars) > len(lines):
            self.bars.pop().close()
        while len(self.bars) < len(lines):
            self.bars.append(tqdm(file=self.stream, position=len(self.bars), leave=False, bar_format="{desc}"))
        width = shutil.get_terminal_size().columns - 1  # tqdm's own would be 0 where a terminal does not tell
        for bar, line in zip(self.bars, lines):
            bar.set_description_str(line[:width])

    def _write(self, *lines):
        for line in lines:
            tqdm.write(line, file=self.stream)
        self.stream.flush()
