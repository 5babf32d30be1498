"""Minimum risk training: sampled translations are made likelier, or less likely, by what they score."""

import json
import logging
import math
from argparse import Namespace
from dataclasses import dataclass, field
from functools import partial
from typing import List

import torch
import torch.nn as nn
from fairseq.criterions import register_criterion
from fairseq.data import encoders
from fairseq.dataclass import ChoiceEnum
from sacrebleu.metrics import BLEU, CHRF
from torch import Tensor

from ..bleu import tokenizer_of
from ..errors import advice_on_memory
from ..objectives import expected_risk
from ..preflight import check_bleu
from ..ranges import POSITIVE, WEIGHT, number
from ..sample_log import symbols
from ..sampling import SAMPLES, in_order, unpadded
from .sampling_criterion import SamplingCriterion, SamplingCriterionConfig, Term

logger = logging.getLogger(__name__)


@dataclass
class MinimumRiskCriterionConfig(SamplingCriterionConfig):
    num_samples: int = number(20, SAMPLES, "samples of each source sentence; its candidates are the distinct ones")
    parallel_weight: float = number(
        0.0, WEIGHT, "weight of the cross-entropy beside the risk; where it is 0, validation's loss has it with 1"
    )
    sharpness: float = number(5e-3, POSITIVE, "α of the candidates' distribution, P(y|x)^α normalized")
    risk: ChoiceEnum(["bleu", "chrf"]) = field(
        default="bleu", metadata={"help": "1 - this metric of sacrebleu, of the sentence, on a scale from 0 to 1"}
    )
    risk_weight: float = number(
        1.0, POSITIVE, "weight of the risk; its gradient has the factor --sharpness, and may need to be raised"
    )
    risk_with_reference: bool = field(default=False, metadata={"help": "the reference is among the candidates"})


