"""Files are written whole or not at all, and nowhere else than asked."""

import os
import signal
import uuid

import pytest

from fairseq_dsl.files import remove_unfinished, written_atomically


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "file"
    with written_atomically(str(path), "w", encoding="utf-8") as file:
        file.write("é")
        assert not path.exists()
    assert path.read_bytes() == "é".encode()
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), written_atomically(str(path)) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_symbolic_links_are_replaced_and_not_followed(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("before")
    path.symlink_to(victim)
    with written_atomically(str(path), "w") as file:
        file.write("after")
    assert victim.read_text() == "before"
    assert path.read_text() == "after" and not path.is_symlink()


def test_the_name_beside_is_made_anew_even_if_somebody_knew_it(tmp_path, monkeypatch):
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=0))
    victim, path = tmp_path / "victim", tmp_path / "file"
    (tmp_path / f"file.{uuid.UUID(int=0).hex}.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError), written_atomically(str(path)) as file:
        file.write(b"text")
    assert not victim.exists() and not path.exists()


def test_others_may_read_it_as_the_umask_says(tmp_path):
    previous = os.umask(0o027)
    try:
        with written_atomically(str(tmp_path / "file")):
            pass
    finally:
        os.umask(previous)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def killed_in_the_middle(path):
    child = os.fork()
    if not child:
        with written_atomically(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_files_of_killed_processes_are_removed_and_those_in_use_kept(tmp_path):
    path = str(tmp_path / "file")
    killed_in_the_middle(path)
    killed_in_the_middle(path)
    killed_in_the_middle(str(tmp_path / "another"))
    assert len(os.listdir(tmp_path)) == 3
    with written_atomically(path) as outer:
        with written_atomically(path) as inner:
            inner.write(b"inner")
        assert len(os.listdir(tmp_path)) == 3  # the file, outer's, and that of another name
        outer.write(b"outer")
    assert (tmp_path / "file").read_bytes() == b"outer"
    assert len(os.listdir(tmp_path)) == 2
    remove_unfinished(f"{tmp_path}/*")
    assert os.listdir(tmp_path) == ["file"]
