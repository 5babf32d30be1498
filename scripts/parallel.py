#!/usr/bin/env python3
"""Runs several commands at the same time, with a line of progress for each.

    scripts/parallel.py [--jobs N] scripts/train_lm.sh A B ::: scripts/train_lm.sh C D

Prints what they print, and ends with the first exit code that is not 0. With --jobs at most N run at a time, in this
order. If one fails, those that have begun run to their end (what they train is kept), and no other begins. Ctrl-C ends
them all. (make -j and xargs -P would mix the commands' lines of progress.)
"""

import os
import shutil
import sys
import threading

from fairseq_dsl_cli import children, main
from fairseq_dsl_cli.progress import MARK, PIPED, StatusLine

SEPARATOR = ":::"


def split(words):
    """
    >>> split(["a", "b", ":::", "c"])
    [['a', 'b'], ['c']]
    """
    commands = [[]]
    for word in words:
        if word == SEPARATOR:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def relay(process, number, states, status, guard):
    """Passes the lines of one child on: its progress joins the others' at the bottom, all else stays."""
    for line in process.stdout:
        with guard:
            if line.startswith(MARK):
                states[number] = line[len(MARK) :].rstrip("\n")
                status.update(*filter(None, states))
            else:
                status.message(line.rstrip("\n"))
    with guard:
        states[number] = ""


def run():
    words, jobs = sys.argv[1:], None
    if words[:1] == ["--jobs"]:
        jobs = "".join(words[1:2])
        if not (jobs.isdecimal() and int(jobs)):
            sys.exit(f"parallel.py: error: --jobs: expected a number above 0, found {jobs!r}")
        words = words[2:]
    commands = split(words)
    if not commands or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    for command in commands:
        if not shutil.which(command[0]):
            sys.exit(f"parallel.py: error: {command[0]!r} is not a command")
    return run_all(commands, int(jobs or len(commands)))


def run_all(commands, jobs):
    """Returns the exit code: 0, or that of the first command that failed."""
    status = StatusLine()
    environment = dict(os.environ, **{PIPED: "1"})
    states = [""] * len(commands)
    codes = [0] * len(commands)
    guard = threading.Lock()
    waiting = iter(enumerate(commands))
    processes = []

    def work():
        while True:
            with guard:
                number, command = next(waiting, (None, None)) if not any(codes) else (None, None)
                if command is None:
                    return
                process = children.start(command, env=environment)
                processes.append(process)
            relay(process, number, states, status, guard)
            codes[number] = process.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(commands)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        children.stop(processes)
        status.close()
        return 130
    status.close()
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


if __name__ == "__main__":
    main.end("parallel.py", run)
