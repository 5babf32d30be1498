"""What is built appears complete or not at all, and nothing is written where somebody could have planted a link."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from recipes import PREPARE, file_contents, options, prepare, write

from fairseq_dsl_cli.preparing.options import RecipeError


def test_a_run_writes_nowhere_that_could_be_prepared(raw, tmp_path, preprocess_calls):
    data, precious = tmp_path / "data", tmp_path / "precious"
    write(precious / "thesis.txt", ["mine"])
    data.mkdir()
    for name in (".x.partial", f".x.{'0' * 32}.partial", ".x-text.partial"):
        (data / name).symlink_to(precious)
    prepare(raw, options(data / "x"))
    assert file_contents(precious) == {Path("thesis.txt"): b"mine\n"}
    assert {path.name for path in data.iterdir() if not path.is_symlink()} == {"x", "x-text", "x-lm.de", "x-lm.en"}


def test_a_lock_that_is_a_link_is_refused(raw, tmp_path, preprocess_calls):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".x.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(RecipeError, match="x cannot be created: .*x.lock"):
        prepare(raw, options(tmp_path / "data" / "x"))
    assert not (tmp_path / "precious").exists()


def test_a_full_disk_is_said_in_one_line(raw, tmp_path):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [*PREPARE, "-s", "de", "-t", "en", "--raw", raw, "--out", tmp_path / "data" / "x"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable},
                          preexec_fn=limit_files)  # fmt: skip
    message = f"{tmp_path}/data/x cannot be created: [Errno 27] File too large"
    assert done.returncode == 1 and done.stderr == f"fairseq-dsl prepare: error: {message}\n"
    assert not list((tmp_path / "data").iterdir())


def test_folders_take_their_places_together_or_not_at_all(raw, tmp_path, preprocess_calls, monkeypatch):
    out = tmp_path / "data" / "x"
    prepare(raw, options(out))
    before = file_contents(out.parent)
    rename = Path.rename

    def full_disk(source, target):
        if target == out and "replaced" not in source.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(RecipeError, match="x cannot be created: .*No space left on device"):
        prepare(raw, options(out, vocab_size=90))
    assert file_contents(out.parent) == before
