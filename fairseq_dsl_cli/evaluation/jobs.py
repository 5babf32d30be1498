"""Commands of fairseq that run at the same time, and whose output is kept."""

import hashlib
import shlex
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import List

from .. import children, texts
from ..inputs import checksum
from ..progress import meter

_LINES_OF_A_FAILURE = 20


@dataclass
class Job:
    """One command of fairseq, and where its output is kept."""

    name: str
    command: List[str]
    log: Path
    inputs: List[str]  # files without whose content the log is stale
    total: int = 0  # lines of hypotheses to come, for the line of progress

    def kept(self):
        """Returns the output of an earlier run of the same command on files of the same content, or None."""
        if not self.log.is_file():
            return None
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return lines[2:] if lines[:2] == self._headlines() else None

    def run(self, show, started):
        """Runs the command, calls `show` with its progress, and returns its lines."""
        process = children.start(self.command)
        started.append(process)
        lines, done = [], 0
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("D-"):
                done += 1
                show(meter(self.name, done, self.total))
        if process.wait():
            tail = "\n".join(deque(lines, maxlen=_LINES_OF_A_FAILURE))
            raise RuntimeError(f"{tail}\n{self.name}: exit code {process.returncode} of: {shlex.join(self.command)}")
        texts.write(self.log, "\n".join([*self._headlines(), *lines]))
        return lines

    def _headlines(self):
        contents = "".join(f"{file} {checksum(file)}\n" for file in self.inputs)
        command = shlex.join(self.command).replace("\n", " ")
        return [f"$ {command}", f"# inputs {hashlib.sha256(contents.encode(errors='surrogateescape')).hexdigest()}"]


def run_all(jobs, workers, status):
    """Runs `jobs`, so many at a time, and returns their lines in the same order."""
    guard, states, started = threading.Lock(), {}, []

    def show(job, text):
        with guard:
            states[job.name] = text
            status.update(*filter(None, states.values()))

    def run(job):
        lines = job.kept()
        with guard:
            taken = "" if lines is None else f"\n{job.name}: taken from {job.log}"
            status.message(f"$ {shlex.join(job.command)}{taken}")
        if lines is None:
            show(job, f"{job.name}: starting")
            lines = job.run(lambda text: show(job, text), started)
            show(job, "")
        return lines

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:  # a failure or Ctrl-C: nothing that was started stays, nothing else starts
            for future in futures:
                future.cancel()
            children.stop(started)
            raise
        finally:
            status.close()
