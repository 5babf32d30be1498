"""The duality gap of the parallel data: how far the pair is from P(x) P(y|x) = P(y) P(x|y)."""

import logging
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, ClassVar, Dict, Iterable, List, Optional, Tuple

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from torch import Tensor

from ..errors import BadInput
from ..objectives import duality_gap, duality_terms, unlearnt
from ..ranges import POSITIVE, UPDATES, WEIGHT, number
from ..sampling import in_order
from ..workers import data_parallel_workers
from .cross_entropy import CrossEntropyConfig
from .resources import Pair, Resources
from .term import Batches, Outputs, Part, Step, Term, Totals

logger = logging.getLogger(__name__)

MANY_UNLEARNT = 0.05
REPORTED_PAIRS = 500  # before the first update


@dataclass
class DualityGapConfig(FairseqDataclass):
    dsl_lambda: float = number(
        0.01, WEIGHT, "weight λ of the squared duality gap in the loss of source→target; 0 is none"
    )
    dsl_lambda_dual: Optional[float] = number(None, WEIGHT, "the same for target→source (default: --dsl-lambda)")
    dsl_start_update: int = number(0, UPDATES, "λ is 0 for this many updates")
    dsl_ramp_updates: int = number(0, UPDATES, "λ then grows linearly to its value over this many updates")
    dsl_gap_clip: Optional[float] = number(
        None, POSITIVE, "beyond this gap, in nats, the penalty grows linearly (Huber); default: nowhere"
    )


@dataclass
class DSLConfig(DualityGapConfig, CrossEntropyConfig):
    """The flags of DSL: cross-entropy and the duality gap."""


@dataclass
class MethodConfig(DSLConfig):
    """The flags that every other method shares: those of DSL, whose gap counts nothing unless it is asked for."""

    dsl_lambda: float = number(
        0.0, WEIGHT, "weight λ of the squared duality gap in the loss of source→target; 0 is none"
    )


