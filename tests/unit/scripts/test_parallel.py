"""Commands that run at the same time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import parallel  # noqa: E402


class TestParallel:
    SCRIPT = [sys.executable, str(SCRIPTS / "parallel.py")]

    def test_runs_commands_at_the_same_time_and_passes_on_what_they_print(self):
        begin = time.monotonic()
        words = ["sh", "-c", "sleep 1; echo one", parallel.SEPARATOR, "sh", "-c", "sleep 1; echo two >&2"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert done.returncode == 0
        assert sorted(done.stdout.split()) == ["one", "two"]
        assert time.monotonic() - begin < 1.9

    def test_ends_with_the_code_of_the_failure(self):
        words = ["sh", "-c", "exit 7", parallel.SEPARATOR, "sh", "-c", "sleep 0.3; echo kept"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert done.returncode == 7
        assert "kept" in done.stdout

    @pytest.mark.parametrize("command", [["nosuch"], ["/dev/null"], [str(SCRIPTS)]])
    def test_starts_nothing_where_one_is_no_command(self, command, tmp_path):
        words = ["touch", str(tmp_path / "started"), parallel.SEPARATOR, *command]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert not (tmp_path / "started").exists()
