"""The command that makes a pair of two checkpoints: its words."""

import pytest

from fairseq_dsl_cli.main import run


@pytest.fixture
def files(tmp_path):
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.pt", "b.pt", "b.pt"], "expected another file to write than the input"),
        (["a.pt", "gone.pt", "c.pt"], "expected a file, found"),
        (["a.pt", "b.pt", "c.pt", "-s", "de"], "expected both or neither"),
        (["a.pt", "b.pt", "c.pt", "--data", "gone"], "expected a folder, found"),
        (["a.pt", "b.pt"], "required: OUTPUT"),
    ],
)
def test_refuses_words_that_make_no_pair(words, message, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    with pytest.raises(SystemExit):
        run(["join", *words])
    assert message in capsys.readouterr().err
