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
        found = dict(zip(COLUMNS, values))
        return {name: float(value) if value else math.nan for name, value in found.items() if name != "reason"}


class JsonLines:
    """An object a line; null where a score is not known."""

    header = ""

    @staticmethod
    def line(pair):
        values = {name: getattr(pair, name) for name in COLUMNS}
        known = {name: None if value != value else value for name, value in values.items()}
        known.update({name: float(_text(known[name])) for name in SCORES if known[name] is not None})
        return json.dumps(known, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def parse(text):
        found = json.loads(text)
        values = {name: found[name] for name in COLUMNS if name != "reason"}
        return {name: math.nan if value is None else float(value) for name, value in values.items()}


def _text(value):
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.8g}"
    return str(value)


class ScoreTable:
    """The scores of a corpus in a file: JSON Lines where its name ends in .jsonl, else TSV.

    Beside it, ``FILE.inputs.json`` has the digests of what the scores were made from.
    """

    def __init__(self, path):
        self.path = path
        self.format = JsonLines if path.endswith(".jsonl") else Tsv
        self._note = Path(f"{path}.inputs.json")

    def inputs(self):
        """What the scores were made from, by name; None if that is not known."""
        try:
            found = json.loads(self._note.read_text(encoding="utf-8"))
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
        exists = os.path.exists(self.path) and os.path.getsize(self.path)
        if exists and self.inputs() != inputs:
            raise BadInput(
                f"--output {self.path}: {self._difference(inputs)}; expected a new file, or one to go on with"
            )
        if not exists:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            texts.write(self._note, json.dumps(inputs, indent=2) + "\n")
        with open(self.path, "ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise BadInput(f"--output {self.path}: another process writes it ({error.strerror})") from error
            lines = _drop_cut_line(file)
            if self.format.header and not lines:
                file.write(self.format.header.encode())
            done = lines - 1 if self.format.header and lines else lines

            def write(scores):
                file.write("".join(map(self.format.line, scores)).encode())
                file.flush()

            yield write, done

    def _difference(self, inputs):
        found = self.inputs()
        if found is None:
            return "is no file of fairseq-dsl score"
        others = [name for name in {**inputs, **found} if inputs.get(name) != found.get(name)]
        return f"contains the scores of another run, with another {' and '.join(others)}"

    def values(self):
        """The numbers of each line by column, nan where one is not known."""
        with open(self.path, encoding="utf-8", newline="\n") as file:
            if self.format.header and next(file, None) != self.format.header:
                raise BadInput(f"{self.path}:1: expected the columns of fairseq-dsl score, {', '.join(COLUMNS)}")
            for number, line in enumerate(file, 2 if self.format.header else 1):
                try:
                    if not line.endswith("\n"):
                        raise ValueError("a line that was cut")
                    yield self.format.parse(line[:-1])
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
