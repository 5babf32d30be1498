"""Text files: read as lines, and written so that nobody reads half of one."""

import sys
from pathlib import Path
from typing import List


def read_lines(path: str) -> List[str]:
    """The lines of a file; ends the command where it is not UTF-8."""
    with open(path, encoding="utf-8-sig") as file:  # Windows writes a mark at the start, which is no text
        try:
            text = file.read()
        except UnicodeDecodeError as error:
            sys.exit(f"{path}: not UTF-8 ({error.reason} at byte {error.start + 1})")
    lines = text.split("\n")
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def write(path: Path, text: str) -> None:
    """Writes a file; it is there completely or not at all."""
    from fairseq_dsl.files import written_atomically

    with written_atomically(str(path), "w", encoding="utf-8") as file:
        file.write(text)
