#!/usr/bin/env python3
"""Runs several commands at the same time, with a line of progress for each.

    scripts/parallel.py scripts/train_lm.sh A B ::: scripts/train_lm.sh C D

Prints what they print, and ends with the first exit code that is not 0. If one fails, the others run to their end: what
they train is kept. Ctrl-C ends them all. (make -j and xargs -P would mix the commands' lines of progress.)
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
    commands = split(sys.argv[1:])
    if not commands or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    for command in commands:
        if not shutil.which(command[0]):
            sys.exit(f"parallel.py: error: {command[0]!r} is not a command")
    status = StatusLine()
    environment = dict(os.environ, **{PIPED: "1"})
    states = [""] * len(commands)
    guard = threading.Lock()
    processes = [children.start(command, env=environment) for command in commands]
    threads = [
        threading.Thread(target=relay, args=(process, number, states, status, guard), daemon=True)
        for number, process in enumerate(processes)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = [process.wait() for process in processes]
    except KeyboardInterrupt:
        children.stop(processes)
        status.close()
        return 130
    status.close()
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


if __name__ == "__main__":
    main.end("parallel.py", run)
