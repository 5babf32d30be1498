"""Toy languages, all of whose sentences can be written down: an expectation over all samples is then a sum, and exact.

The words that the tests of methods share:

* A *sentence* is a tuple or tensor of symbols with its end. Of the special symbols, <s> and <unk> are words like the
  others for a sampler.
* ``z`` is a sentence whose translations are sampled by the direction ``there``; ``w`` is such a translation, a
  *sample*, of at most `LIMIT` words; one that the limit ended is *cut*. The other direction, ``back``, translates w
  into z. Where a method learns what comes back, ``y`` is the sentence and ``x`` the sample.
* A *proposal* is the distribution that samples are drawn from: ``q``, or ``pi`` where it is itself trained.
* ``log_p`` is what a translation model of the pair says, ``log_p_lm`` what a language model does: natural logarithms,
  of whole sentences, from one forward of the model, without padding, batches or any code of the plugin.
"""

import json
import zlib

import tiny
import torch

from fairseq_dsl.tasks import stages
from fairseq_dsl.terms.round_trip import weight_schedule

WORDS = {"de": ["a", "b"], "en": ["u", "v", "w"]}
SYMBOLS = {language: tiny.dictionary(words) for language, words in WORDS.items()}
EOS = SYMBOLS["de"].eos()
PAIRS = [(["a", "b", "b"], ["u", "w"]), (["b"], ["v", "w", "u"]), (["a", "b"], ["w"])]
SENTENCES = {
    language: [tiny.encode(words.split(), SYMBOLS[language]) for words in sentences]
    for language, sentences in {"de": ["a a b", "b b", "a"], "en": ["u w v", "v w", "u"]}.items()
}
LIMIT = 2  # words of a sample
SPREAD = {"transformer": 0.5, "lstm": 0.6}

DIRECTIONS = {"de-en": ("de", "en"), "en-de": ("en", "de")}
REVERSE = {"de-en": "en-de", "en-de": "de-en"}
WITH_PROPOSALS = ("marginal_regularized_cross_entropy", "back_translation_cross_entropy")
ROUND_TRIPS = ("dual_learning", "cycle_adversarial", *WITH_PROPOSALS)
METHODS = ("minimum_risk", *ROUND_TRIPS)


# ---- models


def write_data(folder):
    tiny.write_data(folder, PAIRS, SYMBOLS)
    return str(folder)


def make_pair(folder, arch, **task_settings):
    """A pair of models whose translations differ by the sentence that is translated, and end early or late.

    Their parameters depend on their names alone.
    """
    made = tiny.pair(folder, arch, **task_settings)
    with torch.no_grad():
        for name, p in made.model.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            p.copy_(SPREAD[arch] * torch.randn(p.shape, generator=generator) + ("layer_norm.weight" in name))
    return made


class ToyPairs:
    """Pairs of toy models with language models and monolingual text of both languages, by architecture, made once.

    All are in float64.
    """

    def __init__(self, folder):
        self._data = write_data(folder / "data")
        self._settings = {}
        for side, language, arch in (("source", "de", "lstm_lm"), ("target", "en", "transformer_lm")):
            symbols, sentences = SYMBOLS[language], [WORDS[language]]
            lm = tiny.language_model(folder / f"lm.{language}", symbols, arch, sentences=sentences)[0]
            mono = tiny.write_monolingual(folder / f"mono.{language}", sentences, symbols)
            self._settings.update({f"{side}_lm": lm, f"{side}_mono": mono})
        self._made, self._marginals, self._load = {}, {}, stages.marginals_of

    def marginals_of(self, given, *others):
        """Stands in for that of `stages`: loads a language model once, and not for every criterion."""
        paths = tuple(given.values())
        if paths not in self._marginals:
            self._marginals[paths] = self._load(given, *others)
        return self._marginals[paths]

    def __call__(self, arch="transformer"):
        if arch not in self._made:
            made = self._made[arch] = make_pair(self._data, arch, **self._settings)
            made.model.double()
            for marginal in made.task.stage.marginals.values():
                marginal.model.double()
        return self._made[arch]


# ---- training


