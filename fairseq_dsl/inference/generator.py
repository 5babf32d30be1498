"""fairseq's generators, whose hypotheses are put into another order."""

import logging
from typing import Any, Callable, Dict, List

import torch

from .hypotheses import Hypotheses
from .reranker import Reranker

logger = logging.getLogger(__name__)


class DualGenerator:
    """A generator of fairseq's whose hypotheses come in the order, and with the ``score``, of dual inference.

    The ``positional_scores`` stay those of the forward model.

    Args:
        generator: fairseq's.
        reranker: scores what it finds.
        reverse_weight, lm_weight: A and B of `objectives.dual_inference_score`.
        on_scores: called with what was scored.
    """

    def __init__(
        self,
        generator: Any,
        reranker: Reranker,
        reverse_weight: float,
        lm_weight: float,
        on_scores: Callable[[List[Hypotheses]], None],
    ):
        self.generator = generator
        self.reranker = reranker
        self.reverse_weight = reverse_weight
        self.lm_weight = lm_weight
        self.on_scores = on_scores
        self.left_as_found = 0

    def __getattr__(self, name):  # what fairseq asks of a generator, such as its symbols_to_strip_from_output
        return getattr(self.__dict__["generator"], name)

    @torch.no_grad()
    def generate(self, models, sample: Dict[str, Any], **kwargs) -> List[List[Dict[str, Any]]]:
        found = self.generator.generate(models, sample, **kwargs)
        scored = self.reranker.score(sample, found)
        self.on_scores(scored)
        self._say_what_is_left(scored)
        return [one.in_order(self.reverse_weight, self.lm_weight) for one in scored]

    def _say_what_is_left(self, scored: List[Hypotheses]):
        scores = [one.scores(self.reverse_weight, self.lm_weight) for one in scored] if self.reverse_weight else []
        unknown = [int(found.isnan().sum()) for found in scores]
        left = sum(bool(found[:1].isnan().any()) for found in scores)
        self.left_as_found += left
        if any(unknown):
            logger.warning(
                f"dual inference: {sum(unknown)} translations of {sum(map(bool, unknown))} sentences have no score, as "
                "they or their sources are too long for the reverse model or the language model: they come last, but "
                f"of {left} sentences, whose forward choice is one, all keep their forward order and score "
                f"({self.left_as_found} so far)"
            )
