"""The samples that a method learned from, stored so that everything estimated from them can be recomputed."""

import contextlib
import glob
import itertools
import json
import logging
import math
import os
import re
import stat
from typing import IO, Any, Dict, Iterable, Iterator, Optional, Tuple

from fairseq.data import Dictionary
from torch import Tensor

from .errors import BadInput
from .files import NO_LINK, written_atomically
from .preflight import check_folder

logger = logging.getLogger(__name__)


class SampleLog:
    """``samples.WORKER.jsonl``: JSON Lines, one for each sentence that this worker drew samples for.

    Each sentence of each batch of each update appears once, in this order, whatever interrupted the run: when an update
    is repeated, its earlier lines are dropped. `BadInput` is raised if the file cannot be written, or is not a plain
    file.

    Args:
        folder: the value of ``--save-samples``; it is created when training begins.
        workers, worker: the number of workers that train together, and the number of this one.
    """

    def __init__(self, folder: str, workers: int = 1, worker: int = 0):
        self.folder, self.workers, self.worker = folder, workers, worker
        self.path = os.path.join(folder, f"samples.{worker}.jsonl")
        self._update, self._batch, self._dummy = 0, 0, False
        self._update_begins = True
        self._last: Optional[Tuple[int, int]] = None  # the last update in the file, and its offset
        check_folder("--save-samples", folder)

    def begin_update(self):
        """The next batch is the first of an update, or of another attempt at one that half precision skipped."""
        self._update_begins = True

    def begin_batch(self, update: int, dummy: bool):
        """The following lines belong to the next batch of this update; those of a dummy batch are not written."""
        self._update, self._dummy = update, dummy
        self._batch = 0 if self._update_begins else self._batch + 1
        if self._update_begins:
            self._update_begins = False
            with self._explained():
                self._drop_from(update)

    def write(self, lines: Iterable[Dict[str, Any]]):
        """Append lines, each with the number of its update and of its batch within the update."""
        if self._dummy:
            return
        with self._explained(), _opened(self.path, "ab") as file:
            for line in lines:
                file.write(as_json({"update": self._update, "batch": self._batch, **line}).encode() + b"\n")

    def _drop_from(self, update: int):
        if self._last is None:
            os.makedirs(self.folder, exist_ok=True)
            for path in self._left_by_an_earlier_process():
                keep_updates_before(update, path)
        with _opened(self.path, "ab") as file:
            if self._last is not None and self._last[0] == update:
                file.truncate(self._last[1])
            self._last = update, file.seek(0, os.SEEK_END)

    def _left_by_an_earlier_process(self) -> Iterator[str]:
        """This worker's file, and for the first worker also those of workers that no longer exist."""
        if os.path.lexists(self.path):
            yield self.path
        for path in glob.glob(os.path.join(glob.escape(self.folder), "samples.*.jsonl")) if self.worker == 0 else ():
            number = re.fullmatch(r"samples\.(\d+)\.jsonl", os.path.basename(path))
            if number and int(number[1]) >= self.workers:
                yield path

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except OSError as error:
            raise BadInput(f"--save-samples {self.folder}: cannot be written ({error})") from error


def keep_updates_before(update: int, path: str):
    """Drop the lines of an update and of later ones, and incomplete lines.

    Update 0 begins another run: then the whole file is kept under another name.
    """
    with _opened(path, "rb") as file:
        if update:
            with written_atomically(path) as shorter:
                shorter.writelines(line for line in file if _update_of(line) < update)
        elif os.fstat(file.fileno()).st_size:
            kept = next(name for name in (f"{path}.{i}" for i in itertools.count(1)) if not os.path.lexists(name))
            os.rename(path, kept)
            logger.warning(f"{path}: contained samples of an earlier run; they are kept as {kept}")


def _update_of(line: bytes) -> float:
    """The update of a line; infinite if the line is incomplete."""
    try:
        return int(json.loads(line)["update"]) if line.endswith(b"\n") else math.inf
    except (ValueError, TypeError, KeyError):
        return math.inf


@contextlib.contextmanager
def _opened(path: str, mode: str) -> Iterator[IO]:
    """Open a plain file, created if it is opened for appending; never through a symbolic link."""
    flags = os.O_RDONLY if mode == "rb" else os.O_RDWR | os.O_APPEND | os.O_CREAT
    with open(os.open(path, flags | os.O_NONBLOCK | NO_LINK, 0o666), mode) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a plain file")
        yield file


def symbols(sentence: Tensor, dictionary: Dictionary) -> str:
    """A sentence's symbols as they are, including ``<s>`` and ``<unk>``, without the final ``</s>``.

    `Dictionary.encode_line` reads them back.
    """
    return " ".join(dictionary[symbol] for symbol in sentence[:-1].tolist())


def as_json(value: Any) -> str:
    """As JSON; numbers that are not finite, such as an unknown probability, are null."""

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(part) for key, part in value.items()}
        if isinstance(value, list):
            return [finite(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)
