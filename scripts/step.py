#!/usr/bin/env python3
"""Runs one training command as a step that can be repeated, interrupted and resumed.

    scripts/step.py SAVE_DIR -- \\
        fairseq-train DATA ... --save-dir SAVE_DIR --log-file SAVE_DIR/train.log --log-format json

* prints the command, and then a line of progress instead of fairseq's log, which is kept in SAVE_DIR/train.log;
* does nothing if the same command on the same input files has already ended well in SAVE_DIR;
* resumes from SAVE_DIR/checkpoint_last.pt (fairseq does) if it was interrupted;
* refuses a SAVE_DIR begun with another command or other input files: resuming there would mix two experiments.

The train_*.sh scripts and those of methods/ call it. (Not make's business: a step's identity is its command and the
content of its input files, not their age, and a folder begun with others is refused, not overwritten.)
"""

import argparse
import contextlib
import fcntl
import itertools
import os
import shlex
import shutil
import sys
import time
from collections import deque
from pathlib import Path

from files import written_atomically

from fairseq_dsl_cli import arguments, children, main, trainlog
from fairseq_dsl_cli.inputs import checksum, files_of
from fairseq_dsl_cli.progress import StatusLine, meter

_LINES_OF_A_FAILURE = 30
_SECONDS_FOR_A_LOCK = 30


def without_overridden(command):
    """Leaves out the flags, with their values, that a later one of the same name replaces.

    >>> shlex.join(without_overridden(shlex.split("train data --lr 0.1 --cpu --betas '(0.9, 0.98)' --lr 0.2")))
    "train data --cpu --betas '(0.9, 0.98)' --lr 0.2"
    """
    flags = [[]]  # each a flag and its values; the first, what stands before all flags
    for word in command:
        if word.startswith("-") and word[1:2] not in "0123456789.":
            flags.append([])
        flags[-1].append(word)
    last = {words[0].split("=")[0]: number for number, words in enumerate(flags) if words}
    kept = (words for number, words in enumerate(flags) if words and last[words[0].split("=")[0]] == number)
    return list(itertools.chain.from_iterable(kept))


def identity(command, save_dir):
    """Returns the text that tells whether two steps are the same: the command, and the content of its files."""
    lines = [shlex.join(command), *(f"{file} {checksum(file)}" for file in files_of(command, besides=save_dir))]
    return "\n".join(lines) + "\n"


def is_same(old, new):
    """Whether two identities are of the same step. Those of version 0.2 know of a folder's index files alone."""
    if ".idx " in old and ".bin " not in old:
        return set(old.splitlines()) <= set(new.splitlines())
    return old == new


