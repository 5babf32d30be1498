"""The cross-entropy of the parallel data, in all directions."""

import math
from dataclasses import dataclass
from functools import partial
from typing import List, Optional

from fairseq import utils
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from ..ranges import BELOW_1, WEIGHT, number
from .term import Outputs, Part, Step, Term, Totals


@dataclass
class CrossEntropyConfig(FairseqDataclass):
    label_smoothing: float = number(0.0, BELOW_1, "label smoothing of the cross-entropy; the duality gap never has any")
    parallel_weight: float = number(
        1.0, WEIGHT, "weight of the cross-entropy of the parallel data; where it is 0, validation's loss has it with 1"
    )
    sentence_avg: bool = II("optimization.sentence_avg")


class CrossEntropy(Term):
    """w·(CE(y|x; θ) + CE(x|y; θ')), smoothed as by fairseq's ``label_smoothed_cross_entropy``."""

    validates = True

    def parts(self, step: Step) -> List[Part]:
        return [Part(step.parallel, partial(self._loss, step))]

    def weight(self, training: bool) -> float:
        """That of training; in validation, which has no more than this term and the gap, never 0."""
        return self.cfg.parallel_weight if training else self.cfg.parallel_weight or 1.0

    def _loss(self, step: Step, outputs: Outputs):
        scores = {d: outputs.score(d, batch, self.cfg.label_smoothing) for d, batch in step.parallel.items()}
        sums = {}
        for direction, batch in step.parallel.items():
            sums[f"nll_loss_{direction}"] = -scores[direction].log_prob.detach().sum()
            sums[f"ntokens_{direction}"] = batch["ntokens"]
        return self.weight(step.training) * sum(score.loss.sum() for score in scores.values()), sums

    @classmethod
    def log(cls, totals: Totals):
        nll = {direction: totals[f"nll_loss_{direction}"] for direction in totals.directions}
        _log_nll(None, sum(nll.values()), totals["ntokens"])
        for direction in totals.directions:
            _log_nll(direction, nll[direction], totals[f"ntokens_{direction}"])


def _log_nll(direction: Optional[str], nll: float, ntokens: float):
    """Log the negative log-likelihood per token in bits, and the perplexity; of one direction or of all together."""
    ending = f"_{direction}" if direction else ""
    key = f"nll_loss{ending}"
    metrics.log_scalar(key, nll / (ntokens or 1) / math.log(2), ntokens, round=3)
    metrics.log_derived(f"ppl{ending}", lambda meters: utils.get_perplexity(meters[key].avg))
