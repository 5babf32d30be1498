"""The sentencepiece model that goes with an exported model: the right one, or none."""

import io
from types import SimpleNamespace

import pytest
import sentencepiece
import tiny

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.exporting.sentencepieces import sentencepiece_model


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
def symbols():
    return tiny.dictionary("abcdefgh")


def beside(**files):
    """A checkpoint that finds these files."""
    return SimpleNamespace(own_file=lambda name: files.get(name.split(".")[0]))


def test_one_that_is_given(tmp_path, symbols):
    path = train(tmp_path / "any.model", ["abcdefgh"])
    assert sentencepiece_model(path, beside(), symbols) == path


def test_one_that_is_beside_the_data(tmp_path, symbols):
    path = train(tmp_path / "spm.model", ["abcdefgh"])
    assert sentencepiece_model(None, beside(spm=path), symbols) == path
    assert sentencepiece_model(None, beside(), symbols) is None


def test_another_one_is_refused_if_it_is_given(tmp_path, symbols):
    path = train(tmp_path / "spm.model", ["abcxyz"])
    with pytest.raises(BadInput, match="--sentencepiece-model .* found one with 38% of the symbols of the source"):
        sentencepiece_model(path, beside(), symbols)
    assert sentencepiece_model(None, beside(spm=path), symbols) is None


@pytest.mark.parametrize("content", [b"", b"text", bytes(100)])
def test_what_is_no_sentencepiece_model_is_refused_if_it_is_given(content, tmp_path, symbols):
    path = tmp_path / "spm.model"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="spm.model: expected a sentencepiece model, found none"):
        sentencepiece_model(str(path), beside(), symbols)
    assert sentencepiece_model(None, beside(spm=path), symbols) is None
