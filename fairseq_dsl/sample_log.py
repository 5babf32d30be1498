"""The samples that a method learned from, written down so that whatever it estimated by them can be computed again."""

import contextlib
import glob
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
    """``samples.WORKER.jsonl``: a line of JSON for each sentence that this worker sampled for.

    Each sentence of each batch of each update is there once, in this order, whatever interrupted the run: what an
    update wrote is dropped when it is made again. `BadInput` is raised where the file cannot be written, or is none.

    Args:
        folder: of ``--save-samples``; it is made when training begins.
        workers, worker: how many train together, and which of them this is.
    """

    def __init__(self, folder: str, workers: int = 1, worker: int = 0):
        self.folder, self.workers, self.worker = folder, workers, worker
        self.path = os.path.join(folder, f"samples.{worker}.jsonl")
        self._update, self._batch, self._dummy = 0, 0, False
        self._update_begins = True
        self._last: Optional[Tuple[int, int]] = None  # the update whose lines are last in the file, and where they begin
        check_folder("--save-samples", folder)

    def begin_update(self):
        """The next batch is the first of an update, or of another attempt at it: half precision skips some."""
        self._update_begins = True

    def begin_batch(self, update: int, dummy: bool):
        """The lines to come are of this update's next batch; of a dummy, whose gradient is none, they are not written."""
        self._update, self._dummy = update, dummy
        self._batch = 0 if self._update_begins else self._batch + 1
        if self._update_begins:
            self._update_begins = False
            with self._explained():
                self._drop_from(update)

    def write(self, lines: Iterable[Dict[str, Any]]):
        """Append lines; each gets the numbers of its update, and of its batch within that."""
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
        """This worker's file; for the first worker also those of workers that there are no longer."""
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
    """Drop the lines of an update and later ones, and lines that were cut.

    With the first update another run begins: then the whole file is renamed and kept.
    """
    with _opened(path, "rb") as file:
        if update:
            with written_atomically(path) as kept:
                kept.writelines(line for line in file if _update_of(line) < update)
        elif os.fstat(file.fileno()).st_size:
            kept = next(name for name in (f"{path}.{number}" for number in range(1, 10**9)) if not os.path.lexists(name))
            os.rename(path, kept)
            logger.warning(f"{path}: held samples of an earlier run; they are kept as {kept}")


def _update_of(line: bytes) -> float:
    """The update that a line is of; infinite for one that was cut."""
    try:
        return int(json.loads(line)["update"]) if line.endswith(b"\n") else math.inf
    except (ValueError, TypeError, KeyError):
        return math.inf


@contextlib.contextmanager
def _opened(path: str, mode: str) -> Iterator[IO]:
    """Open an ordinary file, which appending makes: nothing that a symbolic link leads to."""
    flags = os.O_RDONLY if mode == "rb" else os.O_RDWR | os.O_APPEND | os.O_CREAT
    with open(os.open(path, flags | os.O_NONBLOCK | NO_LINK, 0o666), mode) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no ordinary file")
        yield file


def symbols(sentence: Tensor, dictionary: Dictionary) -> str:
    """A sentence's symbols as they are, also ``<s>`` and ``<unk>``, but for the ``</s>`` that each ends with.

    `Dictionary.encode_line` reads them back.
    """
    return " ".join(dictionary[symbol] for symbol in sentence[:-1].tolist())


def as_json(value: Any) -> str:
    """As JSON; numbers that are not finite, such as of a probability that is not known, are null."""

    def finite(value):
        if isinstance(value, dict):
            return {key: finite(part) for key, part in value.items()}
        if isinstance(value, list):
            return [finite(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)
