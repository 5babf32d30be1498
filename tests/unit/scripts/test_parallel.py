"""Commands that run at the same time."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import parallel  # noqa: E402


class TestParallel:
    SCRIPT = [sys.executable, str(SCRIPTS / "parallel.py")]

    def test_runs_commands_at_the_same_time_and_passes_on_what_they_print(self, tmp_path):
        meet = "touch {0}/{1}; until [ -e {0}/{2} ]; do sleep 0.01; done; echo {1}"  # each waits for the other
        words = ["timeout", "30", "sh", "-c", meet.format(tmp_path, "one", "two"), parallel.SEPARATOR]
        words += ["timeout", "30", "sh", "-c", meet.format(tmp_path, "two", "one") + " >&2"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert done.returncode == 0
        assert sorted(done.stdout.split()) == ["one", "two"]

    def test_ends_with_the_code_of_the_failure(self, tmp_path):
        fails = f"until [ -e {tmp_path}/begun ]; do sleep 0.01; done; exit 7"
        words = ["sh", "-c", fails, parallel.SEPARATOR, "sh", "-c", f"touch {tmp_path}/begun; sleep 0.3; echo kept"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (7, "kept\n")

    def test_at_most_so_many_at_a_time_and_none_after_a_failure(self, tmp_path):
        fails = f"until [ -e {tmp_path}/third ]; do sleep 0.01; done; echo 2; exit 3"
        third = f"echo 3; sleep 0.3; touch {tmp_path}/third; sleep 1"
        words = f"--jobs 2 sh -c 'sleep 0.5; echo 1' ::: sh -c '{fails}' ::: sh -c '{third}' ::: ls"
        done = subprocess.run([*self.SCRIPT, *shlex.split(words)], capture_output=True, text=True)
        assert (done.returncode, done.stdout.split()) == (3, ["1", "3", "2"])

    @pytest.mark.parametrize("jobs", ["0", "-1", "x", ""])
    def test_jobs_is_a_number_above_0(self, jobs):
        done = subprocess.run([*self.SCRIPT, "--jobs", jobs, "true"], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "--jobs: expected a number above 0" in done.stderr

    @pytest.mark.parametrize("command", [["nosuch"], ["/dev/null"], [str(SCRIPTS)]])
    def test_starts_nothing_where_one_is_no_command(self, command, tmp_path):
        words = ["touch", str(tmp_path / "started"), parallel.SEPARATOR, *command]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert not (tmp_path / "started").exists()
