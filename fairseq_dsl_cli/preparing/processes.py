"""Commands that a recipe runs, and shows as its reader could type them."""

import shlex
from pathlib import Path
from typing import Sequence, Tuple

from .. import children


def run(command: Sequence[str], **options) -> Tuple[int, str]:
    """Run a command that ends when this process does, however that ends; return its exit code and output.

    Args:
        options: passed to `subprocess.Popen`; ``stdout=None`` and ``stderr=None`` show the output instead.
    """
    process = children.start(command, **options)
    try:
        output, _ = process.communicate()
    finally:
        children.stop([process])
    return process.returncode, output


def show(command: Sequence[str], folder: Path) -> None:
    """Print a command as the reader could type it, in the folder where its result will be."""
    print(f"cd {shlex.quote(str(folder))} && {shlex.join(command)}", flush=True)
