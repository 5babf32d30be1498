"""Which kind of marginal reads what a flag names, and a new kind, which is a class and a line."""

import json
import math
import shutil

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import Marginal, NeuralMarginal, kinds


def test_one_model_for_both_languages_is_refused(corpus):
    own = corpus.folder / "de" / "lm.pt"
    copy = shutil.copy(own, corpus.folder / "copy.pt")
    state = torch.load(copy)
    torch.save({**state, "extra_state": {"later": True}}, corpus.folder / "later.pt")  # as checkpoint_last.pt
    for path in (own, copy, corpus.folder / "later.pt"):
        message = f"--source-lm .*de/lm.pt and --target-lm {path}: are the same"
        with pytest.raises(BadInput, match=message):
            corpus.marginals(paths={"de": corpus.paths["de"], "en": str(path)})
            assert path.name == "later.pt"  # the others are told before anything is loaded
            corpus.scores(paths={"de": corpus.paths["de"], "en": str(path)})


@pytest.mark.parametrize("language, flag", [("de", "--source-lm"), ("en", "--target-lm")])
def test_a_missing_file_is_refused_at_once_by_its_flag(corpus, language, flag):
    with pytest.raises(BadInput, match=f"{flag} .*nowhere.pt: no such file"):
        corpus.marginals(paths={**corpus.paths, language: "nowhere.pt"})


def test_one_language_model_alone_is_refused_by_the_missing_flag(corpus):
    with pytest.raises(
        BadInput, match="--target-lm is missing: .* requires both language models, found --source-lm alone"
    ):
        corpus.marginals({"de": corpus.paths["de"], "en": None})


def test_there_is_no_marginal_without_flags(corpus):
    assert corpus.marginals({"de": None, "en": None}) == {}


# ---- a new kind, as CONTRIBUTING.md has it


class Unigrams(Marginal):
    """log P of words that stand alone, from a file of their counts, as JSON; the end of a sentence is a word."""

    max_length = 100

    @classmethod
    def reads(cls, path):
        return path.endswith(".counts")

    def counts(self):
        with open(self.path) as file:
            counts = json.load(file)
        return {symbol: counts.get(symbol, 0) + 1 for symbol in self.dictionary.symbols}

    def fingerprint(self):
        return json.dumps(self.counts(), sort_keys=True).encode()

    def _score(self, sentences):
        counts = self.counts()
        total = sum(counts.values())
        log_p = np.log([counts[symbol] / total for symbol in self.dictionary.symbols])
        return np.array([log_p[sentence].sum() for sentence in sentences])


class SilentUnigrams(Unigrams):
    def likelihood(self, sentences):
        return None


@pytest.fixture(params=[Unigrams, SilentUnigrams])
def kind(request, monkeypatch):
    """The new kind is first in the list; it can or cannot tell how likely it finds words of whatever language."""
    monkeypatch.setattr(kinds, "KINDS", (request.param, *kinds.KINDS))
    return request.param


@pytest.fixture
def counted(corpus):
    """The files of counts of a corpus, by language, in which its own words are frequent."""
    paths = {}
    for language in ("de", "en"):
        paths[language] = corpus.folder / f"{language}.counts"
        paths[language].write_text(json.dumps({word: 30 + i for i, word in enumerate(tiny.WORDS[language])}))
    return {language: str(path) for language, path in paths.items()}


def by_hand(path, language, symbols):
    """The scores of the corpus' sentences, word by word."""
    counts = json.loads(open(path).read())
    total = sum(counts.values()) + len(symbols)
    sentences = [pair[language == "en"] for pair in tiny.PAIRS]
    return [sum(math.log((counts.get(word, 0) + 1) / total) for word in [*sentence, "</s>"]) for sentence in sentences]