def read(path):
    """The text of a note that an earlier run left; empty if there is none, or a full disk left a part of it."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return text if text.endswith("\n") else ""


def write(path, text):
    with written_atomically(str(path), "w", encoding="utf-8") as file:
        file.write(text)


def difference(old, new):
    """Names what differs between two identities, for a person."""
    old_command, *old_files = old.splitlines()
    new_command, *new_files = new.splitlines()
    if old_command != new_command:
        old_words, new_words = shlex.split(old_command), shlex.split(new_command)
        gone = [word for word in old_words if word not in new_words]
        come = [word for word in new_words if word not in old_words]
        return f"its command had {shlex.join(gone) or 'nothing'} where this one has {shlex.join(come) or 'nothing'}"
    changed = sorted({line.rsplit(" ", 1)[0] for line in set(old_files) ^ set(new_files)})
    return f"these input files have changed since: {', '.join(changed)}"


def lock(save_dir, status):
    """Keeps a second trainer out of `save_dir`.

    The lock is the open file's, which the trainer inherits: it holds as long as one of the two lives. (portalocker
    would follow a symbolic link that somebody put at the file's place.)
    """
    handle = os.open(save_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    deadline = time.monotonic() + _SECONDS_FOR_A_LOCK
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"{save_dir}: another process trains there; wait for it or stop it first")
            status.update(f"{save_dir.name}: waiting for another process that trains there")
            time.sleep(0.5)


class Progress:
    """Turns the lines of a training log into a line of progress and a few messages."""

    def __init__(self, name, command, status):
        self.name = name
        self.status = status
        self.total = _number_given(command, "--max-update")
        self.epochs = _number_given(command, "--max-epoch")
        self.start = None  # (seconds, updates) at the first line: the speed counts from here

    def read(self, line):
        parsed = trainlog.parse_line(line)
        if parsed is None:
            fields = line.rstrip("\n").split(" | ", 3)
            if len(fields) == 4 and (fields[2].startswith("fairseq_dsl") or fields[1] in ("WARNING", "ERROR")):
                self.status.message(f"{self.name}: {fields[3]}")
        elif parsed[0] == "train_inner":
            self._show(parsed[1])
        elif parsed[0] == "valid":
            shown = [key for key in parsed[1] if key.split("_")[0] in ("ppl", "bleu") or key == "duality_gap"]
            numbers = ", ".join(f"{key} {parsed[1][key]:g}" for key in shown)
            self.status.message(f"{self.name}: validation at update {parsed[1].get('num_updates', 0):g}: {numbers}")

    def _show(self, statistics):
        updates, epoch = statistics.get("num_updates"), statistics.get("update")
        if updates is None:
            return  # a line of JSON, but not of fairseq's progress
        now = time.monotonic()
        self.start = self.start or (now, updates)
        total = self.total or (updates * self.epochs / epoch if self.epochs and epoch else 0)
        note = f"ppl {statistics['ppl']:g}" if "ppl" in statistics else ""
        self.status.update(meter(f"{self.name} updates", updates, total, now - self.start[0], self.start[1], note))


def _number_given(command, flag):
    """The number given with `flag` in a command; None if there is none, or another text that fairseq will refuse."""
    for word, following in zip(command, [*command[1:], ""]):
        if word == flag or word.startswith(f"{flag}="):
            with contextlib.suppress(ValueError):
                return float(word.partition("=")[2] or following)
    return None


def run():
    parser = arguments.Parser(__doc__)
    parser.add_argument(
        "save_dir",
        metavar="SAVE_DIR",
        type=arguments.output_folder,
        help="folder of the checkpoints, the log and the notes of this step",
    )
    parser.add_argument(
        "command",
        metavar="-- COMMAND",
        nargs=argparse.REMAINDER,
        help="the command, its output in fairseq's JSON log format",
    )
    args = parser.parse_args()
    command = without_overridden(args.command[1:] if args.command[:1] == ["--"] else args.command)
    if not command:
        parser.error("expected a command after --")
    if not shutil.which(command[0]):
        parser.error(f"expected a command after --, found {command[0]!r}, which is not one")
    save_dir = Path(args.save_dir)
    save_dir.mkdir(parents=True, exist_ok=True)
    begun, done = save_dir / "begun.txt", save_dir / "done.txt"
    status = StatusLine()

    held = lock(save_dir, status)
    this = identity(command, save_dir)
    earlier = read(begun)
    if earlier and not is_same(earlier, this):
        sys.exit(
            f"{save_dir} was begun differently: {difference(earlier, this)}. "
            f"Remove that folder or name another one; to resume in it all the same, remove {begun}."
        )
    status.message(f"$ {shlex.join(command)}")
    finished = read(done)
    if finished and is_same(finished, this):
        status.message(f"{save_dir.name}: already done, see {save_dir}")
        return 0
    write(begun, this)
    if (save_dir / "checkpoint_last.pt").exists():
        status.message(f"{save_dir.name}: resumes from {save_dir / 'checkpoint_last.pt'}")

    progress = Progress(save_dir.name, command, status)
    status.update(f"{save_dir.name}: starting")
    tail = deque(maxlen=_LINES_OF_A_FAILURE)
    process = children.start(command, pass_fds=[held])
    try:
        for line in process.stdout:
            tail.append(line)
            progress.read(line)
        code = process.wait()
    except KeyboardInterrupt:
        children.stop([process])
        status.close()
        print(f"{save_dir.name}: interrupted; the same command resumes from the last checkpoint")
        return 130
    status.close()
    if code:
        print("".join(tail), end="")
        print(
            f"{save_dir.name}: failed with exit code {code}; above are the last lines of its output, "
            f"the whole log is {save_dir / 'train.log'}"
        )
        if not (save_dir / "checkpoint_last.pt").exists():
            begun.unlink(missing_ok=True)  # there is nothing to resume from: a corrected command may begin
        return code if code > 0 else 128 - code
    write(done, this)
    return 0


if __name__ == "__main__":
    main.end("step.py", run)
