"""The objectives, as pure functions of log-probabilities.

All log-probabilities are natural (nats), of whole sentences with their end-of-sentence symbol, summed over tokens.
``x`` is a sentence of the primal source language, ``y`` its translation; the primal model gives P(y|x), the dual model
P(x|y), and frozen language models the marginals P(x) and P(y). There is one value per sentence pair: ``(pairs,)``.

The duality of Xia et al. 2017, "Dual Supervised Learning" (https://arxiv.org/abs/1707.00415), section 3:
P(x) P(y|x) = P(y) P(x|y) for a perfect pair of models.
"""

import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor


class TokenScores(NamedTuple):
    """One direction's scores of its target sentences; each of shape ``(sentences,)``, in nats."""

    log_prob: Tensor
    """log P(target | source), differentiable."""
    loss: Tensor
    """The label-smoothed cross-entropy that is minimized; ``-log_prob`` without smoothing."""


def score_targets(lprobs: Tensor, target: Tensor, pad: int, label_smoothing: float = 0.0) -> TokenScores:
    """Sum a model's token log-probabilities over each target sentence.

    Args:
        lprobs: ``(sentences, length, vocabulary)``, normalized log-probabilities, float32 or better.
        target: ``(sentences, length)``, the gold symbols, padded with `pad`.
        pad: the padding symbol; its positions count as 0.
        label_smoothing: the mass ε that fairseq's ``label_smoothed_cross_entropy`` spreads evenly over the
            other ``vocabulary - 1`` symbols.

    >>> lprobs = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]]).log()
    >>> scores = score_targets(lprobs, torch.tensor([[1, 0]]), pad=0)
    >>> round(scores.log_prob.exp().item(), 6)
    0.25
    """
    padding = target.eq(pad)
    gold, total = (values.masked_fill(padding, 0).sum(-1) for values in _GoldAndSum.apply(lprobs, target))
    return smoothed_scores(gold, total, lprobs.size(-1), label_smoothing)


def smoothed_scores(log_prob: Tensor, total: Optional[Tensor], vocabulary: int, label_smoothing: float) -> TokenScores:
    """log P and -(1 - ε - ε/(V - 1))·log P - ε/(V - 1)·total, the cross-entropy smoothed by ε; ``(sentences,)``, nats.

    Args:
        log_prob, total: sums over a sentence's places of log P of the gold symbol, and of all V; the latter if ε > 0.
    """
    if not label_smoothing or total is None:  # a symbol without probability has no part in the loss then
        return TokenScores(log_prob, -log_prob)
    share = label_smoothing / (vocabulary - 1)
    return TokenScores(log_prob, -(1 - label_smoothing - share) * log_prob - share * total)


class _GoldAndSum(torch.autograd.Function):
    """``lprobs.gather(-1, target)`` and ``lprobs.sum(-1)``, with one gradient for both.

    Autograd would make a tensor as large as `lprobs` for each, and a third for their sum: 5% of a small model's update.
    """

    @staticmethod
    def forward(ctx, lprobs, target):
        ctx.save_for_backward(target)
        ctx.shape = lprobs.shape
        return lprobs.gather(-1, target.unsqueeze(-1)).squeeze(-1), lprobs.sum(-1)

    @staticmethod
    def backward(ctx, gold_grad, sum_grad):
        (target,) = ctx.saved_tensors
        grad = sum_grad.unsqueeze(-1).expand(ctx.shape).contiguous()
        return grad.scatter_add_(-1, target.unsqueeze(-1), gold_grad.unsqueeze(-1)), None


def duality_gap(log_p_x: Tensor, log_p_y_given_x: Tensor, log_p_y: Tensor, log_p_x_given_y: Tensor) -> Tensor:
    """g = (log P(x) + log P(y|x)) - (log P(y) + log P(x|y)), in nats; 0 where the two models agree.

    >>> duality_gap(*torch.tensor([[-9.0], [-4.0], [-8.0], [-7.0]]))
    tensor([2.])
    """
    return (log_p_x + log_p_y_given_x) - (log_p_y + log_p_x_given_y)


def gap_penalty(gap: Tensor, clip: Optional[float] = None) -> Tensor:
    """gap², or with a clip c Huber's 2c|gap| - c² outside [-c, c], whose gradient is bounded and never vanishes.

    >>> gap_penalty(torch.tensor([3.0, -20.0]), clip=10)
    tensor([  9., 300.])
    """
    if clip is None:
        return gap**2
    size = gap.abs()
    return torch.where(size <= clip, gap**2, 2 * clip * size - clip**2)


def gap_penalty_slope(gap: Tensor, clip: Optional[float] = None) -> Tensor:
    """The derivative of `gap_penalty` with respect to the gap."""
    return 2 * (gap if clip is None else gap.clamp(-clip, clip))


