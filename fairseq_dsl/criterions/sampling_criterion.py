"""What the criterions share that learn from samples: of the parallel data's translations, or of round trips."""

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Union

import torch
import torch.nn as nn
from torch import Tensor

from ..errors import BadInput
from ..marginals import data_parallel_workers
from ..ranges import WEIGHT, number
from ..sample_log import SampleLog, symbols
from ..sampling import (
    RoundTrip,
    Sampler,
    Samples,
    SamplingConfig,
    in_order,
    pair_up,
    random_numbers_of_worker,
    unpadded,
)
from .dsl_cross_entropy import DSLCrossEntropyCriterion, DSLCrossEntropyCriterionConfig, Term


@dataclass
class SamplingCriterionConfig(SamplingConfig, DSLCrossEntropyCriterionConfig):
    parallel_weight: float = number(
        1.0, WEIGHT, "weight of the cross-entropy of the parallel data; where it is 0, validation's loss has it with 1"
    )
    dsl_lambda: float = number(
        0.0, WEIGHT, "weight λ of the squared duality gap in the loss of source→target; 0 is none"
    )


@dataclass
class ProposalCriterionConfig(SamplingCriterionConfig):
    """For methods that may draw from other models than those that they train."""

    proposal_checkpoint: Optional[str] = field(
        default=None,
        metadata={
            "help": "sample from the frozen models of this dual checkpoint (or PRIMAL:DUAL, two plain ones) and not "
            "from those that are trained"
        },
    )


class SamplingCriterion(DSLCrossEntropyCriterion):
    """The base of the criterions that learn from samples: draws them, counts them, and saves them."""

    averages = {"samples_cut": "samples", "length_ratio": "source_length"}

    def __init__(self, cfg, task):
        super().__init__(cfg, task)
        # fairseq's own translation task is a pair without the other direction
        self._tasks = task.directions if self.is_pair else {f"{task.cfg.source_lang}-{task.cfg.target_lang}": task}
        self.sampler = Sampler(cfg)
        self.sampler.require_symbols(min(len(task.source_dictionary), len(task.target_dictionary)))
        self._sample_log = SampleLog(cfg.save_samples, *data_parallel_workers()) if cfg.save_samples else None

    def train(self, mode=True):
        # fairseq's trainer calls it at the beginning of each update
        if self._sample_log is not None:
            self._sample_log.begin_update()
        return super().train(mode)

    def begin_batch(self, update, dummy):
        super().begin_batch(update, dummy)
        if self._sample_log is not None:
            self._sample_log.begin_batch(update, dummy)

    @property
    def memory_advice(self) -> str:
        return f"lower --num-samples (it is {self.cfg.num_samples}), --max-tokens or --batch-size"

    def _draw(self, model, direction: str, sources: dict, max_len: int) -> Samples:
        device = sources["net_input"]["src_tokens"].device
        with random_numbers_of_worker(data_parallel_workers()[1], device):
            return self.sampler.draw(model, self._target_dictionary(direction), sources, max_len)

    def _target_dictionary(self, direction: str):
        return self._tasks[direction].target_dictionary

    def _source_dictionary(self, direction: str):
        return self._tasks[direction].source_dictionary

    def _pair_up(self, sources: List[Tensor], targets: List[Tensor], device: torch.device) -> dict:
        return pair_up(sources, targets, self.task.cfg, self.task.target_dictionary, device)

    def _sample_sums(self, direction: str, sentences: List[Tensor], samples: Samples) -> Dict[str, float]:
        """What every method logs of its samples, summed; lengths in words, without the end-of-sentence symbols."""
        count = samples.cut.size(1)
        return {
            f"samples_{direction}": samples.cut.numel(),
            f"samples_cut_{direction}": samples.cut.sum(),
            f"length_ratio_{direction}": sum(len(sample) - 1 for sample in samples.sentences),
            f"source_length_{direction}": count * sum(len(sentence) - 1 for sentence in sentences),
        }

    def _save(
        self,
        direction: str,
        numbers: List[int],
        sentences: List[Tensor],
        samples: List[List[Tensor]],
        **columns: Union[Tensor, List[str]],
    ):
        """Write down sentences, samples and what is known of each, for ``--save-samples``.

        Args:
            numbers: of the sentences in their data.
            columns: a value for each sentence, or a row of a value for each of its samples (what is beyond is padding).
        """
        if self._sample_log is None:
            return
        source, target = self._source_dictionary(direction), self._target_dictionary(direction)
        columns = {name: column.tolist() if torch.is_tensor(column) else column for name, column in columns.items()}
        lines = []
        for row, (index, sentence, drawn) in enumerate(zip(numbers, sentences, samples)):
            line = {"direction": direction, "id": index, "sentence": symbols(sentence, source)}
            line["samples"] = [symbols(sample, target) for sample in drawn]
            for name, column in columns.items():
                line[name] = column[row][: len(drawn)] if isinstance(column[row], list) else column[row]
            lines.append(line)
        self._sample_log.write(lines)


