"""Scores hypotheses by the reverse direction and by marginals."""

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqEncoderDecoderModel

from ..marginals import Marginal
from ..sampling import unpadded
from .forced import ForcedDecoder, Item, each, marginals
from .hypotheses import Hypotheses

MAX_TOKENS = 12000  # of a batch, where no flag says it: as of fairseq-generate


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
        self.reverse = ForcedDecoder(models, source, flags)
        self.source = source
        self.marginal = marginal
        self.source_marginal = source_marginal
        self.max_tokens = max_tokens or MAX_TOKENS

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
        reverse = self._each(pairs, lambda items: self.reverse.score(items, device))
        marginal = self._each([(target,) for target, _ in pairs], marginals(self.marginal))
        sources = self._each([(one.source,) for one in lists], marginals(self.source_marginal))
        for one in lists:
            for k in range(len(one.found)):
                one.reverse[k], one.marginal[k] = next(reverse), next(marginal)
            one.source_marginal = next(sources)

    def _each(self, items: List[Item], score: Callable[[List[Item]], Sequence[float]]) -> Iterator[float]:
        return each(items, score, self.max_tokens)
