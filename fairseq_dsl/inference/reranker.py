"""Scores hypotheses by the reverse direction and by marginals."""

import math
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.sequence_scorer import SequenceScorer
from torch import Tensor

from ..marginals import Marginal
from ..sampling import pair_up, unpadded
from .hypotheses import Hypotheses

MAX_TOKENS = 12000  # of a batch, where no flag says it: as of fairseq-generate

Item = Tuple[Tensor, ...]
"""What is scored: a sentence, or the sentences of a pair."""


class Reranker:
    """Scores hypotheses by the reverse direction's models, and by marginals.

    Args:
        models: of the reverse direction: an ensemble, whose probabilities are averaged as fairseq does.
        source: the dictionary of the language that is translated.
        flags: of fairseq's translation task: where padding stands.
        marginal: of the language that is generated, or None.
        source_marginal: of the other one; for the duality gap alone.
        max_tokens: of a batch.
    """

    def __init__(
        self,
        models: Sequence[FairseqEncoderDecoderModel],
        source: Dictionary,
        flags: Any,
        marginal: Optional[Marginal],
        source_marginal: Optional[Marginal],
        max_tokens: Optional[int],
    ):
        self.models = list(models)
        self.source = source
        self.flags = flags
        self.marginal = marginal
        self.source_marginal = source_marginal
        self.max_tokens = max_tokens or MAX_TOKENS
        limits = [model.max_positions() for model in self.models]
        self.longest_target, self.longest_source = (min(limit) for limit in zip(*limits))

    def score(self, sample: Dict[str, Any], found: List[List[Dict[str, Any]]]) -> List[Hypotheses]:
        """Score the hypotheses of a batch; what is too long for a model has no score of it."""
        src_tokens = sample["net_input"]["src_tokens"]
        sources = unpadded(src_tokens, self.source.pad())
        numbers = sample["id"].tolist() if "id" in sample else [None] * len(sources)
        scored = [Hypotheses.of(*parts) for parts in zip(numbers, sources, found)]
        self._fill(scored, src_tokens.device)
        return scored

    def _fill(self, lists: List[Hypotheses], device: torch.device):
        pairs = [(target, one.source) for one in lists for target in one.targets]
        reverse = self._each(pairs, lambda items: self._reverse(items, device))
        marginal = self._each([(target,) for target, _ in pairs], marginals(self.marginal))
        sources = self._each([(one.source,) for one in lists], marginals(self.source_marginal))
        for one in lists:
            for k in range(len(one.found)):
                one.reverse[k], one.marginal[k] = next(reverse), next(marginal)
            one.source_marginal = next(sources)

    def _each(self, items: List[Item], score: Callable[[List[Item]], Sequence[float]]) -> Iterator[float]:
        """The score of each item; equal ones are scored once, in batches of about one length."""
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
            max_tokens=max(self.max_tokens, int(sizes.max(initial=1))),
        )
        scores = np.full(len(unique), math.nan)
        for places in batches:
            rows = order[places]
            scores[rows] = score([unique[row] for row in rows])
        by_key = dict(zip(distinct, scores.tolist()))
        return iter([by_key[key] for key in keys])

    def _reverse(self, pairs: List[Item], device: torch.device) -> Sequence[float]:
        """log P(x|y) of pairs (y, x); nan of those that are too long."""
        short = [len(y) <= self.longest_target and len(x) <= self.longest_source for y, x in pairs]
        found = np.full(len(pairs), math.nan)
        if any(short):
            found[short] = self._reverse_of([pair for pair, fits in zip(pairs, short) if fits], device)
        return found.tolist()

    def _reverse_of(self, pairs: List[Item], device: torch.device) -> Sequence[float]:
        targets, sources = zip(*pairs)
        batch = pair_up(list(targets), list(sources), self.flags, self.source, device)
        found = SequenceScorer(self.source).generate(self.models, batch)
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
