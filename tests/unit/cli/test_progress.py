"""Lines of progress: drawn in place on a terminal, a few of them in a file, relayed by parallel.py."""

import io
import os
import pty
import select

import pytest

from fairseq_dsl_cli import progress
from fairseq_dsl_cli.progress import MARK, PIPED, StatusLine


class TestFile:
    def test_gets_messages_at_once_and_progress_every_half_minute(self, monkeypatch):
        now = [0.0]
        monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
        stream = io.StringIO()
        status = StatusLine(stream)
        for second in range(0, 70, 10):
            now[0] = second
            status.update(f"update {second}")
        status.message("validation")
        status.close()
        assert stream.getvalue() == "update 30\nupdate 60\nvalidation\n"

    def test_of_a_child_of_parallel_marks_progress(self, monkeypatch):
        monkeypatch.setenv(PIPED, "1")
        stream = io.StringIO()
        status = StatusLine(stream)
        status.update("update 1")
        status.message("validation")
        status.close()
        assert stream.getvalue() == f"{MARK}update 1\nvalidation\n"


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 10 columns, and what was written to it."""
    monkeypatch.setenv("COLUMNS", "10")
    master, slave = pty.openpty()

    def written():
        text = b""
        while select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 1 << 16)
        return text.decode()

    with os.fdopen(slave, "w") as stream:
        yield stream, written
    os.close(master)


def screen(text):
    """The lines that a terminal shows after it was sent this text."""
    lines, row, column = [""], 0, 0
    position = 0
    while position < len(text):
        character = text[position]
        if text.startswith("\x1b[A", position):
            row, position = row - 1, position + 2
        elif character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        else:
            lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
            column += 1
        position += 1
    return [line.rstrip() for line in lines]


class TestTerminal:
    def test_shows_the_last_lines_below_all_messages(self, terminal):
        stream, written = terminal
        status = StatusLine(stream)
        status.update("a 1", "b 1")
        status.message("first")
        status.update("a 2 is longer than a line", "b 2")
        status.message("second")
        assert [line for line in screen(written()) if line] == ["first", "second", "a 2 is lo", "b 2"]

    def test_shows_messages_alone_in_the_end(self, terminal):
        stream, written = terminal
        status = StatusLine(stream)
        status.update("a 1", "b 1")
        status.message("first")
        status.update("a 2")
        status.close()
        status.message("second")
        assert [line for line in screen(written()) if line] == ["first", "second"]
