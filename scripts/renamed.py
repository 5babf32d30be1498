"""The old names of commands that are `fairseq-dsl`'s now. They go with the next version."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as the old scripts did: the repository's commands

from fairseq_dsl_cli.main import PROGRAM, main  # noqa: E402


def run(command):
    """Warn on the standard error, and run `fairseq-dsl COMMAND` with the arguments of this process."""
    print(
        f"{os.path.basename(sys.argv[0])} is now `{PROGRAM} {command}`; this name goes with the next version",
        file=sys.stderr,
    )
    sys.argv = [PROGRAM, command, *sys.argv[1:]]
    main()
