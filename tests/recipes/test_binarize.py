"""fairseq-preprocess is there, its errors are shown, and no sentence is lost in it."""

import contextlib
import importlib.util

import pytest
from recipes import DE, options, write

from fairseq_dsl_cli.preparing import binarize, recipe
from fairseq_dsl_cli.preparing.options import RecipeError


def test_a_missing_fairseq_is_said_before_the_work(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="python.* has no fairseq-preprocess: install fairseq_dsl"):
        recipe.prepare(options(tmp_path / "x"), ("de", "en"), [], lambda: pytest.fail("the text was read"))


@pytest.mark.parametrize("printed, message", [
    ("INFO:fairseq_cli.preprocess:[de] x] y/train.de: 5 sents, 20 tokens", None),
    ("INFO:fairseq_cli.preprocess:[de] x] y/train.de: 6 sents, 20 tokens", "5 sentences .* of x. y/train.de, found 6"),
    ("", "did not print how many sentences"),
], ids=["as many", "one more", "no count"])  # fmt: skip
def test_sentences_that_fairseq_preprocess_lost_are_noticed(tmp_path, monkeypatch, printed, message):
    write(tmp_path / "x] y" / "train.de", DE)
    monkeypatch.setattr(binarize, "run", lambda command, **options: (0, printed))
    with pytest.raises(RecipeError, match=message) if message else contextlib.nullcontext():
        binarize.fairseq_preprocess([], tmp_path, tmp_path)


def test_the_last_line_of_a_failing_fairseq_preprocess_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(binarize, "run", lambda command, **options: (1, "Traceback:\n  ...\nOSError: full\n"))
    with pytest.raises(RecipeError, match="^fairseq-preprocess ended with exit code 1: OSError: full$"):
        binarize.fairseq_preprocess([], tmp_path, tmp_path)
    assert "Traceback:" in capsys.readouterr().out
