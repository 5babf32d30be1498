"""Log-probabilities of the gold symbols, of features and an output layer, without a table of those of all symbols.

With features h, output matrix W and bias b the logits are l = Wh + b, and log P(y) = l_y - lse with lse = log Σ exp(l).
Label smoothing takes the sum over the V symbols, Σ_v log P(v) = h·ΣW + Σb - V·lse. So the vocabulary matters for lse
alone, which is made of a few rows at a time.
"""

from typing import Any, Dict, Iterator, Optional

import torch
from fairseq.models import BaseFairseqModel
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .output_layer import Projected, left_out

ROWS = 512
"""Symbols whose logits are made at a time: from 256 on their number hardly matters (one thread, d = 128 and 512)."""


class TokenLikelihood:
    """How likely a model finds each gold symbol of some sentences; differentiable.

    Where the device's memory is that of the computer, the softmax is kept for the gradient, which is then made in its
    place. On a GPU, whose memory bounds the batch, the gradient makes the softmax again.

    Args:
        logits: what stands for them.
        target: ``(sentences, length)``, the gold symbols, padded with `pad`.
        pad: the padding symbol; nothing is computed at its positions.
        impossible: ``(sentences, length, any number)``, symbols that have no probability there.
    """

    def __init__(self, logits: Projected, target: Tensor, pad: int, impossible: Optional[Tensor] = None):
        self._gold = target.ne(pad)
        self._features = logits.features[self._gold]
        self._weight, self._bias = logits.weight, logits.bias
        dtype = F.linear(self._features[:0], self._weight[:1]).dtype  # that of the logits, also under autocast
        features, weight = self._features.to(dtype), self._weight.to(dtype)
        bias = None if self._bias is None else self._bias.to(dtype)
        if impossible is not None:
            impossible = impossible[self._gold]
        keep = torch.is_grad_enabled() and target.device.type == "cpu"
        self._log_prob, self._lse = _GoldAndNormalizer.apply(
            features, weight, bias, target[self._gold], impossible, keep
        )

    @property
    def vocabulary(self) -> int:
        return len(self._weight)

    @property
    def log_prob(self) -> Tensor:
        """log P of each gold symbol, ``(sentences, length)``, in nats, float32 or better; 0 at padding."""
        return self._in_place(self._log_prob)

    @property
    def total(self) -> Tensor:
        """log P of all symbols added up, ``(sentences, length)``, in nats, float32 or better; 0 at padding."""
        wide = self._lse.dtype
        with torch.autocast(self._lse.device.type, enabled=False):
            total = self._features.to(wide) @ self._weight.sum(0, dtype=wide) - self.vocabulary * self._lse
            if self._bias is not None:
                total = total + self._bias.sum(dtype=wide)
        return self._in_place(total)

    def _in_place(self, values: Tensor) -> Tensor:
        return values.new_zeros(self._gold.shape).masked_scatter(self._gold, values)


class _GoldAndNormalizer(torch.autograd.Function):
    """log P of each gold symbol and lse, ``(symbols,)``: see `TokenLikelihood`.

    With the gradients g of log P and s of lse, that of the logits is g at the gold symbol and (s - g)·softmax at all.
    """

    @staticmethod
    def forward(ctx, features, weight, bias, target, impossible, keep):
        wide = torch.promote_types(features.dtype, torch.float32)
        gold, lse, mass = (features.new_empty(len(features), dtype=wide) for _ in range(3))
        ctx.kept = features.new_empty(len(features), len(weight), dtype=wide) if keep else None
        with torch.autocast(features.device.type, enabled=False):
            for rows in _chunks(len(features)):
                logits = _logits(features, weight, bias, impossible, rows, wide)
                gold[rows] = logits.gather(1, target[rows, None]).squeeze(1)
                top = logits.amax(1, keepdim=True)
                logits = torch.exp(logits.sub_(top), out=logits if ctx.kept is None else ctx.kept[rows])
                mass[rows] = logits.sum(1)
                lse[rows] = mass[rows].log().add_(top.squeeze(1))
        ctx.save_for_backward(features, weight, bias, target, impossible, lse, mass)
        return gold - lse, lse

    @staticmethod
    @once_differentiable
    def backward(ctx, gold_grad, lse_grad):
        features, weight, bias, target, impossible, lse, mass = ctx.saved_tensors
        kept, ctx.kept = ctx.kept, None
        share = (lse_grad - gold_grad).unsqueeze(1)
        if kept is not None:
            share = share / mass.unsqueeze(1)
        features_grad = torch.empty_like(features)
        weight_grad = torch.zeros_like(weight, dtype=lse.dtype)
        bias_grad = None if bias is None else torch.zeros_like(bias, dtype=lse.dtype)
        with torch.autocast(features.device.type, enabled=False):
            for rows in _chunks(len(features)):
                if kept is not None:
                    grad = kept[rows]
                else:
                    grad = _logits(features, weight, bias, impossible, rows, lse.dtype)
                    grad.sub_(lse[rows, None]).exp_()
                grad.mul_(share[rows]).scatter_add_(1, target[rows, None], gold_grad[rows, None])
                if bias_grad is not None:
                    bias_grad += grad.sum(0)
                grad = grad.to(features.dtype)
                features_grad[rows] = grad @ weight
                weight_grad += grad.t() @ features[rows]
        bias_grad = None if bias_grad is None else bias_grad.to(bias.dtype)
        return features_grad, weight_grad.to(weight.dtype), bias_grad, None, None, None


def _chunks(count: int) -> Iterator[slice]:
    return (slice(first, first + ROWS) for first in range(0, count, ROWS))


def _logits(features, weight, bias, impossible, rows: slice, dtype: torch.dtype) -> Tensor:
    """Of some rows; computed in the model's precision, as fairseq does."""
    logits = F.linear(features[rows], weight, bias).to(dtype)
    return logits if impossible is None else logits.scatter_(1, impossible[rows], -torch.inf)


def token_log_probs(model: BaseFairseqModel, batch: Dict[str, Any], pad: int) -> Tensor:
    """log P of each gold symbol by a model in its mode; ``(sentences, length)``, nats, float32 or better; 0 at padding.

    Args:
        batch: of fairseq: ``net_input`` and ``target``.
    """
    with left_out({model: batch["net_input"]}):
        output = model(**batch["net_input"])
    target = batch["target"]
    if isinstance(output[0], Projected):
        return TokenLikelihood(output[0], target, pad).log_prob
    lprobs = model.get_normalized_probs(output, log_probs=True, sample=batch)
    return lprobs.gather(-1, target.unsqueeze(-1)).squeeze(-1).masked_fill(target.eq(pad), 0)
