"""Dual supervised learning: cross-entropy of both directions, and the duality gap between them."""

import logging
import math
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II
from torch import Tensor

from ..errors import BadInput
from ..objectives import duality_gap, duality_terms, score_targets, unlearnt
from ..ranges import BELOW_1, POSITIVE, UPDATES, WEIGHT, check_numbers, number

logger = logging.getLogger(__name__)

MANY_UNLEARNT = 0.05


@dataclass
class DSLCrossEntropyCriterionConfig(FairseqDataclass):
    dsl_lambda: float = number(
        0.01, WEIGHT, "weight λ of the squared duality gap in the loss of source→target; 0 is none"
    )
    dsl_lambda_dual: Optional[float] = number(None, WEIGHT, "the same for target→source (default: --dsl-lambda)")
    dsl_start_update: int = number(0, UPDATES, "λ is 0 for this many updates")
    dsl_ramp_updates: int = number(0, UPDATES, "λ then grows linearly to its value over this many updates")
    dsl_gap_clip: Optional[float] = number(
        None, POSITIVE, "beyond this gap, in nats, the penalty grows linearly (Huber); default: nowhere"
    )
    label_smoothing: float = number(
        0.0, BELOW_1, "label smoothing of the cross-entropy; the duality gap never has any"
    )
    sentence_avg: bool = II("optimization.sentence_avg")


class Term(NamedTuple):
    """What a criterion adds to the cross-entropy of the parallel part."""

    batches: Dict[str, dict]
    """By direction, the batch whose output it differentiates."""
    loss: Callable[[Dict[str, Any]], Tuple[Tensor, Dict[str, Tensor]]]
    """From the models' outputs by direction: the loss, summed over sentences, and sums to be logged."""