class TestANewKind:
    def test_is_taken_where_it_reads_what_a_flag_names(self, corpus, counted, kind):
        found = corpus.marginals({"de": counted["de"], "en": corpus.paths["en"]})
        assert {language: type(marginal) for language, marginal in found.items()} == {"de": kind, "en": NeuralMarginal}
        assert found["de"].name == f"--source-lm {counted['de']}"

    def test_gives_the_scores_of_a_split(self, corpus, counted, kind):
        found = corpus.scores(paths=counted)
        for language in ("de", "en"):
            assert found[language].tolist() == pytest.approx(by_hand(counted[language], language, corpus.symbols))

    def test_stands_beside_a_neural_one(self, corpus, counted, kind):
        found = corpus.scores(paths={"de": counted["de"], "en": corpus.paths["en"]})
        assert found["de"].tolist() == pytest.approx(by_hand(counted["de"], "de", corpus.symbols))
        np.testing.assert_array_equal(found["en"], corpus.scores(paths={**corpus.paths})["en"])

    def test_is_scored_once_until_its_content_changes(self, corpus, counted, kind, monkeypatch):
        first = corpus.scores(paths=counted)
        with monkeypatch.context() as patches:
            patches.setattr(kind, "score", None)
            for language, scores in corpus.scores(paths=counted).items():
                np.testing.assert_array_equal(scores, first[language])
        with open(counted["de"], "w") as file:
            json.dump({word: 7 for word in tiny.WORDS["de"]}, file)
        assert corpus.scores(paths=counted)["de"].tolist() == pytest.approx(
            by_hand(counted["de"], "de", corpus.symbols)
        )

    def test_is_checked_for_swaps_if_it_can_tell(self, corpus, counted, kind):
        swapped = {"de": counted["en"], "en": counted["de"]}
        if kind is SilentUnigrams:
            assert corpus.scores(paths=swapped)["de"].tolist() == pytest.approx(
                by_hand(counted["en"], "de", corpus.symbols)
            )
        else:
            with pytest.raises(BadInput, match="--source-lm .*en.counts and --target-lm .*de.counts look swapped"):
                corpus.scores(paths=swapped)

    @pytest.mark.parametrize("log_p", [math.nan, -math.inf])
    def test_that_gives_no_number_is_refused_and_not_cached(self, corpus, counted, kind, monkeypatch, log_p):
        monkeypatch.setattr(kind, "_score", lambda marginal, sentences: np.full(len(sentences), log_p))
        with pytest.raises(BadInput, match="--source-lm .*de.counts: gives a sentence log P = (nan|-inf)"):
            corpus.scores(paths=counted)
        assert not (corpus.folder / "cache").exists()

    def test_that_knows_nothing_is_no_model_of_another_dictionary(self, corpus, counted, kind, monkeypatch):
        uniform = -math.log(len(corpus.symbols))
        monkeypatch.setattr(kind, "_score", lambda marginal, sentences: np.array([uniform * len(s) for s in sentences]))
        found = corpus.scores(paths=counted)["de"]
        assert found.tolist() == pytest.approx([uniform * (len(source) + 1) for source, _ in tiny.PAIRS])

    def test_is_not_given_the_scores_of_another_kind(self, corpus, counted, kind):
        first = corpus.scores(paths=counted)["de"]

        class Halved(kind):
            def _score(self, sentences):
                return super()._score(sentences) / 2

        kinds.KINDS = (Halved, *kinds.KINDS)
        np.testing.assert_allclose(corpus.scores(paths=counted)["de"], first / 2)

    def test_is_refused_twice_by_its_fingerprint(self, corpus, counted, kind):
        same = corpus.folder / "same.counts"
        same.write_text(json.dumps(json.loads(open(counted["de"]).read()), indent=4))  # other bytes, the same counts
        with pytest.raises(BadInput, match="--source-lm .*de.counts and --target-lm .*same.counts: are the same"):
            corpus.scores(paths={"de": counted["de"], "en": str(same)})

    def test_scores_the_data_of_a_pair_that_trains(self, corpus, counted, kind, joined):
        lms = dict(source_lm=counted["de"], target_lm=counted["en"], marginal_cache=str(corpus.folder / "cache"))
        made = tiny.pair(joined, **lms)
        made.task.load_dataset("train")
        batch = tiny.batch(made.task.dataset("train"))
        for part, language in ((batch, "en"), (batch["reverse"], "de")):
            wanted = np.array(by_hand(counted[language], language, made.task.dictionaries[language]))
            assert part["log_marginal"].tolist() == pytest.approx(wanted[part["id"].numpy()])