@register_criterion("minimum_risk", dataclass=MinimumRiskCriterionConfig)
class MinimumRiskCriterion(SamplingCriterion):
    """Σ_k Q(y_k)·Δ(y_k, y) over the distinct samples y_k of P(·|x; θ), with Q ∝ P(y_k|x; θ)^α; and its mirror.

    Shen et al. 2016, "Minimum Risk Training for Neural Machine Translation" (https://arxiv.org/abs/1512.02433). Δ is 1 -
    sentence BLEU, or 1 - chrF, of the text as validation's BLEU sees it (``--eval-bleu-remove-bpe``,
    ``--eval-bleu-detok``, and sacrebleu's tokenizer for the target language). Also for one direction, with fairseq's
    ``--task translation``.
    """

    takes_one_direction = True
    averages = {**SamplingCriterion.averages, "risk": "sentences", "candidates": "sentences"}

    def __init__(self, cfg, task):
        super().__init__(cfg, task)
        if hasattr(task.cfg, "eval_bleu_args"):
            check_bleu(task.cfg)
        detokenizer = getattr(task.cfg, "eval_bleu_detok", None)
        arguments = json.loads(getattr(task.cfg, "eval_bleu_detok_args", None) or "{}")
        self._detokenizer = encoders.build_tokenizer(Namespace(tokenizer=detokenizer, **arguments))
        self._metrics = {}
        for direction, one in self._tasks.items():
            if str(cfg.risk) == "chrf":
                self._metrics[direction] = CHRF()
            else:
                self._metrics[direction] = BLEU(effective_order=True, tokenize=tokenizer_of(one))
                logger.info(f"risk of {direction}: 1 - BLEU with sacrebleu's tokenizer {tokenizer_of(one)}")

    def terms(self, model, sample) -> List[Term]:
        return [self._term(model, direction, batch) for direction, batch in self._batches(sample).items()]

    def _term(self, model, direction: str, batch: dict) -> Term:
        samples = self._draw(self._model(model, direction), direction, batch, self._longest(model, direction))
        sources = unpadded(batch["net_input"]["src_tokens"], self.padding_idx)
        references = unpadded(batch["target"], self.padding_idx)
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
        candidate_batch = self._pair_up(repeated, flat, device)
        sums = self._sample_sums(direction, sources, samples)
        sums[f"sentences_{direction}"] = len(sources)
        sums[f"candidates_{direction}"] = len(flat)
        rows = (batch["id"].tolist(), sources, candidates, references)
        loss = partial(self._loss, model, direction, rows, risk.to(device), candidate_batch, sums)
        return Term({direction: candidate_batch}, loss)

    def _loss(self, model, direction, rows, risk, batch, sums, outputs):
        numbers, sources, candidates, references = rows
        score = self._score(self._model(model, direction), outputs[direction], batch, label_smoothing=0)
        exists = torch.arange(risk.size(1)) < torch.tensor([[len(found)] for found in candidates])
        log_prob = torch.full_like(risk, -math.inf)
        log_prob = log_prob.masked_scatter(exists.to(risk.device), in_order(score.log_prob, batch).double())
        expected = expected_risk(log_prob, risk, self.cfg.sharpness)
        sums[f"risk_{direction}"] = expected.detach().sum()
        target = self._target_dictionary(direction)
        columns = {"reference": [symbols(reference, target) for reference in references], "log_p": log_prob, "risk": risk}
        self._save(direction, numbers, sources, candidates, **columns)
        return self.cfg.risk_weight * expected.sum(), sums

    def _risks(self, direction: str, candidates: List[Tensor], reference: Tensor) -> List[float]:
        dictionary, metric = self._target_dictionary(direction), self._metrics[direction]
        texts = {}  # candidates that differ in their pieces may be the same text
        reference_text = self._text(dictionary, reference, "UNKNOWNTOKENINREF")
        risks = []
        for candidate in candidates:
            text = self._text(dictionary, candidate, "UNKNOWNTOKENINHYP")
            if text not in texts:
                texts[text] = 1 - metric.sentence_score(text, [reference_text]).score / 100
            risks.append(texts[text])
        return risks

    def _text(self, dictionary, sentence: Tensor, unknown: str) -> str:
        # Not "<unk>", which sacrebleu takes apart; and none matches another, as in fairseq's validation.
        text = dictionary.string(sentence, getattr(self.task.cfg, "eval_bleu_remove_bpe", None), unk_string=unknown)
        return self._detokenizer.decode(text) if self._detokenizer else text

    # ---- for one direction of fairseq's own translation task

    def forward(self, model, sample, reduce=True):
        if self.is_pair:
            return super().forward(model, sample, reduce)
        with advice_on_memory(self.memory_advice):
            return super().forward(model, sample, reduce)

    def _batches(self, sample):
        return super()._batches(sample) if self.is_pair else dict.fromkeys(self._tasks, sample)

    def _model(self, model, direction):
        return super()._model(model, direction) if self.is_pair else model

    def _longest(self, model, direction) -> int:
        if self.is_pair:
            return self.task.longest(self.task.languages[direction][1])
        return min(self.task.cfg.max_target_positions, model.max_decoder_positions())

    def _outputs(self, model, parts):
        """As for a pair; one model takes the rows of all parts as one batch, in one call."""
        if self.is_pair:
            return super()._outputs(model, parts)
        [direction] = parts[0]
        batches = [part[direction] for part in parts]
        if len(batches) == 1:
            return [{direction: model(**batches[0]["net_input"])}]
        sources, targets = (
            together([batch["net_input"][name] for batch in batches], self.padding_idx, left_pad)
            for name, left_pad in (
                ("src_tokens", self.task.cfg.left_pad_source),
                ("prev_output_tokens", self.task.cfg.left_pad_target),
            )
        )
        lengths, order = torch.cat([batch["net_input"]["src_lengths"] for batch in batches]).sort(descending=True)
        output = model(sources[order], lengths, targets[order])[0][order.argsort()]
        columns = [batch["target"].size(1) for batch in batches]
        rows = output.split([len(batch["target"]) for batch in batches])
        if self.task.cfg.left_pad_target:
            return [{direction: (found[:, -count:], None)} for found, count in zip(rows, columns)]
        return [{direction: (found[:, :count], None)} for found, count in zip(rows, columns)]


def together(batches: List[Tensor], pad: int, left_pad: bool) -> Tensor:
    """The rows of several batches of tokens, made equally wide by padding, where the others have theirs."""
    width = max(tokens.size(1) for tokens in batches)
    missing = [width - tokens.size(1) for tokens in batches]
    sides = [(count, 0) if left_pad else (0, count) for count in missing]
    return torch.cat([nn.functional.pad(tokens, side, value=pad) for tokens, side in zip(batches, sides)])
