"""The formulas of critics, against sums of logarithms and the optimum that Goodfellow et al. 2014 derive."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from fairseq_dsl.adversarial import bigrams, critic_loss, log_odds_reward

P_DATA, P_MODEL = [0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]  # of the four sentences of a closed world


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def probability(logit):
    return 1 / (1 + math.exp(-logit))


def test_loss_is_the_negative_log_probability_of_being_told_apart():
    real, sampled = [0.3, -2.0, 40.0], [[1.0, -1.0], [0.0, 3.0], [-30.0, 2.0]]
    wanted = -sum(math.log(probability(value)) for value in real)
    wanted -= sum(math.log(1 - probability(value)) / 2 for row in sampled for value in row)
    assert critic_loss(double(*real), double(*sampled)).item() == pytest.approx(wanted, rel=1e-12)
    assert gradcheck(critic_loss, (double(*real).requires_grad_(), double(*sampled).requires_grad_()))


def expected_loss(logits):
    """Of one real sentence and one sample, by enumeration."""
    cases = [(p * q, real, sampled) for p, real in zip(P_DATA, logits) for q, sampled in zip(P_MODEL, logits)]
    return sum(weight * critic_loss(real.view(1), sampled.view(1, 1)) for weight, real, sampled in cases)


def test_the_best_critic_s_logit_is_the_logarithm_of_the_ratio_of_the_probabilities():
    best = (double(*P_DATA) / double(*P_MODEL)).log().requires_grad_()
    loss = expected_loss(best)
    (gradient,) = torch.autograd.grad(loss, best)
    assert gradient.abs().max() < 1e-12
    for shift in (0.1 * torch.randn(10, 4, dtype=torch.float64)).unbind():
        assert expected_loss(best.detach() + shift) > loss
    mixture = [(p + q) / 2 for p, q in zip(P_DATA, P_MODEL)]
    divergence = sum(sum(p * math.log(p / m) for p, m in zip(side, mixture)) for side in (P_DATA, P_MODEL)) / 2
    assert loss.item() == pytest.approx(2 * math.log(2) - 2 * divergence, rel=1e-12)  # their theorem 1


def test_the_best_critic_s_reward_is_the_negative_divergence_from_real_text():
    logits = (double(*P_DATA) / double(*P_MODEL)).log()
    divergence = sum(q * math.log(q / p) for p, q in zip(P_DATA, P_MODEL))
    expected = (double(*P_MODEL) * log_odds_reward(logits, clip=10)).sum()
    assert expected.item() == pytest.approx(-divergence, rel=1e-12)
    assert log_odds_reward(logits, clip=1.5).tolist() == pytest.approx([1.5, math.log(1.5), -math.log(2), -1.5])


def test_bigrams_are_those_within_sentences():
    first, second = torch.tensor([4, 5, 4, 5, 2]), torch.tensor([4, 5, 2])
    assert bigrams([first, second]) == (3, 6)
    assert bigrams([torch.tensor([2])]) == (0, 0)
