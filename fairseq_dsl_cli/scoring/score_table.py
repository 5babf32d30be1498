"""The file of scores, a line for each pair: written so that a run that was interrupted goes on, and read again."""

import contextlib
import fcntl
import json
import math
import os
from pathlib import Path

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference.scoring import COLUMNS, SCORES

from .. import texts

VERSION = 1  # of what the scores are
LEAST = {"source_length": 1, "target_length": 1, "unknown": 0}
TEXTS = ("source", "target")  # the inputs that `filter` reads too


class Tsv:
    """Columns with a tab between them, under a line of their names; empty where a score is not known."""

    header = "\t".join(COLUMNS) + "\n"

    @staticmethod
    def line(pair):
        return "\t".join(_text(getattr(pair, name)) for name in COLUMNS) + "\n"

    @staticmethod
    def parse(text):
        values = text.split("\t")
        if len(values) != len(COLUMNS):
            raise ValueError(f"{len(values)} columns")
        return dict(zip(COLUMNS, values))


class JsonLines:
    """An object a line; null where a score is not known."""

    header = ""

    @staticmethod
    def line(pair):
        values = {name: getattr(pair, name) for name in COLUMNS}
        known = {name: None if value != value else value for name, value in values.items()}
        known.update({name: float(_text(known[name])) for name in SCORES if known[name] is not None})
        return json.dumps(known, ensure_ascii=False, allow_nan=False) + "\n"

    parse = staticmethod(json.loads)


def _text(value):
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.8g}"
    return str(value)


def _numbers(found):
    """The numbers of a line by column, nan where one is not known; raises ValueError for what cannot be."""
    known = {name: found[name] for name in COLUMNS if name != "reason"}
    numbers = {name: math.nan if value in ("", None) else float(value) for name, value in known.items()}
    for name, value in numbers.items():
        if math.isinf(value) or name not in SCORES and not value >= LEAST[name]:
            raise ValueError(f"{name} {value:g}")
    return numbers


class ScoreTable:
    """The scores of a corpus in a file: JSON Lines where its name ends in .jsonl, else TSV.

    Beside it, ``FILE.inputs.json`` has the digests of what the scores were made from.

    Attributes:
        note: the path of that file.
    """

    def __init__(self, path):
        self.path = path
        self.format = JsonLines if path.endswith(".jsonl") else Tsv
        self.note = Path(f"{path}.inputs.json")

    def inputs(self):
        """What the scores were made from, by name; None if that is not known."""
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @contextlib.contextmanager
    def appending(self, inputs):
        """Opens the file to go on with it; gives a function that writes scores, and how many lines are there already.

        A line that was cut is dropped. Refuses a file that has other inputs, or that another process writes.

        Args:
            inputs: digests by name.
        """
        inputs = {"version": VERSION, **inputs}
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        with open(self.path, "ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise BadInput(f"--output {self.path}: another process writes it ({error.strerror})") from error
            if not os.path.getsize(self.path):
                texts.write(self.note, json.dumps(inputs, indent=2) + "\n")
            self._check(file, inputs)
            lines = _drop_cut_line(file)

            def write(text):
                try:
                    file.write(text.encode())
                    file.flush()
                except OSError as error:
                    error.filename = self.path  # that of a full disk names no file
                    raise

            if not lines:
                write(self.format.header)
            done = max(0, lines - bool(self.format.header))
            yield lambda scores: write("".join(map(self.format.line, scores))), done

    def _check(self, file, inputs):
        """Refuses to go on with a file that is not of these inputs."""
        found = self.inputs()
        if found is None:
            difference = "is no file of fairseq-dsl score"
        else:
            others = [name for name in {**inputs, **found} if inputs.get(name) != found.get(name)]
            difference = others and f"contains the scores of another run, with another {' and '.join(others)}"
        file.seek(0)
        header = file.readline().decode(errors="replace")
        if not difference and header.endswith("\n") and not header.startswith(self.format.header):
            difference = "has other columns"
        if difference:
            raise BadInput(f"--output {self.path}: {difference}; expected a new file, or one to go on with")

    def values(self):
        """The numbers of each line by column, nan where one is not known."""
        with open(self.path, encoding="utf-8", newline="\n") as file:
            if self.format.header and next(file, None) != self.format.header:
                raise BadInput(f"{self.path}:1: expected the columns of fairseq-dsl score, {', '.join(COLUMNS)}")
            for number, line in enumerate(file, 2 if self.format.header else 1):
                try:
                    if not line.endswith("\n"):
                        raise ValueError("a line that was cut")
                    yield _numbers(self.format.parse(line[:-1]))
                except (ValueError, KeyError, TypeError) as error:
                    raise BadInput(f"{self.path}:{number}: expected a line of fairseq-dsl score ({error})") from error


def _drop_cut_line(file):
    """Cuts a file after its last whole line; returns how many lines it has, and leaves its position at the end."""
    file.seek(0)
    lines = end = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        lines, end = lines + 1, end + len(line)
    file.truncate(end)
    file.seek(end)
    return lines
