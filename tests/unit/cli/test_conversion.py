"""A pair's direction as a folder for CTranslate2."""

import json

import ctranslate2
import exported
import pytest

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.exporting import conversion


@pytest.fixture
def checkpoint(pair_checkpoint):
    """A pair whose de-en model is a transformer."""
    return Checkpoint(pair_checkpoint[1], "checkpoint")


def test_refuses_an_architecture_by_name(checkpoint, data, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "restore", lambda *_: {"en-de": exported.restored(data, arch="lstm")})
    with pytest.raises(BadInput, match="no place for the en-de model of .*dual.pt: its encoder is a LSTMEncoder"):
        conversion.save_for_ctranslate2(checkpoint, "en-de", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_says_which_package_it_requires(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="--format ctranslate2: requires ctranslate2: pip install ctranslate2"):
        conversion.save_for_ctranslate2(checkpoint, "de-en", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_that_holds_something_else(checkpoint, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadInput, match="expected a new or empty folder, .* found 'notes.txt' in it"):
        conversion.save_for_ctranslate2(checkpoint, "de-en", str(tmp_path))


@pytest.mark.parametrize("quantization", [None, "int8", "float16"])
def test_translates_from_the_folder_alone(quantization, checkpoint, tmp_path):
    assert not conversion.save_for_ctranslate2(checkpoint, "de-en", str(tmp_path / "out"), quantization)
    translator = ctranslate2.Translator(str(tmp_path / "out"))
    assert quantization != "int8" or translator.compute_type.startswith("int8")
    found = translator.translate_batch([["w1", "w2"], []], max_decoding_length=5)
    assert all(piece[0] in "v<" for each in found for piece in each.hypotheses[0])
    vocabulary = json.loads((tmp_path / "out" / "target_vocabulary.json").read_text())
    assert vocabulary == conversion.restore(checkpoint)[Direction("de", "en")].target.symbols