class DualityGap(Term):
    """λ·gap(θ, const)² + λ'·gap(const, θ')², by the marginals' scores of the parallel data; see `objectives`.

    The gap is logged also where λ is 0, if there are marginals.
    """

    validates = True
    listeners: ClassVar[List[Callable[[List[int], List[float]], None]]] = []
    """Told the numbers and the gaps of each batch's pairs, by tools for which the logged means are too little."""

    def __init__(self, cfg: DualityGapConfig, given: Resources):
        super().__init__(cfg, given)
        dual = cfg.dsl_lambda if cfg.dsl_lambda_dual is None else cfg.dsl_lambda_dual
        self.lambdas = (cfg.dsl_lambda, dual)
        flag, value = ("--dsl-lambda", cfg.dsl_lambda) if cfg.dsl_lambda else ("--dsl-lambda-dual", dual)
        if any(self.lambdas) and len(list(given.directions)) < 2:
            raise BadInput(f"{flag} {value}: the duality gap requires --task dual_translation")
        if any(self.lambdas) and not given.marginals:
            raise BadInput(
                f"{flag} {value}: the duality gap requires a language model of each language; "
                f"give --source-lm and --target-lm, or {flag} 0"
            )

    def current_lambdas(self, step: Step) -> Tuple[float, float]:
        """λ of the primal and of the dual direction: on schedule in training, final in validation."""
        ramp = 1.0
        if step.training:
            ramp = (step.update - self.cfg.dsl_start_update + 1) / max(self.cfg.dsl_ramp_updates, 1)
        ramp = min(max(ramp, 0.0), 1.0)
        return self.lambdas[0] * ramp, self.lambdas[1] * ramp

    def parts(self, step: Step) -> List[Part]:
        return [Part(step.parallel, partial(self._loss, step))]

    def _loss(self, step: Step, outputs: Outputs):
        lambdas = self.current_lambdas(step)
        loss: Any = 0.0
        sums: Dict[str, Any] = {
            "regularizer": 0.0,
            "gap": 0.0,
            "gap_abs": 0.0,
            "gap_squared": 0.0,
            "unlearnt": 0.0,
            "scored": 0,
        }
        batches = list(step.parallel.values())
        for direction, weight in zip(step.parallel, lambdas):
            sums[f"lambda_{direction}"] = weight * len(batches[0]["id"])
        if "log_marginal" in batches[0]:
            scores = self._scores(step.parallel, outputs)
            if any(lambdas):
                penalty = duality_terms(*scores, clip=self.cfg.dsl_gap_clip)
                loss = (lambdas[0] * penalty.primal + lambdas[1] * penalty.dual).sum()
                sums["regularizer"] = loss.detach()
            gap = duality_gap(*scores).detach()
            for listener in self.listeners:
                listener(batches[0]["id"].sort().values.tolist(), gap.tolist())
            sums["gap"] = gap.sum()
            sums["gap_abs"] = gap.abs().sum()
            sums["gap_squared"] = (gap**2).sum()
            sums["unlearnt"] = self._unlearnt(gap, lambdas).double().sum()
            sums["scored"] = gap.numel()
        return loss, sums

    def _scores(self, batches: Batches, outputs: Outputs) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """log P(x), log P(y|x), log P(y), log P(x|y) of the same pairs in the same rows, float64.

        Each batch is sorted by its own source lengths: the rows are brought together by the pairs' numbers.
        """
        marginal, log_prob = [], []
        for direction, batch in batches.items():
            score = outputs.score(direction, batch, self.cfg.label_smoothing)  # made once, with the cross-entropy's
            marginal.append(in_order(batch["log_marginal"].double(), batch))
            log_prob.append(in_order(score.log_prob.double(), batch))
        return marginal[1], log_prob[0], marginal[0], log_prob[1]

    def _unlearnt(self, gap: Tensor, lambdas: Tuple[float, float]) -> Tensor:
        cfg = self.cfg
        return unlearnt(gap, *lambdas, cfg.label_smoothing, cfg.dsl_gap_clip, cfg.parallel_weight)

    def begin_training(self, pair: BaseFairseqModel, batches: Callable[[int, torch.device], Iterable[Batches]]):
        if self.given.marginals and pair.num_updates == 0 and data_parallel_workers()[1] == 0:
            self.report(pair, batches(REPORTED_PAIRS, next(pair.parameters()).device))

    @torch.no_grad()
    def report(self, pair: Pair, batches: Iterable[Batches]):
        """Print the quantiles of the gap over some batches, and the share of pairs that the final λ would un-learn."""
        gaps = []
        for parallel in batches:
            outputs = Outputs(pair, parallel.items(), self.given.pad)
            gaps.append(duality_gap(*self._scores(parallel, outputs)).cpu())
        gap = torch.cat(gaps)
        share = self._unlearnt(gap, self.lambdas).double().mean().item()
        quantiles = np.quantile(gap.numpy(), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
        names = ("min", "5%", "25%", "median", "75%", "95%", "max")
        logger.info(
            f"duality gap before the first update, of {len(gap)} training pairs, in nats: "
            + ", ".join(f"{name} {value:.1f}" for name, value in zip(names, quantiles))
            + f"; un-learnt at λ = {self.lambdas[0]:g}, {self.lambdas[1]:g}: {share:.1%}"
        )
        if share > MANY_UNLEARNT:
            logger.warning(
                f"--dsl-lambda {self.lambdas[0]:g} makes a model un-learn {share:.1%} of the pairs: their gap is "
                "beyond what the cross-entropy outweighs; lower λ, set --dsl-gap-clip, or train language models and "
                "warm starts further"
            )

    @classmethod
    def log(cls, totals: Totals):
        scored, size = totals["scored"], totals["sample_size"]
        for direction in totals.directions:
            weight = totals[f"lambda_{direction}"] / (totals["nsentences"] or 1)
            metrics.log_scalar(f"lambda_{direction}", weight, weight=0, round=6)
        for name, key in (
            ("duality_gap", "gap_abs"),
            ("duality_gap_signed", "gap"),
            ("duality_loss", "gap_squared"),
        ):
            # without language models the gap is not known, which is not 0
            metrics.log_scalar(name, totals[key] / scored if scored else math.nan, scored, round=3)
        metrics.log_scalar("unlearnt", totals["unlearnt"] / (scored or 1), scored, round=4)
        # of the sums over all batches: a mean of the batches' shares would depend on how they are cut
        metrics.log_scalar("_regularizer", totals["regularizer"] / (size or 1) / math.log(2), size)
        metrics.log_derived(
            "duality_share", lambda meters: round(float(meters["_regularizer"].avg / (meters["loss"].avg or 1)), 4)
        )
