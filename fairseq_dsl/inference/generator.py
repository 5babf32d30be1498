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
        self._say_what_is_left([one for one in scored if not one.re_rankable])
        return [one.in_order(self.reverse_weight, self.lm_weight) for one in scored]

    def _say_what_is_left(self, left: List[Hypotheses]):
        if left:
            self.left_as_found += len(left)
            logger.warning(
                f"dual inference: {len(left)} sentences, or translations of theirs, are too long for the reverse model "
                f"or the language model; they keep their forward order and score ({self.left_as_found} so far)"
            )
