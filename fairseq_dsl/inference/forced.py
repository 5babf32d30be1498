"""What models and marginals say of sentences that are given: log P of each, in batches of about one length."""

import math
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.sequence_scorer import SequenceScorer
from torch import Tensor

from ..marginals import Marginal
from ..sampling import pair_up

Item = Tuple[Tensor, ...]
"""What is scored: a sentence, or the sentences of a pair."""


class ForcedDecoder:
    """log P(target | source) by the models of one direction, with fairseq's `SequenceScorer`.

    Args:
        models: an ensemble, whose probabilities are averaged as fairseq does.
        dictionary: of the target language.
        flags: of fairseq's translation task: where padding stands.
    """

    def __init__(self, models: Sequence[FairseqEncoderDecoderModel], dictionary: Dictionary, flags: Any):
        self.models = list(models)
        self.dictionary = dictionary
        self.flags = flags
        limits = [model.max_positions() for model in self.models]
        self.longest_source, self.longest_target = (min(limit) for limit in zip(*limits))

    def score(self, pairs: List[Item], device: torch.device) -> Sequence[float]:
        """log P of pairs (source, target) in their order, nats; nan of those that are too long."""
        short = [len(x) <= self.longest_source and len(y) <= self.longest_target for x, y in pairs]
        found = np.full(len(pairs), math.nan)
        if any(short):
            found[short] = self._score([pair for pair, fits in zip(pairs, short) if fits], device)
        return found.tolist()

    def _score(self, pairs: List[Item], device: torch.device) -> Sequence[float]:
        sources, targets = zip(*pairs)
        batch = pair_up(list(sources), list(targets), self.flags, self.dictionary, device)
        found = SequenceScorer(self.dictionary).generate(self.models, batch)
        scores = torch.stack([hypotheses[0]["positional_scores"].double().sum() for hypotheses in found])
        return scores[batch["id"].argsort()].tolist()


def marginals(marginal: Optional[Marginal]) -> Callable[[List[Item]], Sequence[float]]:
    """Scores sentences by a marginal, if there is one; nan for those that are too long for it."""

    def score(items: List[Item]) -> Sequence[float]:
        found = np.full(len(items), math.nan)
        short = [i for i, (sentence,) in enumerate(items) if marginal and len(sentence) <= marginal.max_length]
        if marginal and short:
            found[short] = marginal.score([items[i][0] for i in short])
        return found.tolist()

    return score


def each(items: List[Item], score: Callable[[List[Item]], Sequence[float]], max_tokens: int) -> Iterator[float]:
    """The score of each item in their order; equal ones are scored once, in batches of about one length.

    Args:
        score: of the items of a batch.
        max_tokens: of a batch, of its longer sides.
    """
    keys = [tuple(tuple(part.tolist()) for part in item) for item in items]
    distinct = dict(zip(keys, items))
    unique = list(distinct.values())
    sizes = np.array([max(map(len, item)) for item in unique], dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    # of the items in their order, whose sizes are those of their places
    batches = data_utils.batch_by_size(
        np.arange(len(unique)),
        None,
        num_tokens_vec=sizes[order],
        max_tokens=max(max_tokens, int(sizes.max(initial=1))),
    )
    scores = np.full(len(unique), math.nan)
    for places in batches:
        rows = order[places]
        scores[rows] = score([unique[row] for row in rows])
    by_key = dict(zip(distinct, scores.tolist()))
    return iter([by_key[key] for key in keys])
