"""Checkpoints as the plugin makes fairseq copy and read them: what fails without its patches, and works with them."""

import contextlib
import os
import pickle
import shutil

import pytest
import tiny
import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager

from fairseq_dsl.compat import SAFE_LOADING
from fairseq_dsl.errors import BadInput


def unpatched(function):
    """The function of fairseq that ours replaces and keeps in its closure."""
    (original,) = [cell.cell_contents for cell in function.__closure__ if callable(cell.cell_contents)]
    return original


class TestCopy:
    """How ``checkpoint_last.pt`` is made."""

    @pytest.fixture
    def files(self, tmp_path):
        (tmp_path / "new").write_bytes(b"new" * 1000)
        (tmp_path / "last").write_bytes(b"old" * 1000)
        return str(tmp_path / "new"), str(tmp_path / "last")

    def killed_in_the_middle(self, copy, files, monkeypatch):
        def write_half(source, target, *_, **__):
            with open(target, "wb") if isinstance(target, str) else contextlib.nullcontext(target) as file:
                file.write(b"new" * 500)
            raise KeyboardInterrupt

        for name in ("copyfile", "copyfileobj"):
            monkeypatch.setattr(shutil, name, write_half)
        with pytest.raises(KeyboardInterrupt):
            copy(*files, overwrite=True)
        with open(files[1], "rb") as file:
            return file.read()

    def test_a_kill_in_the_middle_leaves_the_old_file(self, files, monkeypatch):
        assert self.killed_in_the_middle(PathManager.copy, files, monkeypatch) == b"old" * 1000

    def test_fairseq_alone_leaves_half_a_file(self, files, monkeypatch):
        assert self.killed_in_the_middle(unpatched(PathManager.copy), files, monkeypatch) == b"new" * 500

    def test_copies_over_the_old_file_without_following_links(self, files, tmp_path):
        (tmp_path / "victim").write_bytes(b"victim")
        os.remove(files[1])
        for name in ("last", "last.tmp"):
            (tmp_path / name).symlink_to("victim")
        assert PathManager.copy(*files, overwrite=True)
        assert (tmp_path / "last").read_bytes() == b"new" * 1000
        assert (tmp_path / "victim").read_bytes() == b"victim"
        assert sorted(os.listdir(tmp_path)) == ["last", "last.tmp", "new", "victim"]


class TestUnreadableCheckpoints:
    @pytest.fixture(scope="class")
    def content(self, data, tmp_path_factory):
        path, _ = tiny.translation_model(data, tmp_path_factory.mktemp("whole") / "model.pt")
        with open(path, "rb") as file:
            return file.read()

    def damaged(self, content, damage, path):
        if damage == "older format, cut":
            torch.save(torch.arange(1000), path, _use_new_zipfile_serialization=False)
            content = path.read_bytes()
        made = {
            "empty": b"",
            "one byte": content[:1],
            "cut early": content[:100],
            "cut in the middle": content[: len(content) // 2],
            "cut at the end": content[:-1],
            "older format, cut": content[: len(content) // 2],
            "text": b"w0 w1\nw2\n" * 100,
            "binary": bytes(range(256)) * 40,
            "UTF-8": "Übersetzung 번역\n".encode() * 50,
            "zip": b"PK\x05\x06" + b"\0" * 18,
            "pickled list": pickle.dumps([1, 2], protocol=2),
            "pickle of no text": b"\x80\x02X\x02\x00\x00\x00\xe5\xe5.",
            "pickle of no number": b"\x80\x02I1x\n.",
            "pickle that pops too often": b"0.",
        }
        path.write_bytes(made[damage])

    DAMAGES = [
        "empty", "one byte", "cut early", "cut in the middle", "cut at the end", "older format, cut", "text", "binary",
        "UTF-8", "zip", "pickled list", "pickle of no text", "pickle of no number", "pickle that pops too often",
    ]  # fmt: skip

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_are_named_in_one_message(self, content, tmp_path, damage):
        path = tmp_path / "broken.pt"
        self.damaged(content, damage, path)
        with pytest.raises(BadInput) as caught:
            checkpoint_utils.load_checkpoint_to_cpu(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        with pytest.raises(Exception) as caught:
            unpatched(checkpoint_utils.load_checkpoint_to_cpu)(str(path))
        assert not isinstance(caught.value, BadInput)

    @pytest.mark.parametrize("state", [torch.zeros(3), [1], {}, {"weight": torch.zeros(2)}, "text"], ids=str)
    def test_a_file_of_something_else_is_refused(self, tmp_path, state):
        path = str(tmp_path / "other.pt")
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"{path}: .*not a fairseq checkpoint"):
            checkpoint_utils.load_checkpoint_to_cpu(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(BadInput, match="nowhere.pt: no such file"):
            checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "nowhere.pt"))

    def test_a_sound_checkpoint_is_read_as_by_fairseq(self, content, tmp_path):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        found = checkpoint_utils.load_checkpoint_to_cpu(str(path), {"data": "elsewhere"})
        wanted = unpatched(checkpoint_utils.load_checkpoint_to_cpu)(str(path), {"data": "elsewhere"})
        assert found.keys() == wanted.keys()
        assert found["cfg"].task.data == wanted["cfg"].task.data == "elsewhere"


@pytest.mark.skipif(not SAFE_LOADING, reason="torch < 2.6 loads everything, including code")
def test_a_checkpoint_that_carries_code_is_refused_and_not_run(tmp_path):
    path = str(tmp_path / "state.pt")
    torch.save({"cfg": Code(str(tmp_path / "ran"))}, path)
    with pytest.raises(BadInput, match=f"{path}: contains more than tensors and plain values .*mkdir"):
        checkpoint_utils.load_checkpoint_to_cpu(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()  # it would have


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)
