"""A folder has one training at a time, whatever becomes of it."""

import os
import signal
import time

import pytest
from fairseq import checkpoint_utils

from fairseq_dsl.errors import BadInput
from fairseq_dsl.patches.save_dir import LOCK, verify_save_dir


@pytest.fixture
def begin():
    """Begin a training run in a folder, as two processes, one of which loads data; return the answer."""
    begun = []

    def begin(folder):
        reader, writer = os.pipe()
        process = os.fork()
        if not process:
            os.setpgid(0, 0)
            try:
                verify_save_dir(str(folder))
                answer = "goes on"
            except BadInput as error:
                answer = str(error)
            if os.fork():
                os.write(writer, answer.encode())
            time.sleep(60)
            os._exit(0)
        begun.append(process)
        os.close(writer)
        answer = os.read(reader, 1000).decode()
        os.close(reader)
        return process, answer

    yield begin
    for process in begun:
        os.killpg(process, signal.SIGKILL)


def test_a_second_training_is_refused_until_the_first_is_killed(begin, tmp_path):
    first, answer = begin(tmp_path / "folder")
    assert answer == "goes on"
    _, answer = begin(tmp_path / "folder")
    assert f"--save-dir {tmp_path / 'folder'}: another training run writes there (process {first} on " in answer
    assert "give another --save-dir" in answer
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    os.killpg(first, 0)  # the process that loads data is still there
    assert begin(tmp_path / "folder")[1] == "goes on"


def test_another_folder_is_free_and_another_name_of_the_same_is_not(begin, tmp_path):
    (tmp_path / "name").symlink_to(tmp_path / "folder")
    assert begin(tmp_path / "folder")[1] == "goes on"
    assert begin(tmp_path / "another")[1] == "goes on"
    assert "another training run writes there" in begin(tmp_path / "name")[1]


def test_one_process_may_train_there_again(tmp_path):
    checkpoint_utils.verify_checkpoint_directory(str(tmp_path))
    checkpoint_utils.verify_checkpoint_directory(str(tmp_path))
    assert os.listdir(tmp_path) == [LOCK]


@pytest.mark.parametrize("name", [LOCK, "dummy"])
def test_symbolic_links_in_the_folder_lead_nowhere(tmp_path, name):
    (tmp_path / "victim").write_text("before")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).symlink_to(tmp_path / "victim")
    try:
        checkpoint_utils.verify_checkpoint_directory(str(tmp_path / "folder"))
    except BadInput as error:
        assert name == LOCK and "cannot be written" in str(error)
    assert (tmp_path / "victim").read_text() == "before"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=f"--save-dir {tmp_path}/file/folder: cannot be written"):
        checkpoint_utils.verify_checkpoint_directory(str(tmp_path / "file" / "folder"))