class RoundTripCriterion(SamplingCriterion):
    """The base of the criterions that translate monolingual sentences there, and score them on the way back.

    ``z`` is a sentence, ``there`` the direction that draws its K translations w_k, ``back`` the other one. The term of
    each language's sentences is weighted by ``--mono-weight`` and summed over sentences, as the parallel part is.
    """

    monolingual = True
    keeps_language_models = True
    averages = {**SamplingCriterion.averages, "mono_weight": "round_trips"}

    def __init__(self, cfg, task):
        super().__init__(cfg, task)
        if not task.monolingual_folders():
            raise BadInput(
                f"--criterion {cfg._name}: learns from monolingual data; give --source-mono, --target-mono, or both"
            )
        self._frozen: Optional[Dict[str, nn.Module]] = None  # in a dictionary: not among the criterion's modules

    def prepare(self):
        """Load what training takes beside the pair: to be called before the data are loaded, and not to validate."""
        path = getattr(self.cfg, "proposal_checkpoint", None)
        if path and self._frozen is None:
            self._frozen = self.task.build_proposals(path)
        if self.task.marginals is not None:
            for language in self.task.languages[self.task.primal]:
                self.task.marginals.model(language)

    def terms(self, model, sample) -> List[Term]:
        weight = self.task.mono_weight(self.num_updates)
        batches = sample.get("monolingual", {})
        found = []
        for there, back in ((self.task.primal, self.task.dual), (self.task.dual, self.task.primal)):
            batch = batches.get(self.task.languages[there][0])
            if batch is not None and weight:
                trip = self._round_trip(model, there, back, batch)
                found.append(self._weighted(self.term(model, trip), trip, weight))
        return found

    def term(self, model, trip: RoundTrip) -> Term:
        """The method's term, not yet weighted; its loss is summed over the trip's sentences."""
        raise NotImplementedError

    def _round_trip(self, model, there: str, back: str, batch: dict) -> RoundTrip:
        samples = self._draw(self._proposal(model, there), there, batch, self.task.longest(self.task.languages[there][1]))
        sentences = unpadded(batch["net_input"]["src_tokens"], self.padding_idx)
        return RoundTrip(there, back, batch["id"].tolist(), sentences, samples)

    def _proposal(self, model, direction: str) -> nn.Module:
        """The model that draws the samples: that of the frozen pair, or the live one."""
        live = self._model(model, direction)
        if self._frozen is None:
            return live
        like = next(live.parameters())
        return self._frozen[direction].to(device=like.device, dtype=like.dtype)

    def _weighted(self, term: Term, trip: RoundTrip, weight: float) -> Term:
        def loss(outputs):
            value, sums = term.loss(outputs)
            count = len(trip.sentences)
            sums.update(self._sample_sums(trip.there, trip.sentences, trip.samples))
            sums.update({f"round_trips_{trip.there}": count, f"mono_weight_{trip.there}": weight * count})
            return weight * value, sums

        return Term(term.batches, loss)

    # ---- what the methods make of a trip

    def _batch_there(self, trip: RoundTrip) -> dict:
        """The samples as translations of their sentences."""
        return self._pair_up(trip.repeated, trip.samples.sentences, trip.device)

    def _batch_back(self, trip: RoundTrip) -> dict:
        """The sentences as translations of their samples."""
        return self._pair_up(trip.samples.sentences, trip.repeated, trip.device)

    def _log_prob_back(self, model, trip: RoundTrip, output, batch) -> Tensor:
        """log P(z|w_k), differentiable; ``(n, K)``, nats, float64."""
        score = self._score(self._model(model, trip.back), output, batch, label_smoothing=0)
        return trip.by_sample(in_order(score.log_prob, batch).double())

    def _log_marginals(self, trip: RoundTrip):
        """log P̂(w_k), ``(n, K)``, and log P̂(z), ``(n, 1)``, by the language models; nats, float64, constant."""
        source, target = self.task.languages[trip.there]
        samples = self._log_marginal(trip.samples.sentences, target, trip.device)
        return trip.by_sample(samples), self._log_marginal(trip.sentences, source, trip.device).unsqueeze(-1)

    def _log_marginal(self, sentences: List[Tensor], language: str, device: torch.device) -> Tensor:
        return torch.from_numpy(self.task.marginals.model(language).score(sentences)).to(device)

    def _save_trip(self, trip: RoundTrip, **columns: Tensor):
        drawn, columns = trip.samples, {"cut": trip.samples.cut, "log_q": trip.samples.log_q, **columns}
        self._save(trip.there, trip.numbers, trip.sentences, drawn.by_sentence, **columns)

    def _require_language_models(self, what: str):
        if self.task.marginals is None:
            raise BadInput(f"--criterion {self.cfg._name}: {what} takes a language model; give --source-lm and --target-lm")