def learns_by(made, name, **settings):
    """Have a pair learn by this method alone, without the cross-entropy of the parallel data.

    That is smoothed, which is to be without effect on all that a method takes for a probability.
    """
    usual = dict(parallel_weight=0.0, label_smoothing=0.1, sample_max_len_a=0.0, sample_max_len_b=LIMIT)
    criterion = tiny.learns_by(made, name, **{**usual, **settings})
    made.data.monolingual = {}  # the tests make their own batches
    made.model.train()
    criterion.train().terms[-1].begin_batch(0, dummy=False)
    return criterion


def sample_of(made, rows=(0, 1, 2), **monolingual):
    """A training batch, with these monolingual sentences beside the pairs."""
    left = made.task.cfg.left_pad_source
    batches = {lang: tiny.sources(sentences, SYMBOLS[lang], left) for lang, sentences in monolingual.items()}
    return {**tiny.batch(made.data, rows), "monolingual": {"de": None, "en": None, **batches}}


def weighted(criterion, text):
    """Have the monolingual part of a method count so much."""
    criterion.terms[-1].weight = weight_schedule(text)


# ---- calculations of their own


def translation_logits(model, source):
    """What a translation model says follows some words: in one forward of all of them, with no state between steps."""

    def logits(words):
        previous = torch.tensor([[source[-1].item(), *words]])
        return model(source[None], torch.tensor([len(source)]), previous)[0][0]

    return logits


def language_model_logits(model, eos):
    """What a language model says follows some words."""
    return lambda words: model(torch.tensor([[eos, *words]]))[0][0]


def log_prob(logits, sentence):
    """log P(sentence), differentiable."""
    sentence = [int(symbol) for symbol in sentence]
    return logits(sentence[:-1]).log_softmax(-1)[range(len(sentence)), sentence].sum()


def all_sentences(logits, symbols, limit, temperature=1.0):
    """Every sentence of at most `limit` words that may be sampled, and the log of its probability, differentiable.

    By the definition alone: a symbol is drawn among those that may follow, which are all but padding, and the end but
    not first; after `limit` words the sentence ends.
    """
    found = {}

    def extend(words, log_p):
        if len(words) == limit:
            found[(*words, symbols.eos())] = log_p
            return
        may_follow = [s for s in range(len(symbols)) if s != symbols.pad() and (words or s != symbols.eos())]
        tempered = logits(words)[-1] / temperature
        everything = tempered[may_follow].logsumexp(0)
        for symbol in may_follow:
            log_p_longer = log_p + tempered[symbol] - everything
            if symbol == symbols.eos():
                found[(*words, symbol)] = log_p_longer
            else:
                extend([*words, symbol], log_p_longer)

    extend([], torch.zeros(()))
    return found


def proposal(made, there, sentence, temperature=1.0, limit=LIMIT):
    """Every sample of a sentence, and the log of its probability, differentiable."""
    logits = translation_logits(made.model.models[there], sentence)
    return all_sentences(logits, SYMBOLS[DIRECTIONS[there][1]], limit, temperature)


def log_p(made, direction, source, target):
    """log P(target|source), differentiable."""
    return log_prob(translation_logits(made.model.models[direction], torch.as_tensor(source)), target)


def log_p_lm(made, language, sentence):
    """log P̂(sentence)."""
    return log_prob(language_model_logits(made.task.stage.marginals[language].model, EOS), sentence).item()


def assert_same_gradients(made, found, wanted, factor=1.0):
    """Gradients by name, of which a missing one is 0."""
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())
    for name, p in made.model.named_parameters():
        nothing = torch.zeros_like(p)
        wanted_here = factor * wanted.get(name, nothing)
        torch.testing.assert_close(found.get(name, nothing), wanted_here, rtol=1e-5, atol=1e-8, msg=name)


def add_up(sums, weight, gradients):
    """Add weighted gradients to sums of them, by name."""
    for name, gradient in gradients.items():
        sums[name] = sums.get(name, 0) + weight * gradient


def saved(folder):
    """What a criterion wrote for --save-samples: a line for each sentence."""
    return [json.loads(line) for line in (folder / "samples.0.jsonl").read_text().splitlines()]
