"""Commands of fairseq whose output is kept while they and their files are the same."""

import os
import sys

import pytest

from fairseq_dsl_cli import inputs
from fairseq_dsl_cli.evaluation.jobs import Job


class TestJob:
    @pytest.fixture
    def job(self, tmp_path):
        for name in ("a.pt", "b.pt"):
            (tmp_path / name).write_text(name)

        def make(*more, inputs=("a.pt", "b.pt")):
            inputs_checksums_forgotten()
            command = [sys.executable, "-c", "print('D-0'); print('ran')", *more]
            return Job("job", command, tmp_path / "job.log", [str(tmp_path / name) for name in inputs])

        return make

    def test_is_kept_while_its_command_and_files_are_the_same(self, job):
        assert job().kept() is None
        assert job().run(print, []) == ["D-0", "ran"]
        assert job().kept() == ["D-0", "ran"]
        assert job("--beam", "9").kept() is None
        assert job(inputs=["a.pt"]).kept() is None

    @pytest.mark.parametrize("seconds", [-1000, 0, 1000])
    def test_is_stale_when_a_file_has_other_content_of_whatever_age(self, job, tmp_path, seconds):
        job().run(print, [])
        made = (tmp_path / "job.log").stat().st_mtime
        (tmp_path / "b.pt").write_text("c.pt")  # of the same size
        os.utime(tmp_path / "b.pt", (made + seconds, made + seconds))
        assert job().kept() is None

    def test_is_kept_when_a_file_is_only_newer(self, job, tmp_path):
        job().run(print, [])
        os.utime(tmp_path / "a.pt", (2**31, 2**31))
        assert job().kept() == ["D-0", "ran"]

    @pytest.mark.parametrize("text", ["", "\n", "$ cut"])
    def test_is_run_again_after_a_log_that_a_full_disk_cut(self, job, tmp_path, text):
        (tmp_path / "job.log").write_text(text)
        assert job().kept() is None

    def test_writes_to_no_file_that_a_link_leads_to(self, job, tmp_path):
        (tmp_path / "elsewhere").write_text("mine")
        for name in ("job.log", "job.tmp", "job.log.tmp"):
            (tmp_path / name).symlink_to("elsewhere")
        job().run(print, [])
        assert (tmp_path / "elsewhere").read_text() == "mine"
        assert not (tmp_path / "job.log").is_symlink()


def inputs_checksums_forgotten():
    """A process reads a file once; here several processes are meant."""
    inputs.checksum.cache_clear()
