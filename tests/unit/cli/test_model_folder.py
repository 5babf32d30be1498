"""A model's folder is written whole or not at all, and over nothing but an earlier model."""

import os

import pytest

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.exporting.model_folder import check_free, written_whole


def write(path, text):
    with written_whole(str(path)) as new:
        (type(path)(new) / "model.bin").write_text(text)


@pytest.mark.parametrize("before", ["nothing", "an empty folder", "a model"])
def test_is_written_whole(before, tmp_path):
    folder = tmp_path / "new" / "m.ct2"
    if before != "nothing":
        folder.mkdir(parents=True)
    if before == "a model":
        for name in ("model.bin", "config.json", "source_vocabulary.json", "sentencepiece.model"):
            (folder / name).write_text("old")
    write(folder, "text")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"model.bin": "text"}
    assert os.listdir(folder.parent) == ["m.ct2"]
    folder.parent.joinpath("any").mkdir()
    assert folder.stat().st_mode == folder.parent.joinpath("any").stat().st_mode


def test_a_failure_leaves_the_earlier_model(tmp_path):
    write(tmp_path / "m.ct2", "old")
    with pytest.raises(KeyboardInterrupt), written_whole(str(tmp_path / "m.ct2")) as new:
        open(os.path.join(new, "model.bin"), "w").close()
        raise KeyboardInterrupt
    assert (tmp_path / "m.ct2" / "model.bin").read_text() == "old"
    assert os.listdir(tmp_path) == ["m.ct2"]


@pytest.mark.parametrize("names", [["notes.txt"], ["config.json"], ["model.bin", "config.json", "notes.txt"]])
def test_refuses_a_folder_that_holds_something_else(names, tmp_path):
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match=f"expected a new or empty folder, .* found '{names[-1]}' in it"):
        check_free(str(tmp_path))
    with pytest.raises(BadInput, match="expected a new or empty folder"):
        write(tmp_path, "text")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "mine")


def test_a_link_keeps_pointing_to_the_folder(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "model.bin").read_text() == "text"