class DualityTerms(NamedTuple):
    """The penalty of the gap as each direction is trained with it, equal in value; ``(pairs,)``, in nats²."""

    primal: Tensor
    """Its gradient reaches log P(y|x) alone."""
    dual: Tensor
    """Its gradient reaches log P(x|y) alone."""


def duality_terms(
    log_p_x: Tensor,
    log_p_y_given_x: Tensor,
    log_p_y: Tensor,
    log_p_x_given_y: Tensor,
    clip: Optional[float] = None,
) -> DualityTerms:
    """The regularizer of each direction with the other direction held constant, so that their weights λ may differ.

    >>> primal = torch.tensor([-4.0], requires_grad=True)
    >>> dual = torch.tensor([-7.0], requires_grad=True)
    >>> terms = duality_terms(torch.tensor([-9.0]), primal, torch.tensor([-8.0]), dual)
    >>> (0.1 * terms.primal + 0.2 * terms.dual).sum().backward()
    >>> primal.grad, dual.grad
    (tensor([0.4000]), tensor([-0.8000]))
    """
    return DualityTerms(
        primal=gap_penalty(duality_gap(log_p_x, log_p_y_given_x, log_p_y, log_p_x_given_y.detach()), clip),
        dual=gap_penalty(duality_gap(log_p_x, log_p_y_given_x.detach(), log_p_y, log_p_x_given_y), clip),
    )


def unlearnt(
    gap: Tensor,
    lambda_primal: float,
    lambda_dual: float,
    label_smoothing: float = 0.0,
    clip: Optional[float] = None,
    parallel_weight: float = 1.0,
) -> Tensor:
    """Which pairs one of the models is trained to find less likely; ``(pairs,)``, bool.

    The loss raises log P(y|x) with the weight w(1 - ε) - λ·penalty'(gap), and log P(x|y) with the weight
    w(1 - ε) + λ'·penalty'(gap), where w weights the cross-entropy: if either is negative, that direction un-learns the
    pair. With w = 1 and neither smoothing nor clip, this is |gap| > 1/(2λ).

    >>> unlearnt(torch.tensor([-60.0, 0.0, 49.0, 51.0]), 0.01, 0.01)
    tensor([ True, False, False,  True])
    """
    slope = gap_penalty_slope(gap, clip)
    gold_weight = parallel_weight * (1 - label_smoothing)
    return (gold_weight - lambda_primal * slope < 0) | (gold_weight + lambda_dual * slope < 0)


# ---- K sampled translations of each sentence: tensors of shape (sentences, K)
#
# y is a sentence whose translation is unknown; x_1 ... x_K are drawn from a proposal q(x|y).


def sampled_log_prob(lprobs: Tensor, target: Tensor, pad: int, eos: int, cut: Tensor) -> Tensor:
    """log of the probability with which fairseq's sampler draws each sentence, differentiable; ``(rows,)``.

    The sampler never draws `pad`, never ends a sentence before its first word, and always ends it at the length limit.

    Args:
        lprobs: ``(rows, length, vocabulary)``, the model's normalized log-probabilities, at the sampler's temperature.
        target: ``(rows, length)``, the sampled symbols, padded with `pad` on either side.
        cut: ``(rows,)``, bool: which sentences the length limit ended.

    >>> lprobs = torch.tensor([[[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]]).log()  # of </s>, <pad> and one word
    >>> sampled_log_prob(lprobs, torch.tensor([[2, 0]]), pad=1, eos=0, cut=torch.tensor([False])).exp()
    tensor([0.6667])
    """
    drawn = lprobs.scatter(-1, excluded_symbols(target, pad, eos), -math.inf).log_softmax(-1)
    gold = drawn.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return mask_certain(gold, target, pad, eos, cut).sum(-1)


def excluded_symbols(target: Tensor, pad: int, eos: int) -> Tensor:
    """The symbols that fairseq's sampler never draws at each place of `target`; ``(rows, length, 2)``."""
    words = target.ne(pad)
    first = words & words.cumsum(-1).eq(1)
    padding = torch.full_like(target, pad)
    return torch.stack([padding, padding.masked_fill(first, eos)], -1)


def mask_certain(gold: Tensor, target: Tensor, pad: int, eos: int, cut: Tensor) -> Tensor:
    """`gold`, ``(rows, length)``, with 0 for what is certain: padding, and an end at the length limit."""
    return gold.masked_fill(target.eq(pad) | (target.eq(eos) & cut.unsqueeze(-1)), 0)


def baseline(reward: Tensor, kind: str) -> Tensor:
    """What is subtracted from each sample's reward to reduce the variance of the policy gradient; ``(sentences, K)``.

    ``leave-one-out``, the mean of the sentence's other samples, does not change the expected gradient; ``mean``, of all
    its samples, multiplies it by (K - 1)/K; ``none`` is 0.

    >>> baseline(torch.tensor([[1.0, 2.0, 6.0]]), "leave-one-out")
    tensor([[4.0000, 3.5000, 1.5000]])
    """
    if kind == "none":
        return torch.zeros_like(reward)
    if kind == "mean":
        return reward.mean(-1, keepdim=True).expand_as(reward)
    return (reward.sum(-1, keepdim=True) - reward) / (reward.size(-1) - 1)


