"""Language models of both languages, and the sentences that they score."""

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.marginals import Computing, ScoreCache, ScoringLog, Side, SplitScorer, marginals_of

CPU = torch.device("cpu")


class Corpus:
    """Sentences of both languages over one dictionary, and a model of each, which finds its own words likely."""

    def __init__(self, folder):
        self.folder = folder
        self.symbols = tiny.dictionary(tiny.WORDS["de"] + tiny.WORDS["en"])
        self.paths = {
            language: self.train(language, tiny.WORDS[language], i) for i, language in enumerate(("de", "en"))
        }
        self.write(tiny.PAIRS)

    def train(self, language, expects, seed):
        """Make the language model of one language anew, which finds these words likely."""
        folder, flags = self.folder / language, ["--dropout", "0"]
        return tiny.language_model(folder, self.symbols, "lstm_lm", flags, seed=seed, expects=expects)[0]

    def write(self, pairs):
        for language, sentences in zip(("de", "en"), zip(*pairs)):
            tiny.write_sentences(self.folder / f"train.{language}", sentences, self.symbols)

    def side(self, language, wanted=None, pairs=tiny.PAIRS):
        sentences = [tiny.encode(pair[language == "en"], self.symbols) for pair in pairs]
        sizes = np.array([len(sentence) for sentence in sentences])
        files = [str(self.folder / f"train.{language}.{ending}") for ending in ("bin", "idx")]
        wanted = np.arange(len(pairs)) if wanted is None else np.array(wanted)
        return Side(sentences, sizes, files, wanted, "train", 0)

    def marginals(self, paths=None, dictionaries=None):
        paths, dictionaries = paths or self.paths, dictionaries or {"de": self.symbols, "en": self.symbols}
        given = {"--source-lm": paths["de"], "--target-lm": paths["en"]}
        return marginals_of(given, ("de", "en"), dictionaries, CPU)

    def scores(self, sides=None, max_tokens=None, **changes):
        sides = sides or {"de": self.side("de"), "en": self.side("en")}
        computing = Computing(max_tokens, CPU, ScoringLog(100, False, print))
        return SplitScorer(self.marginals(**changes), ScoreCache(str(self.folder / "cache")), computing).scores(sides)


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)
