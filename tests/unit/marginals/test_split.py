"""The scores of a split: by the model of each language, fresh or from the cache; and models of something else."""

import os
import shutil

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import NeuralMarginal, neural

CPU = torch.device("cpu")


def test_each_side_is_scored_by_the_model_of_its_language(corpus):
    found = corpus.scores()
    for language in ("de", "en"):
        model = NeuralMarginal(corpus.paths[language], "--lm", language, corpus.symbols, CPU)
        np.testing.assert_allclose(found[language], model.score(corpus.side(language).sentences), atol=1e-4)
    reverse = corpus.scores({"en": corpus.side("en"), "de": corpus.side("de")})  # -s en -t de
    for language in ("de", "en"):
        np.testing.assert_array_equal(reverse[language], found[language])


@pytest.mark.parametrize("max_tokens", [1, 5, 11])
def test_small_batches_give_the_same_scores_in_the_same_order(corpus, max_tokens):
    """Smaller than a sentence, too: that stands alone."""
    whole = corpus.scores()
    shutil.rmtree(corpus.folder / "cache")
    parts = corpus.scores(max_tokens=max_tokens)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-4)


def test_a_second_start_loads_no_language_model(corpus, monkeypatch):
    first = corpus.scores()
    monkeypatch.setattr(neural.NeuralMarginal, "_load", None)
    second = corpus.scores()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_a_changed_language_model_scores_again(corpus):
    first = corpus.scores()
    corpus.train("de", tiny.WORDS["de"][:9], seed=7)
    second = corpus.scores()
    assert np.abs(first["de"] - second["de"]).min() > 1e-3
    np.testing.assert_array_equal(first["en"], second["en"])


def test_changed_data_are_scored_again(corpus):
    corpus.scores()
    pairs = tiny.random_pairs(len(tiny.PAIRS), seed=8)
    corpus.write(pairs)
    sides = {language: corpus.side(language, pairs=pairs) for language in ("de", "en")}
    found = corpus.scores(sides)
    shutil.rmtree(corpus.folder / "cache")
    np.testing.assert_array_equal(found["de"], corpus.scores(sides)["de"])


def test_a_damaged_cache_is_made_anew(corpus):
    first = corpus.scores()
    for name in os.listdir(corpus.folder / "cache"):
        with open(corpus.folder / "cache" / name, "r+b") as file:
            file.truncate(200)
    second = corpus.scores()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


LONG = tiny.PAIRS[:4] + [(["w1"] * 20, ["v1"]), (["w2"], ["v2"] * 3)]


def test_a_sentence_that_is_too_long_for_its_model_has_no_score(corpus):
    for _ in range(2):  # fresh, then from the cache
        found = corpus.scores({lang: corpus.side(lang, [0, 1, 2, 3, 5], LONG) for lang in ("de", "en")})
        assert np.isnan(found["de"]).tolist() == [False] * 4 + [True, False]
        assert not np.isnan(found["en"]).any()


def test_a_sentence_that_is_too_long_is_refused_where_it_is_wanted(corpus):
    for _ in range(2):
        with pytest.raises(
            BadInput, match="--source-lm .*lm.pt: 1 de sentences .* of 21 tokens; .*--tokens-per-sample 21"
        ):
            corpus.scores({language: corpus.side(language, pairs=LONG) for language in ("de", "en")})


@pytest.mark.parametrize("forget_dictionaries", [False, True])
def test_swapped_models_are_refused(corpus, forget_dictionaries):
    if forget_dictionaries:
        for language in ("de", "en"):
            os.remove(corpus.folder / language / "dict.txt")
    swapped = {"de": corpus.paths["en"], "en": corpus.paths["de"]}
    with pytest.raises(BadInput, match="--source-lm .*en/lm.pt and --target-lm .*de/lm.pt look swapped"):
        corpus.scores(paths=swapped)
    assert not os.path.exists(corpus.folder / "cache")
    corpus.scores()


def test_swapped_models_of_two_dictionaries_of_one_size_are_refused(corpus):
    """Where their own dictionaries are gone, nothing else shows it."""
    other = tiny.dictionary([])
    for word in corpus.symbols.symbols[:3:-1]:
        other.add_symbol(word)
    for language in ("de", "en"):
        os.remove(corpus.folder / language / "dict.txt")
    dictionaries = {"de": corpus.symbols, "en": other}
    assert len(other) == len(corpus.symbols) and other.symbols != corpus.symbols.symbols
    swapped = {"de": corpus.paths["en"], "en": corpus.paths["de"]}
    with pytest.raises(BadInput, match="look swapped"):
        corpus.scores(paths=swapped, dictionaries=dictionaries)


def test_two_models_of_one_language_are_refused(corpus):
    corpus.train("en", tiny.WORDS["de"], seed=5)
    with pytest.raises(BadInput, match="--target-lm .*en/lm.pt: looks like a language model of de"):
        corpus.scores()


@pytest.mark.parametrize("own", ["gone", "made anew in place"])
def test_a_model_of_another_dictionary_is_refused_by_likelihood(corpus, own):
    """Of which no file tells: its own data folder is gone, or the dictionary there is made anew too."""
    other = tiny.dictionary([])
    for word in [*tiny.WORDS["de"], *tiny.WORDS["en"]]:  # which of the words are German is another matter now
        other.add_symbol(word)
    for language in ("de", "en"):
        path = corpus.folder / language / "dict.txt"
        path.unlink() if own == "gone" else other.save(str(path))
    corpus.symbols = other
    with pytest.raises(BadInput, match="--source-lm .*de/lm.pt.*(another dictionary|swapped|a model of)"):
        corpus.scores(dictionaries={"de": other, "en": other})
    assert not os.path.exists(corpus.folder / "cache")
