"""Stand-ins for the sampler: a criterion is given the samples of which it is to make its loss."""

import itertools

import tiny
import torch
from toys import EOS, LIMIT

from fairseq_dsl.sampling import Samples
from fairseq_dsl.terms.policy import PolicyTerm

SETTINGS = {
    "minimum_risk": dict(num_samples=3, sharpness=0.5),
    "dual_learning": dict(num_samples=2, reward_alpha=0.3),
    "cycle_adversarial": dict(num_samples=2, reward_alpha=0.3, critic_dim=8, critic_dropout=0.0),
    "marginal_regularized_cross_entropy": dict(num_samples=2, marginal_lambda=0.3),
    "back_translation_cross_entropy": dict(num_samples=2),
}
"""Of each method, to go with what `is_given_fixed_samples` gives it."""


class Drawn:
    """Stands in for a sampler: gives these samples, of one call after another.

    Args:
        calls: of each call, the samples of each of its sentences, and the log of each one's probability if it matters.
        limit: on their words; where they reach it they count as cut.
    """

    def __init__(self, *calls, limit=LIMIT):
        self.calls = itertools.cycle(calls)
        self.limit = limit

    def draw(self, model, dictionary, sources, max_len):
        sentences, log_q = next(self.calls)
        assert len(sentences) == len(sources["net_input"]["src_tokens"])
        log_q = [[float(q) for q in row] for row in log_q or [[0.0] * len(row) for row in sentences]]
        cut = torch.tensor([[len(sentence) == self.limit + 1 for sentence in row] for row in sentences])
        log_q = torch.tensor(log_q, dtype=torch.float64)
        return Samples([torch.tensor(sentence) for row in sentences for sentence in row], log_q, cut, self.limit)


def is_given(criterion, sentences, log_q=None, limit=LIMIT):
    """Have a criterion take these samples in place of ones of its own."""
    criterion.terms[-1].sampler = Drawn((sentences, log_q), limit=limit)


def is_given_fixed_samples(criterion):
    """Some fixed samples, of whatever a method samples for: those of a sentence alike where they are rewarded.

    Their rewards are then their baselines, and the loss is a function whose gradient is the method's.
    """
    if not criterion.terms[-1].reads_monolingual:
        drawn = [
            [(4, 5, EOS), (4, EOS), (5, EOS)],
            [(4, EOS), (4, EOS), (5, 5, EOS)],
            [(4, EOS), (4, 4, EOS), (0, EOS)],
        ]
        criterion.terms[-1].sampler = Drawn((drawn, None))
    elif isinstance(criterion.terms[-1], PolicyTerm):
        criterion.terms[-1].sampler = Drawn(([[(4, 5, EOS)] * 2, [(5, EOS)] * 2], None))
    else:
        criterion.terms[-1].sampler = Drawn(
            ([[(4, 5, EOS), (5, EOS)], [(4, EOS), (0, 4, EOS)]], [[-2.0, -1.0], [-0.5, -3.0]])
        )


# ---- of the corpus of `tiny`: the reference's words, some left out or in another order

CHANGES = [slice(None), slice(None, None, -1), slice(1, None), slice(None, None, -1), slice(0, 1), slice(None, 6)]


def changed_references(numbers, direction, symbols):
    """Six samples of each of these sentences: some twice, some of which are the reference itself."""
    side = ("de-en", "en-de").index(direction)
    found = []
    for number in numbers:
        words = tiny.PAIRS[number][1 - side]
        kept = [words[change] or words for change in CHANGES]
        kept[0] = [*words, words[0]]
        found.append([tuple(tiny.encode(sentence, symbols).tolist()) for sentence in kept])
    return found


def is_given_changed_references(criterion, task, sample, directions=("de-en", "en-de")):
    """Have a criterion take these in place of samples of its own; they are returned by direction."""
    batches = {"de-en": sample, "en-de": sample.get("reverse")}
    symbols = {"de-en": task.tgt_dict, "en-de": task.src_dict}
    draws = [changed_references(batches[d]["id"].tolist(), d, symbols[d]) for d in directions]
    criterion.terms[-1].sampler = Drawn(*((sentences, None) for sentences in draws))
    return dict(zip(directions, draws))
