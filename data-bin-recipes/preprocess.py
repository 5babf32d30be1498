"""This Python's fairseq-preprocess, of which no process outlives the recipe that started it, --workers included."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
import children


def end_workers_with_their_parent():
    """A forked worker does not inherit its parent's death signal. It would finish its part, and then wait for ever."""
    parent = None

    def before():
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=before, after_in_child=lambda: children.end_with(parent))


if __name__ == "__main__":
    end_workers_with_their_parent()
    sys.argv[0] = "fairseq-preprocess"
    from fairseq_cli.preprocess import cli_main

    cli_main()
