"""step.py with a stand-in for fairseq-train."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import step  # noqa: E402

TRAINER = """
import json, os, sys, time
save_dir, wait = sys.argv[1], float(sys.argv[2])
open(save_dir + "/pid.txt", "w").write(str(os.getpid()))
open(save_dir + "/ran.txt", "a").write("x")
for n in range(1, 4):
    statistics = json.dumps({"update": 1, "num_updates": str(n), "ppl": "9"})
    print("2024-01-01 00:00:00 | INFO | train_inner | " + statistics, flush=True)
time.sleep(wait)
sys.exit(int(sys.argv[3]))
"""


class TestStep:
    """step.py with a stand-in for fairseq-train."""

    @pytest.fixture
    def command(self, tmp_path):
        trainer = tmp_path / "trainer.py"
        trainer.write_text(TRAINER)

        def make(*more, wait=0, code=0):
            words = [sys.executable, trainer, tmp_path / "run", wait, code, *more]
            return [sys.executable, str(SCRIPTS / "step.py"), str(tmp_path / "run"), "--", *map(str, words)]

        return make

    @staticmethod
    def times_run(tmp_path):
        return len((tmp_path / "run" / "ran.txt").read_text())

    def test_runs_once_and_prints_the_command(self, command, tmp_path):
        first = subprocess.run(command(), capture_output=True, text=True)
        second = subprocess.run(command(), capture_output=True, text=True)
        assert (first.returncode, second.returncode) == (0, 0)
        assert f"$ {shlex.join(command()[4:])}" in first.stdout
        assert "already done" in second.stdout
        assert self.times_run(tmp_path) == 1

    def test_runs_again_after_a_failure_and_shows_its_last_lines(self, command, tmp_path):
        failed = subprocess.run(command(code=3), capture_output=True, text=True)
        assert failed.returncode == 3
        assert '"num_updates": "3"' in failed.stdout
        assert subprocess.run(command(code=3), capture_output=True, text=True).returncode == 3
        assert self.times_run(tmp_path) == 2

    def test_refuses_a_folder_of_another_command(self, command):
        subprocess.run(command("--lr", "0.1"), check=True, capture_output=True)
        other = subprocess.run(command("--lr", "0.2"), capture_output=True, text=True)
        assert other.returncode != 0
        assert "its command had 0.1 where this one has 0.2" in other.stderr

    def test_refuses_a_folder_of_other_input_files(self, command, tmp_path):
        data = tmp_path / "input.pt"
        data.write_text("one")
        subprocess.run(command(data), check=True, capture_output=True)
        data.write_text("two")
        other = subprocess.run(command(data), capture_output=True, text=True)
        assert other.returncode != 0
        assert f"have changed since: {data}" in other.stderr

    def test_takes_a_corrected_command_where_there_is_no_checkpoint_yet(self, command, tmp_path):
        for expected in (1, 0):
            done = subprocess.run(command(code=expected), capture_output=True, text=True)
            assert done.returncode == expected, done.stderr

    def test_takes_no_other_command_where_there_is_a_checkpoint(self, command, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "checkpoint_last.pt").touch()
        assert subprocess.run(command(code=1), capture_output=True).returncode == 1
        other = subprocess.run(command(code=0), capture_output=True, text=True)
        assert "was begun differently" in other.stderr

    @pytest.mark.parametrize("name", ["train.bin", "train.idx", "dict.txt", "anything"])
    @pytest.mark.parametrize("words", ["{0}", "--data={0}", "x:{0}", "--flags=--data {0}"])
    def test_compares_all_of_a_data_folder_by_content(self, command, tmp_path, name, words):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / name).write_text("one")
        words = words.format(tmp_path / "data")
        made = (tmp_path / "data" / name).stat().st_mtime
        subprocess.run(command(words), check=True, capture_output=True)
        (tmp_path / "data" / name).write_text("two")
        os.utime(tmp_path / "data" / name, (made, made))
        other = subprocess.run(command(words), capture_output=True, text=True)
        assert other.returncode != 0
        assert f"have changed since: {tmp_path / 'data' / name}" in other.stderr

    def test_goes_on_in_a_folder_that_version_0_2_began(self, command, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "run").mkdir()
        for name in ("train.bin", "train.idx"):
            (tmp_path / "data" / name).write_text(name)
        words = command(tmp_path / "data")
        lines = step.identity(words[4:], tmp_path / "run").splitlines(keepends=True)
        old = "".join(line for line in lines if ".bin " not in line)
        assert old != "".join(lines)
        for name in ("begun.txt", "done.txt"):
            (tmp_path / "run" / name).write_text(old)
        assert "already done" in subprocess.run(words, capture_output=True, text=True).stdout
        (tmp_path / "data" / "train.idx").write_text("other")
        assert "was begun differently" in subprocess.run(words, capture_output=True, text=True).stderr

    @pytest.mark.parametrize("text", ["", "python3 trai", "'"])
    def test_begins_anew_after_notes_that_a_full_disk_cut(self, command, tmp_path, text):
        (tmp_path / "run").mkdir()
        for name in ("begun.txt", "done.txt"):
            (tmp_path / "run" / name).write_text(text)
        done = subprocess.run(command(), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert self.times_run(tmp_path) == 1
        assert "already done" in subprocess.run(command(), capture_output=True, text=True).stdout

    def test_a_full_disk_is_told_in_one_line_and_the_next_run_works(self, command, tmp_path):
        def full():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))

        failed = subprocess.run(command(), capture_output=True, text=True, preexec_fn=full)
        assert (failed.returncode, failed.stderr) == (1, f"step.py: error: {tmp_path}/run/begun.txt: File too large\n")
        assert subprocess.run(command(), capture_output=True).returncode == 0
        assert self.times_run(tmp_path) == 1

    def test_writes_to_no_file_that_a_link_leads_to(self, command, tmp_path):
        (tmp_path / "elsewhere").write_text("mine")
        (tmp_path / "run").mkdir()
        for name in ("done.tmp", "done.txt.tmp", "begun.tmp", "begun.txt.tmp"):
            (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
        assert subprocess.run(command(), capture_output=True).returncode == 0
        (tmp_path / "run" / ".lock").unlink()
        (tmp_path / "run" / ".lock").symlink_to(tmp_path / "elsewhere")
        refused = subprocess.run(command(), capture_output=True, text=True)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert (tmp_path / "elsewhere").read_text() == "mine"

    @pytest.mark.parametrize("name", ["a b", "it's", 'a"b', "a:b", "ä", "$HOME", "a=b,c"])
    def test_save_folders_have_any_name(self, tmp_path, name):
        words = [sys.executable, str(SCRIPTS / "step.py"), str(tmp_path / name), "--", "true"]
        for _ in range(2):
            done = subprocess.run(words, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
        assert "already done" in done.stdout

    @pytest.mark.parametrize("flags", [["--max-update", "many"], ["--max-update", "0"], ["--max-epoch", "0"]])
    def test_leaves_bad_numbers_to_fairseq(self, command, flags):
        assert subprocess.run(command(*flags), capture_output=True).returncode == 0

    def test_takes_its_trainer_with_it_when_killed(self, command, tmp_path):
        if sys.platform != "linux":
            pytest.skip("only Linux ends the children of a killed process")
        process = subprocess.Popen(command(wait=60), stdout=subprocess.PIPE, text=True)
        while not (tmp_path / "run" / "ran.txt").exists():
            time.sleep(0.05)
        trainer = int((tmp_path / "run" / "pid.txt").read_text())
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while _runs(trainer) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(trainer)
        assert not (tmp_path / "run" / "done.txt").exists()

    def test_is_interrupted_by_ctrl_c(self, command, tmp_path):
        process = subprocess.Popen(
            command(wait=60), stdout=subprocess.PIPE, text=True, start_new_session=True,
            # a shell's background job ignores Ctrl-C, and so would all that the tests start in it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        while not (tmp_path / "run" / "ran.txt").exists():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "resumes from the last checkpoint" in output
        assert not (tmp_path / "run" / "done.txt").exists()


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("flags", [["--max-update", "5", "--max-update", "9"], ["--max-update=5", "--max-update=9"]])
def test_the_last_of_a_repeated_flag_counts(flags):
    command = step.without_overridden(["train", "data", *flags, "--min-loss-scale", "-1", "--cpu"])
    assert command[:2] == ["train", "data"] and command[-3:] == ["--min-loss-scale", "-1", "--cpu"]
    assert "5" not in " ".join(command)
    assert step.Progress("x", command, None).total == 9


def test_difference_names_what_changed():
    assert step.difference("run --lr 1\n", "run --lr 2\n") == "its command had 1 where this one has 2"
