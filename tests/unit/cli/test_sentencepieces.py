"""The sentencepiece model that goes with an exported model: the right one, or none."""

import io
from types import SimpleNamespace

import pytest
import sentencepiece
import tiny

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.exporting.sentencepieces import sentencepiece_models


def train(path, words):
    """A sentencepiece model of a few pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(words * 20), model_writer=written, vocab_size=20, hard_vocab_limit=False,
        model_type="char", minloglevel=2,
    )  # fmt: skip
    path.write_bytes(written.getvalue())
    return str(path)


@pytest.fixture
def sides():
    return [("de", tiny.dictionary("abcdefgh")), ("en", tiny.dictionary("stuvwxyz"))]


def beside(**files):
    """A checkpoint that finds these files: ``spm``, or ``bpe_de`` for sentencepiece.bpe.de.model."""
    names = {"spm": "spm.model", **{f"bpe_{lang}": f"sentencepiece.bpe.{lang}.model" for lang in ("de", "en")}}
    found = {names[key]: path for key, path in files.items()}
    return SimpleNamespace(own_file=found.get)


def test_one_that_is_given(tmp_path, sides):
    path = train(tmp_path / "any.model", ["abcdefgh", "stuvwxyz"])
    assert sentencepiece_models([path], beside(), sides) == [path, path]


def test_one_of_each_language(tmp_path, sides):
    de, en = train(tmp_path / "de.model", ["abcdefgh"]), train(tmp_path / "en.model", ["stuvwxyz"])
    assert sentencepiece_models([de, en], beside(), sides) == [de, en]
    assert sentencepiece_models([], beside(bpe_de=de, bpe_en=en), sides) == [de, en]
    assert sentencepiece_models([], beside(bpe_de=de), sides) is None
    with pytest.raises(BadInput, match="de.model: expected the model that the en text .* with 0% of the symbols of"):
        sentencepiece_models([de], beside(), sides)


def test_one_that_is_beside_the_data(tmp_path, sides):
    path = train(tmp_path / "spm.model", ["abcdefgh", "stuvwxyz"])
    assert sentencepiece_models([], beside(spm=path), sides) == [path, path]
    assert sentencepiece_models([], beside(), sides) is None


def test_another_one_is_refused_if_it_is_given(tmp_path, sides):
    path = train(tmp_path / "spm.model", ["abcxyz"])
    with pytest.raises(BadInput, match="--sentencepiece-model .* de text of training .* with 38% of the symbols of"):
        sentencepiece_models([path], beside(), sides)
    assert sentencepiece_models([], beside(spm=path), sides) is None


@pytest.mark.parametrize("content", [b"", b"text", bytes(100)])
def test_what_is_no_sentencepiece_model_is_refused_if_it_is_given(content, tmp_path, sides):
    path = tmp_path / "spm.model"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="spm.model: expected a sentencepiece model, found none"):
        sentencepiece_models([str(path)], beside(), sides)
    assert sentencepiece_models([], beside(spm=path), sides) is None
