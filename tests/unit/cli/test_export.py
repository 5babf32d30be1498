"""The command that writes one direction of a pair: its words."""

import pytest

from fairseq_dsl_cli.main import run


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(b"")
    (tmp_path / "data").mkdir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("out --format onnx", "argument --format: invalid choice: 'onnx'"),
        ("out --format ctranslate2 --quantization int4", "argument --quantization: invalid choice: 'int4'"),
        ("out.pt --quantization int8", "--quantization: expected --format ctranslate2, found fairseq"),
        ("out.pt --sentencepiece-model a.pt", "--sentencepiece-model: expected --format ctranslate2, found fairseq"),
        ("out.pt --target-sentencepiece-model a.pt", "--target-sentencepiece-model: expected --format ctranslate2"),
        ("out --format ctranslate2 --target-sentencepiece-model a.pt", "--target-sentencepiece-model: requires --sent"),
        ("out.pt --data data", "--data: expected --format ctranslate2, found fairseq"),
        ("a.pt --format ctranslate2", "argument OUTPUT: expected a folder that can be written to, found the file"),
        ("data", "argument OUTPUT: expected the name of a file to write, found the folder 'data'"),
        ("out --format ctranslate2 --sentencepiece-model gone", "argument --sentencepiece-model: expected a file"),
    ],
)
def test_refuses_words_that_do_not_fit_together(words, message, capsys):
    with pytest.raises(SystemExit):
        run(["export", "a.pt", "--direction", "de-en", *words.split()])
    assert message in capsys.readouterr().err
