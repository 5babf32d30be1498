"""n-gram models as marginals: their scores by the definition of back-off, and what they cannot promise."""

import importlib.util
import logging
import math
import sys

import arpa
import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import NeuralMarginal
from fairseq_dsl.marginals.kenlm import BINARY, KenLMMarginal

CPU = torch.device("cpu")
GERMAN = tiny.dictionary(tiny.WORDS["de"])


@pytest.fixture(params=["stand-in", "installed"], autouse=True)
def kenlm(request, monkeypatch):
    if request.param == "stand-in":
        monkeypatch.setitem(sys.modules, "kenlm", arpa.module())
    else:
        pytest.importorskip("kenlm")


@pytest.fixture
def paths(corpus):
    """A model of each language's words, by language."""
    return {
        lang: arpa.write(corpus.folder / f"{lang}.arpa", tiny.WORDS[lang], seed=i)
        for i, lang in enumerate("de en".split())
    }


def load(path, symbols=GERMAN):
    return KenLMMarginal(str(path), "--source-lm", "de", symbols, CPU)


def by_hand(path, sentence):
    return math.log(10) * sum(log10 for log10, _, _ in arpa.Arpa(path).full_scores(" ".join(sentence)))


class TestScores:
    def test_are_the_sum_of_the_file_s_numbers_in_nats(self, tmp_path):
        (tmp_path / "lm.arpa").write_text(
            "\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-1.5\tw1\t-0.25\n-2\tw2\t-0.5\n-1\t</s>\n-99\t<s>\t-0.125\n"
            "-3\t<unk>\n\n\\2-grams:\n-0.75\t<s> w1\n\n\\end\\\n"
        )
        model = load(tmp_path / "lm.arpa", tiny.dictionary(["w1", "w2", "w3"]))
        sentences = [["w1", "w2"], ["w2", "w3"], []]
        log10 = [-0.75 + (-0.25 - 2) + (-0.5 - 1), (-0.125 - 2) + (-0.5 - 3) - 1, -0.125 - 1]
        found = model.score([tiny.encode(sentence, model.dictionary) for sentence in sentences])
        assert found.tolist() == pytest.approx([value * math.log(10) for value in log10], abs=1e-5)
        assert found.dtype == np.float64

    def test_are_those_of_every_sentence_of_a_split(self, corpus, paths):
        found = corpus.scores(paths=paths)
        for side, language in enumerate(("de", "en")):
            wanted = [by_hand(paths[language], pair[side]) for pair in tiny.PAIRS]
            assert found[language].tolist() == pytest.approx(wanted, abs=1e-4)

    def test_stand_beside_those_of_another_kind(self, corpus, paths):
        found = corpus.scores(paths={"de": paths["de"], "en": corpus.paths["en"]})
        assert found["de"][0] == pytest.approx(by_hand(paths["de"], tiny.PAIRS[0][0]), abs=1e-4)
        np.testing.assert_array_equal(found["en"], corpus.scores()["en"])

    def test_of_samples_have_unknown_words_for_special_symbols(self, corpus, paths):
        model = load(paths["de"], corpus.symbols)
        bos, pad, eos, unk = (corpus.symbols.bos(), corpus.symbols.pad(), corpus.symbols.eos(), corpus.symbols.unk())
        word, foreign = (corpus.symbols.index(tiny.WORDS[language][0]) for language in ("de", "en"))
        wanted = by_hand(paths["de"], [tiny.WORDS["de"][0], "<unk>"])
        for symbol in (bos, pad, unk, foreign):
            assert model.score([torch.tensor([word, symbol, eos])])[0] == pytest.approx(wanted, abs=1e-5)
        assert model.refuses_samples is None

    def test_are_those_of_a_distribution(self, tmp_path):
        model = load(arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"]))
        words = range(GERMAN.nspecial, len(GERMAN))
        short = [torch.tensor([*start, 2]) for start in [[], *([word] for word in words)]]
        assert 0 < np.exp(model.score(short)).sum() < len(words)


class TestAClosedVocabulary:
    def test_is_no_matter_where_the_text_has_nothing_else(self, corpus, paths):
        for language in paths:
            arpa.write(corpus.folder / f"{language}.arpa", tiny.WORDS[language], unknown=None)
        found = corpus.scores(paths=paths)  # with one dictionary for both languages
        assert found["de"][0] == pytest.approx(by_hand(paths["de"], tiny.PAIRS[0][0]), abs=1e-4)
        with pytest.raises(BadInput, match="--source-lm .*en.arpa: has no probability for 'w"):
            corpus.scores(paths={"de": paths["en"], "en": paths["de"]})

    def test_refuses_text_with_an_unknown_symbol_by_its_name(self, tmp_path):
        model = load(arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"][1:], unknown=None))
        first, second = (tiny.encode([word], GERMAN) for word in tiny.WORDS["de"][:2])
        assert np.isfinite(model.score([second]))
        with pytest.raises(BadInput, match=f"--source-lm .*lm.arpa: has no probability for '{tiny.WORDS['de'][0]}'"):
            model.score([first])

    @pytest.mark.parametrize("unknown", [None, -99.0])
    def test_scores_no_samples(self, tmp_path, unknown):
        model = load(arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"], unknown=unknown))
        with pytest.raises(
            BadInput, match="--source-lm .*lm.arpa: has no probability for <unk>; --criterion x requires"
        ):
            model.require_samples("--criterion x")


class TestRefusals:
    def test_other_segmentation_is_refused_by_a_symbol(self, tmp_path):
        path = arpa.write(tmp_path / "lm.arpa", ["other", "words"])
        count = len(tiny.WORDS["de"])
        with pytest.raises(BadInput, match=f"knows 0% of the {count} symbols of the de .* not '{tiny.WORDS['de'][0]}'"):
            load(path).score([tiny.encode([], GERMAN)])

    def test_a_model_that_knows_few_symbols_is_told(self, tmp_path, caplog):
        path = arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"][:3])
        with caplog.at_level(logging.WARNING):
            load(path).score([tiny.encode([], GERMAN)])
        assert f"--source-lm {path}: knows" in caplog.text and "the others are <unk> to it" in caplog.text

    def test_swapped_models_are_refused(self, corpus, paths):
        with pytest.raises(BadInput, match="--source-lm .*en.arpa and --target-lm .*de.arpa look swapped"):
            corpus.scores(paths={"de": paths["en"], "en": paths["de"]})

    def test_a_damaged_file_is_refused_with_the_reason(self, tmp_path):
        (tmp_path / "lm.arpa").write_text("no model\n")
        with pytest.raises(
            BadInput, match="lm.arpa: expected an n-gram model, found what KenLM cannot read .*non-empty"
        ):
            load(tmp_path / "lm.arpa").score([tiny.encode([], GERMAN)])

    def test_a_missing_file_is_refused(self):
        with pytest.raises(BadInput, match="--source-lm gone.arpa: no such file; expected an n-gram model"):
            load("gone.arpa")

    def test_is_refused_without_its_package_by_the_extra(self, tmp_path, monkeypatch):
        path = arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"])
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(BadInput, match=r'--source-lm .*lm.arpa: requires .* pip install "fairseq_dsl\[kenlm\]"'):
            load(path)


def test_binaries_are_told_by_how_they_begin(corpus, tmp_path):
    for name, content, expected in (("lm.bin", BINARY + b" format", KenLMMarginal), ("lm.bin", b"PK", NeuralMarginal)):
        (tmp_path / name).write_bytes(content)
        found = corpus.marginals({"de": str(tmp_path / name), "en": corpus.paths["en"]})
        assert type(found["de"]) is expected


def test_the_cache_knows_a_model_by_content_and_dictionary(tmp_path):
    path = arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"])
    first = load(path).fingerprint()
    assert load(arpa.write(tmp_path / "copy.arpa", tiny.WORDS["de"])).fingerprint() == first
    assert load(path, tiny.dictionary(tiny.WORDS["de"][1:])).fingerprint() != first
    arpa.write(tmp_path / "lm.arpa", tiny.WORDS["de"], seed=1)
    assert load(path).fingerprint() != first