@register_criterion("dsl_cross_entropy", dataclass=DSLCrossEntropyCriterionConfig)
class DSLCrossEntropyCriterion(FairseqCriterion):
    """CE(y|x; θ) + CE(x|y; θ') + λ·gap(θ, const)² + λ'·gap(const, θ')², summed over sentence pairs.

    See `objectives` for the terms. The sum is returned with one sample size, the tokens of both sides (or the pairs,
    with ``--sentence-avg``), so that λ weighs a pair's gap against the same pair's cross-entropy, as in the paper.

    The base of all criterions that train a pair: they add terms, which are differentiated in the same call of the
    model (data-parallel training wants that).
    """

    takes_one_direction: ClassVar[bool] = False
    """Whether it also trains fairseq's own translation task."""
    monolingual: ClassVar[bool] = False
    """Whether the method learns from monolingual data."""
    keeps_language_models: ClassVar[bool] = False
    """Whether the language models score samples while training, and so stay in memory."""
    averages: ClassVar[Dict[str, str]] = {}
    """What the terms log, summed, of each direction: the key, and the key of the sum that it is divided by."""

    def __init__(self, cfg: DSLCrossEntropyCriterionConfig, task):
        super().__init__(task)
        self.cfg = cfg
        self.is_pair = hasattr(task, "directions")
        if not self.is_pair and not self.takes_one_direction:
            raise BadInput(f"--criterion {cfg._name}: trains both directions; it needs --task dual_translation")
        self.label_smoothing = cfg.label_smoothing
        self.parallel_weight = getattr(cfg, "parallel_weight", 1.0)
        self.lambdas = (cfg.dsl_lambda, cfg.dsl_lambda if cfg.dsl_lambda_dual is None else cfg.dsl_lambda_dual)
        self.gap_clip = cfg.dsl_gap_clip
        self.num_updates = 0
        self._check()

    @classmethod
    def build_criterion(cls, cfg, task):
        return cls(cfg, task)

    def _check(self):
        cfg = self.cfg
        check_numbers(cfg)
        flag, value = "--dsl-lambda", cfg.dsl_lambda
        if not value:
            flag, value = "--dsl-lambda-dual", cfg.dsl_lambda_dual
        if any(self.lambdas) and not self.is_pair:
            raise BadInput(f"{flag} {value}: the duality gap takes --task dual_translation")
        if any(self.lambdas) and self.task.marginals is None:
            raise BadInput(
                f"{flag} {value}: the duality gap takes a language model of each language; "
                f"give --source-lm and --target-lm, or {flag} 0"
            )

    @property
    def memory_advice(self) -> str:
        return "lower --max-tokens or --batch-size (and raise --update-freq)"

    def set_num_updates(self, num_updates: int):
        self.num_updates = num_updates

    def begin_batch(self, update: int, dummy: bool):
        """To be called before each batch of training.

        Args:
            update: the number of updates before this one; all batches of an update have the same.
            dummy: whether it stands for a batch that this worker does not have, and has no gradient.
        """
        self.set_num_updates(update)

    def current_lambdas(self):
        """λ of the primal and of the dual direction: on schedule in training, final in validation."""
        ramp = 1.0
        if self.training:
            ramp = (self.num_updates - self.cfg.dsl_start_update + 1) / max(self.cfg.dsl_ramp_updates, 1)
        return tuple(weight * min(max(ramp, 0.0), 1.0) for weight in self.lambdas)

    def current_parallel_weight(self) -> float:
        """The weight of the cross-entropy, which is all that validation has: there it is 1 where training has 0."""
        return self.parallel_weight if self.training else self.parallel_weight or 1.0

    def terms(self, model, sample) -> List[Term]:
        """What is added to the parallel part in training; all that is constant in it is made here."""
        return []

    def forward(self, model, sample, reduce=True):
        """Return the loss, the sample size that it is divided by, and what is logged (sums)."""
        batches = self._batches(sample)
        terms = self.terms(model, sample) if self.training else []
        outputs = self._outputs(model, [batches, *(term.batches for term in terms)])
        scores = {
            direction: self._score(self._model(model, direction), outputs[0][direction], batch)
            for direction, batch in batches.items()
        }
        loss = self.current_parallel_weight() * sum(score.loss.sum() for score in scores.values())
        lambdas = self.current_lambdas()
        logging_output = {"regularizer": 0.0, "gap": 0.0, "gap_abs": 0.0, "gap_squared": 0.0, "unlearnt": 0.0, "scored": 0}
        if "log_marginal" in sample:
            gap_inputs = self._gap_inputs(batches, scores)
            if any(lambdas):
                penalty = duality_terms(*gap_inputs, clip=self.gap_clip)
                regularizer = (lambdas[0] * penalty.primal + lambdas[1] * penalty.dual).sum()
                loss = loss + regularizer
                logging_output["regularizer"] = regularizer.detach()
            gap = duality_gap(*gap_inputs).detach()
            logging_output["gap"] = gap.sum()
            logging_output["gap_abs"] = gap.abs().sum()
            logging_output["gap_squared"] = (gap**2).sum()
            logging_output["unlearnt"] = self._unlearnt(gap, lambdas).double().sum()
            logging_output["scored"] = gap.numel()
        if self.training:
            # Of all batches, also those without samples, and all as tensors: workers exchange numbers apart from tensors.
            keys = {*self.averages, *self.averages.values()}
            logging_output.update({f"{key}_{d}": loss.new_zeros(()) for key in sorted(keys) for d in batches})
        for term, term_outputs in zip(terms, outputs[1:]):
            term_loss, sums = term.loss(term_outputs)
            loss = loss + term_loss
            logging_output.update({key: torch.as_tensor(value, device=loss.device) for key, value in sums.items()})
        ntokens = sum(batch["ntokens"] for batch in batches.values())
        nsentences = sample["id"].numel()
        sample_size = nsentences if self.cfg.sentence_avg else ntokens
        logging_output.update(
            loss=loss.detach(), ntokens=ntokens, nsentences=nsentences, sample_size=sample_size,
        )  # fmt: skip
        for direction, weight in zip(batches, lambdas):
            logging_output[f"nll_loss_{direction}"] = -scores[direction].log_prob.detach().sum()
            logging_output[f"ntokens_{direction}"] = batches[direction]["ntokens"]
            logging_output[f"lambda_{direction}"] = weight * nsentences
        return loss, sample_size, logging_output

    def _batches(self, sample) -> Dict[str, dict]:
        """The batch of each direction, primal first, whichever of them the data are read in."""
        batches = {self.task.direction: sample, self.task.reverse: sample["dual"]}
        return {direction: batches[direction] for direction in (self.task.primal, self.task.dual)}

    def _model(self, model, direction: str):
        """The model of one direction."""
        return model.models[direction]

    def _outputs(self, model, parts: List[Dict[str, dict]]) -> List[Dict[str, Any]]:
        """The models' outputs for the batches of all parts, by direction, from one call of the pair."""
        inputs: Dict[str, list] = {}
        for part in parts:
            for direction, batch in part.items():
                inputs.setdefault(direction, []).append(batch["net_input"])
        found = {direction: iter(outputs) for direction, outputs in model(inputs).items()}
        return [{direction: next(found[direction]) for direction in part} for part in parts]

    def _score(self, model, output, batch, label_smoothing: Optional[float] = None):
        if label_smoothing is None:
            label_smoothing = self.label_smoothing
        # Told the gold symbols, an adaptive softmax computes theirs alone; smoothing takes those of all symbols.
        told = None if label_smoothing else batch
        lprobs = model.get_normalized_probs(output, log_probs=True, sample=told)
        return score_targets(lprobs, batch["target"], self.padding_idx, label_smoothing)

    def _gap_inputs(self, batches, scores):
        """log P(x), log P(y|x), log P(y), log P(x|y) of the same pairs in the same rows, float64.

        Each batch is sorted by its own source lengths: the rows are brought together by the pairs' numbers.
        """
        rows = {direction: batch["id"].argsort() for direction, batch in batches.items()}
        marginal = {d: batches[d]["log_marginal"].double()[rows[d]] for d in batches}
        log_prob = {d: scores[d].log_prob.double()[rows[d]] for d in batches}
        primal, dual = batches
        return marginal[dual], log_prob[primal], marginal[primal], log_prob[dual]

    def _unlearnt(self, gap, lambdas):
        return unlearnt(gap, *lambdas, self.label_smoothing, self.gap_clip, self.parallel_weight)

    @torch.no_grad()
    def report_gap(self, model, samples):
        """Print the quantiles of the gap over some batches, and the share of pairs that the final λ would un-learn."""
        gaps = []
        for sample in samples:
            batches = self._batches(sample)
            outputs = model({direction: [batch["net_input"]] for direction, batch in batches.items()})
            scores = {d: self._score(model.models[d], outputs[d][0], batch) for d, batch in batches.items()}
            gaps.append(duality_gap(*self._gap_inputs(batches, scores)).cpu())
        gap = torch.cat(gaps)
        share = self._unlearnt(gap, self.lambdas).double().mean().item()
        quantiles = np.quantile(gap.numpy(), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
        logger.info(
            f"duality gap before the first update, of {len(gap)} training pairs, in nats: "
            + ", ".join(
                f"{name} {value:.1f}"
                for name, value in zip(("min", "5%", "25%", "median", "75%", "95%", "max"), quantiles)
            )
            + f"; un-learnt at λ = {self.lambdas[0]:g}, {self.lambdas[1]:g}: {share:.1%}"
        )
        if share > MANY_UNLEARNT:
            logger.warning(
                f"--dsl-lambda {self.lambdas[0]:g} makes a model un-learn {share:.1%} of the pairs: their gap is beyond "
                "what the cross-entropy outweighs; lower λ, set --dsl-gap-clip, or train language models and warm "
                "starts further"
            )

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Log the averages of what the workers and micro-batches summed; the keys are always the same."""

        def total(key):
            return utils.item(sum(log.get(key, 0) for log in logging_outputs))

        keys = logging_outputs[0] if logging_outputs else ()
        directions = [key[len("nll_loss_") :] for key in keys if key.startswith("nll_loss_")]
        ntokens, nsentences, sample_size = total("ntokens"), total("nsentences"), total("sample_size")
        loss = total("loss")
        metrics.log_scalar("loss", loss / (sample_size or 1) / math.log(2), sample_size, round=3)
        nll = {direction: total(f"nll_loss_{direction}") for direction in directions}
        log_nll(None, sum(nll.values()), ntokens)
        for direction in directions:
            log_nll(direction, nll[direction], total(f"ntokens_{direction}"))
            weight = total(f"lambda_{direction}") / (nsentences or 1)
            metrics.log_scalar(f"lambda_{direction}", weight, weight=0, round=6)
        scored = total("scored")
        for name, key in (
            ("duality_gap", "gap_abs"),
            ("duality_gap_signed", "gap"),
            ("duality_loss", "gap_squared"),
        ):
            # without language models the gap is not known, which is not 0
            metrics.log_scalar(name, total(key) / scored if scored else math.nan, scored, round=3)
        metrics.log_scalar("unlearnt", total("unlearnt") / (scored or 1), scored, round=4)
        # of the sums over all batches: a mean of the batches' shares would depend on how they are cut
        metrics.log_scalar("_regularizer", total("regularizer") / (sample_size or 1) / math.log(2), sample_size)
        metrics.log_derived(
            "duality_share", lambda meters: round(float(meters["_regularizer"].avg / (meters["loss"].avg or 1)), 4)
        )

        for key, by in cls.averages.items():
            for direction in directions:
                count = total(f"{by}_{direction}")
                if count:
                    metrics.log_scalar(f"{key}_{direction}", total(f"{key}_{direction}") / count, count, round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def log_nll(direction: Optional[str], nll: float, ntokens: int):
    """Log the negative log-likelihood per token in bits, and the perplexity; of one direction or of both together."""
    ending = f"_{direction}" if direction else ""
    key = f"nll_loss{ending}"
    metrics.log_scalar(key, nll / (ntokens or 1) / math.log(2), ntokens, round=3)
    metrics.log_derived(f"ppl{ending}", lambda meters: utils.get_perplexity(meters[key].avg))
