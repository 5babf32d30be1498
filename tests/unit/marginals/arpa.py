"""n-gram models in ARPA files: writes small ones, reads them by itself, and stands in for the package ``kenlm``."""

import importlib.machinery
import re
import types

import numpy as np

MISSING = -100.0  # log10, of <unk> where the file has none: what KenLM takes


def write(path, words, unknown=-4.0, seed=0):
    """Write a bigram model of these words; without <unk> if `unknown` is None. Returns the path."""
    random = np.random.RandomState(seed)
    log10 = np.log10(random.dirichlet(np.full(len(words) + 1, 3.0)))
    unigrams = [f"{value:.6f}\t{word}\t{-random.rand():.6f}" for value, word in zip(log10, [*words, "</s>"])]
    unigrams += ["-99\t<s>\t-0.3"] + ([f"{unknown}\t<unk>\t0"] if unknown is not None else [])
    firsts, seconds = ["<s>", *words[::2]], [*words[1::2], "</s>"]
    bigrams = [f"{-random.rand():.6f}\t{first} {second}" for first in firsts for second in seconds]
    counts = f"ngram 1={len(unigrams)}\nngram 2={len(bigrams)}"
    parts = ["\\data\\", counts, "", "\\1-grams:", *unigrams, "", "\\2-grams:", *bigrams, "", "\\end\\", ""]
    path.write_text("\n".join(parts))
    return str(path)


class Arpa:
    """Probabilities by the definition of back-off. Has what the plugin asks of ``kenlm.Model``."""

    def __init__(self, path, config=None):
        with open(path) as file:
            text = file.read()
        if not text.startswith("\\data\\"):
            raise OSError(f"Cannot read model '{path}'") from RuntimeError("first non-empty line was not \\data\\")
        fields = [line.split("\t") for line in text.splitlines() if re.match(r"-?[0-9.]+\t", line)]
        self.log10 = {tuple(ngram.split()): float(value) for value, ngram, *_ in fields}
        self.back_off = {tuple(ngram.split()): float(rest[0]) for _, ngram, *rest in fields if rest}
        self.order = max(map(len, self.log10))
        self.log10.setdefault(("<unk>",), MISSING)

    def __contains__(self, word):
        return (word,) in self.log10 and word != "<unk>"

    def of(self, word, context):
        """log10 P(word | context)."""
        if (*context, word) in self.log10:
            return self.log10[(*context, word)]
        return self.back_off.get(context, 0.0) + self.of(word, context[1:])

    def full_scores(self, text, bos=True, eos=True):
        context = ("<s>",) * bos
        for word in text.split() + ["</s>"] * eos:
            known = word if word in self else "<unk>"
            yield self.of(known, context[-self.order + 1 :]), None, known != word or word == "<unk>"
            context += (known,)


def module():
    """A module ``kenlm``."""
    found = types.ModuleType("kenlm")
    found.__spec__ = importlib.machinery.ModuleSpec("kenlm", None)
    found.Model, found.Config = Arpa, types.SimpleNamespace
    found.ARPALoadComplain = types.SimpleNamespace(NONE=2)
    return found
