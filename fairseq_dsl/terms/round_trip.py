"""What the terms share that learn from monolingual text: sentences are translated there, and scored on the way back."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

import torch
from fairseq.models import BaseFairseqModel
from fairseq.tasks.online_backtranslation import PiecewiseLinearFn
from torch import Tensor, nn

from ..directions import Direction
from ..errors import BadInput
from ..ranges import WEIGHT
from ..sampling import RoundTrip, in_order, unpadded
from ..swaps import TranslationModels
from .resources import Resources
from .sampled import SampledConfig, SampledTerm
from .term import Batches, Outputs, Part, Step


@dataclass
class RoundTripConfig(SampledConfig):
    mono_weight: str = field(
        default="1",
        metadata={
            "help": "weight of the monolingual part; may follow the updates, piecewise linear: 0:0,1000:0.5,5000:1"
        },
    )


@dataclass
class ProposalConfig(RoundTripConfig):
    """For methods that may draw from other models than those that they train."""

    proposal_checkpoint: Optional[str] = field(
        default=None,
        metadata={
            "help": "sample from the frozen models of this pair checkpoint (or PRIMAL:DUAL, two plain ones) and not "
            "from those that are trained"
        },
    )


class RoundTripTerm(SampledTerm):
    """A term for each language's monolingual sentences, weighted by ``--mono-weight`` and summed over sentences.

    ``z`` is a sentence, ``there`` the direction that draws its K translations w_k, ``back`` the other one.
    """

    reads_monolingual = True
    scores_samples = True
    reads_both_languages = False
    """Whether monolingual text of one language alone will not do."""
    averages = {**SampledTerm.averages, "mono_weight": "round_trips"}

    def __init__(self, cfg: RoundTripConfig, given: Resources):
        super().__init__(cfg, given)
        self.weight = weight_schedule(cfg.mono_weight)
        if self.reads_both_languages and len(list(given.monolingual)) < 2:
            raise BadInput(
                f"--criterion {given.criterion}: learns from monolingual text of both languages, found "
                f"{' and '.join(given.monolingual) or 'none'}; give --source-mono and --target-mono"
            )
        if not given.monolingual:
            raise BadInput(
                f"--criterion {given.criterion}: learns from monolingual text; give --source-mono, --target-mono, or "
                "both"
            )

    def parts(self, step: Step) -> List[Part]:
        weight = self.weight(step.update)
        found = []
        for there in step.parallel:
            batch = step.monolingual.get(there.source)
            if batch is not None and weight:
                samples = self.draw(self.proposal(step, there), there, batch, self.given.longest(there.target))
                sentences = unpadded(batch["net_input"]["src_tokens"], self.given.pad)
                trip = RoundTrip(there, batch["id"].tolist(), sentences, samples)
                part = self.part(step, trip)
                found.append(part._replace(loss=partial(self._weighted, trip, part, weight)))
        return found

    def part(self, step: Step, trip: RoundTrip) -> Part:
        """The method's part of a trip, not yet weighted; its loss is summed over the trip's sentences."""
        raise NotImplementedError

    def proposal(self, step: Step, direction: Direction) -> nn.Module:
        """The model that draws the samples: the one that is trained."""
        return step.model(direction)

    def _weighted(self, trip: RoundTrip, part: Part, weight: float, outputs: Outputs) -> Tuple[Tensor, Dict[str, Any]]:
        loss, sums = part.loss(outputs)
        count = len(trip.sentences)
        sums.update(self.sample_sums(trip.there, trip.sentences, trip.samples))
        sums.update({f"round_trips_{trip.there}": count, f"mono_weight_{trip.there}": weight * count})
        return weight * loss, sums

    # ---- what the methods make of a trip

    def batch_there(self, trip: RoundTrip) -> dict:
        """The samples as translations of their sentences."""
        return self.given.batch(trip.repeated, trip.samples.sentences, trip.device)

    def batch_back(self, trip: RoundTrip) -> dict:
        """The sentences as translations of their samples."""
        return self.given.batch(trip.samples.sentences, trip.repeated, trip.device)

    def log_prob_back(self, trip: RoundTrip, outputs: Outputs, batch: dict) -> Tensor:
        """log P(z|w_k), differentiable; ``(n, K)``, nats, float64."""
        return trip.by_sample(in_order(outputs.score(trip.back, batch).log_prob, batch).double())

    def log_marginals(self, trip: RoundTrip) -> Tuple[Tensor, Tensor]:
        """log P̂(w_k), ``(n, K)``, and log P̂(z), ``(n, 1)``; nats, float64, constant."""
        samples = self.log_marginal(trip.samples.sentences, trip.there.target, trip.device)
        sentences = self.log_marginal(trip.sentences, trip.there.source, trip.device)
        return trip.by_sample(samples), sentences.unsqueeze(-1)

    def log_marginal(self, sentences: List[Tensor], language: str, device: torch.device) -> Tensor:
        return torch.from_numpy(self.given.marginals[language].score(sentences)).to(device)

    def save_trip(self, trip: RoundTrip, **columns: Tensor):
        samples = trip.samples
        columns = {"cut": samples.cut, "log_q": samples.log_q, **columns}
        self.save(trip.there, trip.numbers, trip.sentences, samples.by_sentence, **columns)

    def require_marginals(self, what: str):
        """Refuse to go without language models, and those that cannot score samples."""
        if not self.given.marginals:
            raise BadInput(
                f"--criterion {self.given.criterion}: {what} requires language models; give --source-lm and --target-lm"
            )
        for marginal in self.given.marginals.values():
            marginal.require_samples(f"--criterion {self.given.criterion}")


class ProposalTerm(RoundTripTerm):
    """A round trip whose samples may come from a frozen pair of models."""

    def __init__(self, cfg: ProposalConfig, given: Resources):
        super().__init__(cfg, given)
        self._frozen: Mapping[Direction, nn.Module] = {}
        self._started_from: Optional[TranslationModels] = None  # until it is checked

    def prepare(self):
        path = self.cfg.proposal_checkpoint
        if not path or self._frozen:
            return
        self._frozen, self._started_from = self.given.frozen_pair(path)
        for direction, model in self._frozen.items():
            for language, limit in zip((direction.source, direction.target), model.max_positions()):
                if limit < self.given.longest(language):
                    raise BadInput(
                        f"{self._started_from.names[direction]}: allows {language} sentences of at most {limit} "
                        f"tokens, and the pair's models {self.given.longest(language)}; filter with "
                        "--max-source-positions and --max-target-positions"
                    )

    def begin_training(self, pair: BaseFairseqModel, batches: Callable[[int, torch.device], Iterable[Batches]]):
        if self._started_from is not None:
            self._started_from.check(self._frozen, batches)
            self._started_from = None

    def proposal(self, step: Step, direction: Direction) -> nn.Module:
        model = super().proposal(step, direction)
        if not self._frozen:
            return model
        like = next(model.parameters())
        return self._frozen[direction].to(device=like.device, dtype=like.dtype)


def weight_schedule(text: str) -> Callable[[int], float]:
    """The weight of the monolingual part, as a function of the number of updates."""
    try:
        schedule = PiecewiseLinearFn.from_string(text)
        updates, weights = zip(*schedule.pieces)
        if (
            updates[0] == 0
            and len({*updates}) == len(updates)
            and all(0 <= weight <= WEIGHT.high for weight in weights)
        ):
            return schedule
    except (ValueError, AssertionError):
        pass
    raise BadInput(
        f"--mono-weight {text}: expected a number of 0 or more, or one for each of some updates from 0 on, such as "
        "0:0,1000:0.5,5000:1"
    )
