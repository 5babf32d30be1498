"""The files that a command reads."""

from pathlib import Path

import pytest

from fairseq_dsl_cli import inputs


class TestFilesOfACommand:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("data/train.bin", "data/train.idx", "data/notes", "data/preprocess.log", "data/cache/scores.npz"):
            Path(name).parent.mkdir(exist_ok=True, parents=True)
            Path(name).write_text(name)
        names = ("a.pt", "b.pt", "c d.pt", "lr=1.pt", "it's.pt", "x:y.pt")
        for name in (*names, "save/train.log", "de/raw", "plugin/x.py"):
            Path(name).parent.mkdir(exist_ok=True, parents=True)
            Path(name).write_text(name)
        return tmp_path

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["data"], "data/notes data/train.bin data/train.idx"),
            (["--path", "a.pt:b.pt"], "a.pt b.pt"),
            (["--path=a.pt:b.pt"], "a.pt b.pt"),
            (["--path=a.pt"], "a.pt"),
            (["data:de"], "data/notes data/train.bin data/train.idx de/raw"),
            (["--system", "name=a.pt,b.pt"], "a.pt b.pt"),
            (["--primal-args=--embed a.pt --other b.pt:data"], "a.pt b.pt data/notes data/train.bin data/train.idx"),
            (["--x", '{"file": "a.pt"}'], "a.pt"),
            (["--x", "{'file': ['a.pt', 'b.pt']}"], "a.pt b.pt"),
            (["--x", "lr=1.pt", "--y=lr=1.pt:a.pt"], "lr=1.pt a.pt"),
            (["--x", "x:y.pt"], "x:y.pt"),
            (["a.pt", "--x", "a.pt"], "a.pt"),
            (["-s", "de", "--user-dir", "plugin", "--save-dir=de", "--tensorboard-logdir", "plugin"], ""),
            (["save", "--log-file", "a.pt", "nowhere", "", ":", "--"], ""),
        ],
    )
    def test_are_all_that_its_words_name(self, folder, words, expected):
        found = [str(path) for path in inputs.files_of(["train", *words], besides="save")]
        assert found == expected.split()

    def test_may_have_spaces_and_quotes(self, folder):
        words = ["c d.pt", "--x=c d.pt:it's.pt"]
        assert [str(path) for path in inputs.files_of(words)] == ["c d.pt", "it's.pt"]