def policy_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-(1/K) Σ_k advantage_k log π(sample_k), whose gradient is minus that of the expected reward; ``(sentences,)``.

    Williams 1992, "Simple Statistical Gradient-Following Algorithms": REINFORCE.
    """
    return -(advantage.detach() * log_prob).mean(-1)


def log_importance_weights(log_p_y_given_x: Tensor, log_p_x: Tensor, log_q: Tensor) -> Tensor:
    """log P(x_k) P(y|x_k) / q(x_k|y), ``(sentences, K)``: the samples' terms of P(y) = E_q[P(x) P(y|x) / q(x|y)]."""
    return log_p_x + log_p_y_given_x - log_q


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log (1/K) Σ_k w_k; ``(sentences,)``. For importance weights this estimates log P(y).

    Wang et al. 2018, "Dual Transfer Learning for Neural Machine Translation with Marginal Distribution Regularization".

    >>> log_mean_exp(torch.tensor([[1.0, 3.0]]).log()).exp()
    tensor([2.])
    """
    return log_weights.logsumexp(-1) - math.log(log_weights.size(-1))


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """(Σ w)² / Σ w², from 1 (one sample has all the weight) to K (all have the same weight); ``(sentences,)``.

    >>> effective_sample_size(torch.tensor([[1.0, 1.0, 2.0]]).log())
    tensor([2.6667])
    """
    return (2 * log_weights.logsumexp(-1) - (2 * log_weights).logsumexp(-1)).exp()


def expected_risk(log_prob: Tensor, risk: Tensor, sharpness: float) -> Tensor:
    """Σ_k Q(y_k) Δ(y_k) with Q ∝ P(y_k|x)^α over the distinct candidates of each sentence; ``(sentences,)``.

    Shen et al. 2016, "Minimum Risk Training for Neural Machine Translation" (https://arxiv.org/abs/1512.02433).

    Args:
        log_prob: ``(sentences, candidates)``, log P(y_k|x); -inf where a sentence has fewer candidates.
        risk: ``(sentences, candidates)``, Δ, a constant.
        sharpness: α.

    >>> expected_risk(torch.tensor([[0.6, 0.2, 0.0]]).log(), torch.tensor([[1.0, 0.0, 9.0]]), sharpness=1.0)
    tensor([0.7500])
    """
    return ((sharpness * log_prob).softmax(-1) * risk).sum(-1)


def dual_inference_score(
    forward: Tensor,
    reverse: Tensor,
    marginal: Tensor,
    target_length: Tensor,
    source_length: Tensor,
    reverse_weight: float,
    lm_weight: float,
) -> Tensor:
    """(1 - A)·log P(y|x)/|y| + A·(log P(x|y)/|x| + B·log P(y)/|y|), nats per token; all of one shape.

    Xia et al. 2017, "Dual Inference for Machine Learning" (IJCAI), with each term by the length of what it is of.

    Args:
        forward, reverse, marginal: log P(y|x), log P(x|y) and log P(y), in nats.
        target_length, source_length: |y| and |x|, with the end-of-sentence symbol.
        reverse_weight, lm_weight: A and B.

    >>> values = [torch.tensor(value) for value in (-6.0, -8.0, -10.0, 2.0, 4.0)]
    >>> dual_inference_score(*values, reverse_weight=0.5, lm_weight=0.1).item()
    -2.75
    """
    both = reverse / source_length + lm_weight * marginal / target_length
    return (1 - reverse_weight) * forward / target_length + reverse_weight * both


def dual_cross_entropy(forward: Tensor, reverse: Tensor, target_length: Tensor, source_length: Tensor) -> Tensor:
    """|H(y|x) - H(x|y)| + (H(y|x) + H(x|y))/2 with H(y|x) = -log P(y|x)/|y|, nats per token; all of one shape.

    Small where both models find the other side likely, and equally so. Junczys-Dowmunt 2018, "Dual Conditional
    Cross-Entropy Filtering of Noisy Parallel Corpora" (https://arxiv.org/abs/1809.00197); exp of
    minus it is a score from 0 to 1.

    Args:
        forward, reverse: log P(y|x) and log P(x|y), in nats.
        target_length, source_length: |y| and |x|, with the end-of-sentence symbol.

    >>> dual_cross_entropy(*map(torch.tensor, (-6.0, -4.0, 3.0, 4.0))).item()
    2.5
    """
    primal, dual = -forward / target_length, -reverse / source_length
    return (primal - dual).abs() + (primal + dual) / 2
