"""The hypotheses of a sentence, and what each model says of them."""

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from ..objectives import dual_inference_score, duality_gap


@dataclass
class Hypotheses:
    """What a beam search found for one sentence, and its scores; nats, float64, in the order that it was found in.

    Attributes:
        number: of the sentence in its data; None where fairseq does not tell it.
        source: its symbols, with the end-of-sentence symbol.
        found: as fairseq's generator gives them.
        forward, reverse, marginal: log P(y|x), log P(x|y), log P(y) of each; nan where nobody was asked, or could say.
        source_marginal: log P(x), in the same way.
    """

    number: Optional[int]
    source: Tensor
    found: List[Dict[str, Any]]
    forward: Tensor
    reverse: Tensor
    marginal: Tensor
    source_marginal: float = math.nan

    @classmethod
    def of(cls, number: Optional[int], source: Tensor, found: List[Dict[str, Any]]) -> "Hypotheses":
        """Scored by the forward models alone, whose own scores of the symbols are added up."""
        forward = [float(hypothesis["positional_scores"].double().sum()) for hypothesis in found]
        unknown = torch.full((len(found),), math.nan, dtype=torch.float64)
        return cls(number, source, found, torch.tensor(forward, dtype=torch.float64), unknown, unknown.clone())

    @property
    def targets(self) -> List[Tensor]:
        """The symbols of each, with the end-of-sentence symbol, on the CPU."""
        return [hypothesis["tokens"].cpu() for hypothesis in self.found]

    @property
    def gap(self) -> Tensor:
        """The duality gap of the sentence with each of them."""
        source_marginal = torch.full_like(self.forward, self.source_marginal)
        return duality_gap(source_marginal, self.forward, self.marginal, self.reverse)

    def scores(self, reverse_weight: float, lm_weight: float) -> Tensor:
        """Of dual inference, ``(hypotheses,)``, in nats per token, nan where a part of it is not known.

        See `objectives.dual_inference_score`.
        """
        target_length = torch.tensor([len(one["tokens"]) for one in self.found], dtype=torch.float64)
        source_length = torch.full_like(target_length, len(self.source))
        marginal = self.marginal if lm_weight else torch.zeros_like(self.marginal)
        return dual_inference_score(
            self.forward, self.reverse, marginal, target_length, source_length, reverse_weight, lm_weight
        )

    def in_order(self, reverse_weight: float, lm_weight: float) -> List[Dict[str, Any]]:
        """Best first, each with its score; those without one last, as they were found.

        Where the forward model's choice has none, with what the others would have to be compared, all stay as they are.
        """
        if not reverse_weight or not self.found:
            return self.found
        scores = self.scores(reverse_weight, lm_weight)
        if scores[0].isnan():
            return self.found
        best_first = scores.nan_to_num(-math.inf).sort(descending=True, stable=True).indices.tolist()
        return [self._with_score(k, scores[k]) for k in best_first]

    def _with_score(self, k: int, score: Tensor) -> Dict[str, Any]:
        return self.found[k] if score.isnan() else {**self.found[k], "score": score.to(self.found[k]["score"])}
