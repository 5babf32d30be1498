"""What a loss is made of: terms, which say whose outputs they need, what they make of them, and what they log.

A new method is a term, its flags and a line in `criterions.registry`; see `CONTRIBUTING.md`.
"""

from typing import Any, Callable, ClassVar, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

import torch
from fairseq import utils
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel, FairseqEncoderDecoderModel
from torch import Tensor, nn

from ..directions import Direction
from ..likelihood import TokenLikelihood
from ..models.dual_translation import CRITICS
from ..objectives import TokenScores, score_targets, smoothed_scores
from ..output_layer import Projected, left_out
from .resources import Pair, Resources

Batches = Dict[Direction, dict]
"""Ordinary translation batches of the same pairs, one for each direction, primal first."""


NO_TEXTS: Mapping[str, Tensor] = {}


class Step(NamedTuple):
    """What one call of a criterion is about.

    Attributes:
        pair: the models that are trained, ``pair.models`` by the name of their direction.
        parallel: the batch of parallel data.
        monolingual: a batch of sources by language; None where no sentence stands beside the pairs.
        update: the number of updates before this one.
        training: False in validation.
    """

    pair: Pair
    parallel: Batches
    monolingual: Mapping[str, Optional[dict]]
    update: int
    training: bool

    def model(self, direction: Direction) -> FairseqEncoderDecoderModel:
        """The model of one direction, for what is not differentiated: see `Outputs`."""
        return self.pair.models[str(direction)]


class Outputs:
    """The outputs of a pair's models for some batches, from one call of the pair.

    All that an update differentiates comes from that call: data-parallel training averages gradients by its hooks. A
    batch that several terms ask for is in it once.

    Args:
        batches: directions with their batches.
        pad: the padding symbol.
        texts: by language, the sentences that its critic is to judge.
    """

    def __init__(
        self, pair: Pair, batches: Iterable[Tuple[Direction, dict]], pad: int, texts: Mapping[str, Tensor] = NO_TEXTS
    ):
        self._pair = pair
        self._pad = pad
        distinct = {id(batch): (str(direction), batch) for direction, batch in batches}
        inputs: Dict[str, List[dict]] = {}
        for direction, batch in distinct.values():
            inputs.setdefault(direction, []).append(batch["net_input"])
        with left_out({pair.models[direction]: of_one[0] for direction, of_one in inputs.items()}):
            made = pair(inputs, texts) if texts else pair(inputs)
        self._log_odds: Dict[str, Tensor] = made.pop(CRITICS) if texts else {}
        found = {direction: iter(outputs) for direction, outputs in made.items()}
        self._outputs = {key: next(found[direction]) for key, (direction, _) in distinct.items()}
        self._likelihoods: Dict[int, TokenLikelihood] = {}
        self._scores: Dict[Tuple[int, float], TokenScores] = {}

    def of(self, batch: dict) -> Any:
        """As fairseq's model gave it; but with `Projected` for logits, where its output layer is a plain projection."""
        return self._outputs[id(batch)]

    def log_odds(self, language: str) -> Tensor:
        """What the language's critic says of each of its sentences, ``(sentences,)``, float64."""
        return self._log_odds[language].double()

    def score(self, direction: Direction, batch: dict, label_smoothing: float = 0.0) -> TokenScores:
        """log P(target|source) of each row, and its smoothed cross-entropy; see `objectives.score_targets`."""
        key = id(batch), label_smoothing
        if key not in self._scores:
            self._scores[key] = self._score(direction, batch, label_smoothing)
        return self._scores[key]

    def _score(self, direction: Direction, batch: dict, label_smoothing: float) -> TokenScores:
        output, target = self.of(batch), batch["target"]
        if isinstance(output[0], Projected):
            if id(batch) not in self._likelihoods:
                self._likelihoods[id(batch)] = TokenLikelihood(output[0], target, self._pad)
            likelihood = self._likelihoods[id(batch)]
            total = likelihood.total.sum(-1) if label_smoothing else None
            return smoothed_scores(likelihood.log_prob.sum(-1), total, likelihood.vocabulary, label_smoothing)
        # Told the gold symbols, an adaptive softmax computes theirs alone; smoothing uses those of all symbols.
        told = None if label_smoothing else batch
        lprobs = self._pair.models[str(direction)].get_normalized_probs(output, log_probs=True, sample=told)
        return score_targets(lprobs, target, self._pad, label_smoothing)


class Part(NamedTuple):
    """A summand of the loss.

    Attributes:
        batches: by direction, those whose outputs it is made of.
        loss: makes it of the outputs: the sum over sentences, and sums to be logged, by key.
        texts: by language, the sentences that it has critics judge; of each language, one part of a step at most.
    """

    batches: Batches
    loss: Callable[[Outputs], Tuple[Tensor, Dict[str, Any]]]
    texts: Mapping[str, Tensor] = NO_TEXTS


class Totals:
    """Sums over micro-batches and workers of what terms logged."""

    def __init__(self, logging_outputs: List[Dict[str, Any]]):
        self._logs = logging_outputs
        keys = logging_outputs[0] if logging_outputs else ()
        self.directions = [key[len("nll_loss_") :] for key in keys if key.startswith("nll_loss_")]

    def __getitem__(self, key: str) -> float:
        return utils.item(sum(log.get(key, 0) for log in self._logs))


class Term:
    """One term of a loss, built from the criterion's flags.

    Its flags are a dataclass beside it, which the criterion's configuration inherits from.
    """

    reads_monolingual: ClassVar[bool] = False
    """Whether it learns from monolingual text."""
    scores_samples: ClassVar[bool] = False
    """Whether language models score samples while training, and so stay in memory."""
    validates: ClassVar[bool] = False
    """Whether it is part of the loss in validation."""
    averages: ClassVar[Dict[str, str]] = {}
    """What it logs of each direction: the key of a sum, and the key of the sum that it is divided by."""

    def __init__(self, cfg, given: Resources):
        self.cfg = cfg
        self.given = given

    def build_critics(self) -> Dict[str, nn.Module]:
        """New critics, by language, which it trains beside the models; the pair has them while it is trained."""
        return {}

    def parts(self, step: Step) -> List[Part]:
        """What it adds to the loss of a step; all that is constant in it is made here, without gradient."""
        raise NotImplementedError

    @classmethod
    def log(cls, totals: Totals):
        """Log what it has summed."""
        for key, by in cls.averages.items():
            for direction in totals.directions:
                count = totals[f"{by}_{direction}"]
                if count:
                    average = totals[f"{key}_{direction}"] / count
                    metrics.log_scalar(f"{key}_{direction}", average, count, round=3)

    # ---- called in this order, as training goes on

    def prepare(self):
        """Load what training requires beside the pair: before the data are loaded; not called to validate."""

    def begin_training(self, pair: BaseFairseqModel, batches: Callable[[int, torch.device], Iterable[Batches]]):
        """Before the first update of this process: refuse or report what some of the training data show.

        Args:
            pair: in evaluation mode; ``pair.num_updates`` is above 0 where a training is resumed.
            batches: yields batches of at most so many pairs, the same at each call, on a device.
        """

    def begin_update(self):
        """The next batch is the first of an update, or of another attempt at it: half precision skips some."""

    def begin_batch(self, update: int, dummy: bool):
        """Before each batch of training.

        Args:
            update: the number of updates before this one; all batches of an update have the same.
            dummy: whether it stands for a batch that this worker does not have, and has no gradient.
        """

    @property
    def memory_advice(self) -> str:
        """What to do where memory runs out."""
        return "lower --max-tokens or --batch-size (and raise --update-freq)"
