"""Lines of progress that are rewritten in place, with messages above them."""

import os
import shutil
import sys
import time

# Set for children of parallel.py: a line of progress then begins with MARK, and parallel.py shows it.
PIPED = "FAIRSEQ_DSL_PIPED_PROGRESS"
MARK = "\x1e"
_SECONDS_BETWEEN_LINES = 30  # where the output is a file, each state of the line would stay: write few


def bar(done, total, width=20):
    """
    >>> bar(1, 4, width=8)
    '[##......]  25%'
    """
    share = min(1.0, done / total) if total else 0.0
    filled = int(share * width)
    return f"[{'#' * filled}{'.' * (width - filled)}] {share:4.0%}"


def clock(seconds):
    """
    >>> clock(83)
    '1:23'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class StatusLine:
    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.piped = os.environ.get(PIPED) == "1"
        self.live = not self.piped and self.stream.isatty()
        self.shown = []  # the lines that stand at the bottom of the terminal now
        self.last_written = time.monotonic()

    def update(self, *lines):
        """Shows `lines` in place of those that stood there."""
        if self.piped:
            self._write("".join(f"{MARK}{line}\n" for line in lines))
        elif self.live:
            width = shutil.get_terminal_size().columns - 1
            erase = self._erase()
            self.shown = [line[:width] for line in lines]
            self._write(erase + "\n".join(self.shown))
        elif time.monotonic() - self.last_written >= _SECONDS_BETWEEN_LINES:
            self.last_written = time.monotonic()
            self._write("".join(f"{line}\n" for line in lines))

    def message(self, text):
        """Prints `text` to stay, above the lines of progress."""
        self._write(f"{self._erase()}{text}\n" + "\n".join(self.shown))

    def close(self):
        """Removes the lines of progress."""
        self._write(self._erase())
        self.shown = []

    def _erase(self):
        if not self.shown:
            return ""
        up = f"\x1b[{len(self.shown) - 1}A" if len(self.shown) > 1 else ""
        return f"\r{up}\x1b[J"

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
