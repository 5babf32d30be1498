"""The criterion of a pair: a sum of terms, all of whose outputs come from one call of the pair."""

import contextlib
import math
from typing import Any, Callable, ClassVar, Dict, Iterable, List, Sequence, Type

import torch
from fairseq.criterions import FairseqCriterion
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel
from torch import nn

from ..errors import BadInput, advice_on_memory
from ..ranges import check_numbers
from ..terms import Batches, Outputs, Resources, Step, Term, Totals
from .one_direction import resources_of_one_direction


class PairCriterion(FairseqCriterion):
    """The base of all criterions of this plugin, which differ by their terms alone: see `registry`.

    The terms are summed over sentence pairs and returned with one sample size, the tokens of both sides (or the pairs,
    with ``--sentence-avg``), so that λ weighs a pair's gap against the same pair's cross-entropy, as in the paper.

    Args:
        cfg: the flags of all terms.
        given: what the terms are built from.
    """

    term_types: ClassVar[Sequence[Type[Term]]] = ()
    trains_one_direction: ClassVar[bool] = False
    """Whether it also trains fairseq's own translation task."""

    def __init__(self, cfg, given: Resources):
        super().__init__(task=None)  # all that it may know of the task is in `given`
        check_numbers(cfg)
        self.cfg = cfg
        self.given = given
        self.padding_idx = given.pad
        self.terms = [term(cfg, given) for term in self.term_types]
        self.update = 0

    @classmethod
    def build_criterion(cls, cfg, task):
        if hasattr(task, "resources"):
            return cls(cfg, task.resources)
        if not cls.trains_one_direction:
            raise BadInput(f"--criterion {cfg._name}: trains both directions; it requires --task dual_translation")
        return cls(cfg, resources_of_one_direction(task, cfg._name))

    def forward(self, model, sample, reduce=True):
        """Return the loss, the sample size that it is divided by, and what is logged (sums)."""
        pair, parallel = self.given.as_pair(model), self.given.directions.of(sample)
        step = Step(pair, parallel, sample.get("monolingual", {}), self.update, self.training)
        loss, logged = self._sum(step)
        ntokens, nsentences = sum(batch["ntokens"] for batch in parallel.values()), sample["id"].numel()
        sample_size = nsentences if self.cfg.sentence_avg else ntokens
        logged.update(loss=loss.detach(), ntokens=ntokens, nsentences=nsentences, sample_size=sample_size)
        return loss, sample_size, logged

    def _sum(self, step: Step):
        terms = [term for term in self.terms if term.validates or step.training]
        parts = [(term, part) for term in terms for part in term.parts(step)]
        batches = [item for _, part in parts for item in part.batches.items()]
        texts = {language: tokens for _, part in parts for language, tokens in part.texts.items()}
        outputs = Outputs(step.pair, batches, self.padding_idx, texts)
        found = [(term, *part.loss(outputs)) for term, part in parts]
        loss: Any = sum(value for _, value, _ in found)
        # The workers' keys are the same, and in the same order, also where one had no sample; and as fairseq exchanges
        # numbers apart from tensors, what depends on samples is always a tensor.
        logged: Dict[str, Any] = {}
        for term in terms:
            for key in sorted({*term.averages, *term.averages.values()}):
                logged.update({f"{key}_{direction}": loss.new_zeros(()) for direction in step.parallel})
        for term, _, sums in found:
            if not (term.validates or sums.keys() <= logged.keys()):
                unknown = ", ".join(sums.keys() - logged.keys())
                raise ValueError(
                    f"{type(term).__name__}.averages: expected the keys of all sums, found {unknown} missing"
                )
            logged.update(
                sums if term.validates else {key: torch.as_tensor(v, device=loss.device) for key, v in sums.items()}
            )
        return loss, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[dict]) -> None:
        """Log the averages of what the workers and micro-batches summed; the keys are always the same."""
        totals = Totals(logging_outputs)
        size = totals["sample_size"]
        metrics.log_scalar("loss", totals["loss"] / (size or 1) / math.log(2), size, round=3)
        for term in cls.term_types:
            term.log(totals)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True

    # ---- what happens to the terms as training goes on: see `Term`

    def build_critics(self) -> Dict[str, nn.Module]:
        return {language: critic for term in self.terms for language, critic in term.build_critics().items()}

    def prepare(self):
        for term in self.terms:
            term.prepare()

    def begin_training(self, pair: BaseFairseqModel, batches: Callable[[int, torch.device], Iterable[Batches]]):
        for term in self.terms:
            term.begin_training(pair, batches)

    def train(self, mode=True):
        for term in getattr(self, "terms", ()):  # fairseq's trainer calls it at the beginning of each update
            term.begin_update()
        return super().train(mode)

    @contextlib.contextmanager
    def in_batch(self, update: int, dummy: bool):
        """What `patches.tell_criterions` does each step of training in: its loss and its gradient."""
        self.update = update
        for term in self.terms:
            term.begin_batch(update, dummy)
        with advice_on_memory(self.terms[-1].memory_advice):
            yield
