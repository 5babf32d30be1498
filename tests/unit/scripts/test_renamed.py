"""The old names of commands."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
NAMES = {
    "average_checkpoints": "average",
    "benchmark": "benchmark",
    "evaluate": "evaluate",
    "export": "export",
    "report": "report",
}


@pytest.mark.parametrize(("old", "new"), NAMES.items())
def test_old_names_warn_and_run_the_command(old, new, tmp_path):
    words = [sys.executable, SCRIPTS / f"{old}.py"]
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, cwd=tmp_path, env={})  # no PYTHONPATH
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: fairseq-dsl {new} ")
    assert done.stderr == f"{old}.py is now `fairseq-dsl {new}`; this name goes with the next version\n"
    done = subprocess.run([*words, "--frob"], capture_output=True, text=True, cwd=tmp_path, env={})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"fairseq-dsl {new}: error: ")
