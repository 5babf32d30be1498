"""Minimum risk training: sampled translations are made likelier, or less likely, by what they score."""

import logging
import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Dict, List

import torch
from fairseq.dataclass import ChoiceEnum
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.base import Metric
from torch import Tensor

from ..bleu import ValidationText, tokenizer_of, tokenizer_to_log
from ..directions import Direction
from ..objectives import expected_risk
from ..preflight import check_bleu
from ..ranges import POSITIVE, WEIGHT, number
from ..sample_log import symbols
from ..sampling import SAMPLES, in_order, unpadded
from .resources import Resources
from .sampled import SampledConfig, SampledTerm
from .term import Outputs, Part, Step

logger = logging.getLogger(__name__)


@dataclass
class MinimumRiskConfig(SampledConfig):
    num_samples: int = number(20, SAMPLES, "samples of each source sentence; its candidates are the distinct ones")
    parallel_weight: float = number(
        0.0, WEIGHT, "weight of the cross-entropy beside the risk; where it is 0, validation's loss has it with 1"
    )
    sharpness: float = number(5e-3, POSITIVE, "α of the candidates' distribution, P(y|x)^α normalized")
    risk: ChoiceEnum(["bleu", "chrf"]) = field(  # type: ignore[valid-type]
        default="bleu", metadata={"help": "1 - this metric of sacrebleu, of the sentence, on a scale from 0 to 1"}
    )
    risk_weight: float = number(
        1.0, POSITIVE, "weight of the risk; its gradient has the factor --sharpness, and may need to be raised"
    )
    risk_with_reference: bool = field(default=False, metadata={"help": "the reference is among the candidates"})


class MinimumRisk(SampledTerm):
    """Σ_k Q(y_k)·Δ(y_k, y) over the distinct samples y_k of P(·|x; θ), with Q ∝ P(y_k|x; θ)^α; and its mirror.

    Shen et al. 2016, "Minimum Risk Training for Neural Machine Translation" (https://arxiv.org/abs/1512.02433). Δ is
    1 - sentence BLEU, or 1 - chrF, of the text as validation's BLEU sees it (``--eval-bleu-remove-bpe``,
    ``--eval-bleu-detok``, and sacrebleu's tokenizer for the target language). Also for one direction, with fairseq's
    ``--task translation``.
    """

    averages = {**SampledTerm.averages, "risk": "sentences", "candidates": "sentences"}

    def __init__(self, cfg: MinimumRiskConfig, given: Resources):
        super().__init__(cfg, given)
        if hasattr(given.flags, "eval_bleu_args"):
            check_bleu(given.flags)
        self._text = ValidationText(given.flags)
        self._metrics: Dict[Direction, Metric] = {}
        for direction in given.directions:
            if str(cfg.risk) == "chrf":
                self._metrics[direction] = CHRF()
            else:
                tokenizer = tokenizer_of(given.flags, direction.target)
                self._metrics[direction] = BLEU(effective_order=True, tokenize=tokenizer)
                logger.info(f"risk of {direction}: 1 - BLEU with {tokenizer_to_log(given.flags, direction.target)}")

    def parts(self, step: Step) -> List[Part]:
        return [self._part(step, direction, batch) for direction, batch in step.parallel.items()]

    def _part(self, step: Step, direction: Direction, batch: dict) -> Part:
        model = step.model(direction)
        # of one direction alone, the limit is known by its model
        longest = min(self.given.longest(direction.target), model.max_decoder_positions())
        samples = self.draw(model, direction, batch, longest)
        sources = unpadded(batch["net_input"]["src_tokens"], self.given.pad)
        references = unpadded(batch["target"], self.given.pad)
        candidates = []
        for drawn, reference in zip(samples.by_sentence, references):
            if self.cfg.risk_with_reference:
                drawn = [reference, *drawn]
            candidates.append(list({tuple(sentence.tolist()): sentence for sentence in drawn}.values()))
        device = batch["target"].device
        risk = torch.zeros(len(candidates), max(map(len, candidates)), dtype=torch.float64)
        for row, (found, reference) in enumerate(zip(candidates, references)):
            risk[row, : len(found)] = torch.tensor(self._risks(direction, found, reference), dtype=torch.float64)
        repeated = [source for source, found in zip(sources, candidates) for _ in found]
        flat = [sentence for found in candidates for sentence in found]
        candidate_batch = self.given.batch(repeated, flat, device)
        sums = self.sample_sums(direction, sources, samples)
        sums[f"sentences_{direction}"] = len(sources)
        sums[f"candidates_{direction}"] = len(flat)
        rows = (batch["id"].tolist(), sources, candidates, references)
        loss = partial(self._loss, direction, rows, risk.to(device), candidate_batch, sums)
        return Part({direction: candidate_batch}, loss)

    def _loss(self, direction: Direction, rows, risk: Tensor, batch: dict, sums: Dict[str, Any], outputs: Outputs):
        numbers, sources, candidates, references = rows
        score = outputs.score(direction, batch)
        exists = torch.arange(risk.size(1)) < torch.tensor([[len(found)] for found in candidates])
        log_prob = torch.full_like(risk, -math.inf)
        log_prob = log_prob.masked_scatter(exists.to(risk.device), in_order(score.log_prob, batch).double())
        expected = expected_risk(log_prob, risk, self.cfg.sharpness)
        sums[f"risk_{direction}"] = expected.detach().sum()
        target = self.given.dictionaries[direction.target]
        references = [symbols(reference, target) for reference in references]
        self.save(direction, numbers, sources, candidates, reference=references, log_p=log_prob, risk=risk)
        return self.cfg.risk_weight * expected.sum(), sums

    def _risks(self, direction: Direction, candidates: List[Tensor], reference: Tensor) -> List[float]:
        dictionary, metric = self.given.dictionaries[direction.target], self._metrics[direction]
        texts: Dict[str, float] = {}  # candidates that differ in their pieces may be the same text
        reference_text = self._text.of(reference, dictionary, "UNKNOWNTOKENINREF")
        risks = []
        for candidate in candidates:
            text = self._text.of(candidate, dictionary, "UNKNOWNTOKENINHYP")
            if text not in texts:
                texts[text] = 1 - metric.sentence_score(text, [reference_text]).score / 100
            risks.append(texts[text])
        return risks
