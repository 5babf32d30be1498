"""The objectives of samples: values by hand, and gradients in float64."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from fairseq_dsl.objectives import (
    baseline,
    effective_sample_size,
    expected_risk,
    log_importance_weights,
    log_mean_exp,
    policy_loss,
    sampled_log_prob,
)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


class TestSampledLogProb:
    EOS, PAD = 2, 1  # fairseq's, of a vocabulary of 5 symbols
    TARGET = torch.tensor([[4, 3, 2], [0, 2, PAD], [3, 2, PAD], [4, 4, 2]])
    CUT = torch.tensor([True, False, True, False])

    def test_by_hand(self):
        lprobs = double([[0.1, 0.1, 0.2, 0.2, 0.4], [0.3, 0.1, 0.1, 0.3, 0.2], [0.2, 0.4, 0.1, 0.2, 0.1]]).log()
        target = torch.tensor([[4, 0, 2]])
        # neither padding nor the end may be first, so 0.1 + 0.2 + 0.4 are left; then all but padding
        first, second, end = 0.4 / 0.7, 0.3 / 0.9, 0.1 / 0.6
        found = sampled_log_prob(lprobs, target, self.PAD, self.EOS, torch.tensor([False]))
        assert found.exp().tolist() == pytest.approx([first * second * end])
        found = sampled_log_prob(lprobs, target, self.PAD, self.EOS, torch.tensor([True]))
        assert found.exp().tolist() == pytest.approx([first * second])
        # at temperature 1/2 probabilities are squared, then normalized
        first, second, end = 0.16 / 0.21, 0.09 / 0.23, 0.01 / 0.10
        tempered = (lprobs / 0.5).log_softmax(-1)
        found = sampled_log_prob(tempered, target, self.PAD, self.EOS, torch.tensor([False]))
        assert found.exp().tolist() == pytest.approx([first * second * end])

    def symbol_by_symbol(self, lprobs, temperature):
        found = []
        for row, (sentence, cut) in enumerate(zip(self.TARGET.tolist(), self.CUT.tolist())):
            log_p = torch.zeros((), dtype=torch.float64)
            for place, symbol in enumerate(sentence):
                if symbol == self.PAD or (symbol == self.EOS and cut):
                    continue
                may_follow = [s for s in range(5) if s != self.PAD and (place > 0 or s != self.EOS)]
                weights = {s: (lprobs[row, place, s] / temperature).exp() for s in may_follow}
                log_p = log_p + (weights[symbol] / sum(weights.values())).log()
            found.append(log_p)
        return torch.stack(found)

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_value_and_gradient_equal_a_calculation_symbol_by_symbol(self, temperature):
        lprobs = torch.randn(4, 3, 5, dtype=torch.float64).log_softmax(-1).requires_grad_()
        tempered = (lprobs / temperature).log_softmax(-1)
        found = sampled_log_prob(tempered, self.TARGET, self.PAD, self.EOS, self.CUT)
        wanted = self.symbol_by_symbol(lprobs, temperature)
        assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-12)
        weights = double(1.0, -2.0, 3.0, 0.5)
        gradients = [torch.autograd.grad((weights * values).sum(), lprobs)[0] for values in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_gradient(self, temperature):
        logits = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)

        def log_prob(logits):
            lprobs = (logits / temperature).log_softmax(-1)
            return sampled_log_prob(lprobs, self.TARGET, self.PAD, self.EOS, self.CUT)

        assert gradcheck(log_prob, (logits,))

    def test_padding_may_stand_on_either_side(self):
        """The first word, which is no end, is where the sentence begins."""
        lprobs = torch.randn(4, 3, 5, dtype=torch.float64).log_softmax(-1)
        wanted = sampled_log_prob(lprobs, self.TARGET, self.PAD, self.EOS, self.CUT)
        shifts = [int(row.eq(self.PAD).sum()) for row in self.TARGET]
        lprobs, target = (
            torch.stack([row.roll(shift, 0) for row, shift in zip(rows, shifts)]) for rows in (lprobs, self.TARGET)
        )
        assert target[1:3, 0].eq(self.PAD).all()
        found = sampled_log_prob(lprobs, target, self.PAD, self.EOS, self.CUT)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)

    def test_what_padding_would_get_counts_nothing(self):
        lprobs = torch.randn(4, 3, 5, dtype=torch.float64).log_softmax(-1)
        changed = lprobs.clone()
        changed[1:3, 2] += 3.0  # past the end of the short sentences
        changed[..., self.PAD] += 2.0
        changed[:, 0, self.EOS] -= 2.0
        found = [sampled_log_prob(values, self.TARGET, self.PAD, self.EOS, self.CUT) for values in (lprobs, changed)]
        torch.testing.assert_close(*found, rtol=1e-12, atol=0)


class TestBaseline:
    REWARD = double([1.0, 2.0, 6.0], [-4.0, 0.0, 0.5])

    def test_by_hand(self):
        assert baseline(self.REWARD, "none").tolist() == [[0.0] * 3] * 2
        assert baseline(self.REWARD, "mean").flatten().tolist() == pytest.approx([3.0] * 3 + [-3.5 / 3] * 3)
        others = [4.0, 3.5, 1.5, 0.25, -1.75, -2.0]
        assert baseline(self.REWARD, "leave-one-out").flatten().tolist() == pytest.approx(others)

    @pytest.mark.parametrize("count, kind, factor", [
        (1, "none", 1), (3, "none", 1), (2, "leave-one-out", 1), (3, "leave-one-out", 1),
        (2, "mean", 1 / 2), (3, "mean", 2 / 3),
    ])  # fmt: skip
    def test_the_expected_gradient_is_that_of_the_expected_reward(self, count, kind, factor):
        """Over all that K draws among four outcomes can give; times (K - 1)/K with the mean of all as baseline."""
        logits = double(0.3, -1.0, 0.8, 0.1).requires_grad_()
        reward = double(2.0, -7.0, 0.5, 30.0)
        log_p = logits.log_softmax(-1)
        wanted = torch.autograd.grad((log_p.exp() * reward).sum(), logits, retain_graph=True)[0]
        found = torch.zeros(4, dtype=torch.float64)
        for drawn in itertools.product(range(4), repeat=count):
            drawn = torch.tensor([drawn])
            loss = policy_loss(log_p[drawn], reward[drawn] - baseline(reward[drawn], kind))
            found -= log_p[drawn].sum().exp().item() * torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]
        torch.testing.assert_close(found, factor * wanted, rtol=1e-10, atol=1e-12)


class TestPolicyLoss:
    def test_by_hand(self):
        found = policy_loss(double([-1.0, -2.0], [-3.0, -5.0]), double([4.0, -1.0], [0.0, 2.0]))
        assert found.tolist() == [(4.0 - 2.0) / 2, 5.0]

    def test_gradient_reaches_the_log_probabilities_alone(self):
        log_prob = double([-1.0, -2.0]).requires_grad_()
        advantage = double([4.0, -1.0]).requires_grad_()
        assert gradcheck(lambda values: policy_loss(values, advantage.detach()), (log_prob,))
        gradients = torch.autograd.grad(
            policy_loss(log_prob, advantage).sum(), (log_prob, advantage), allow_unused=True
        )
        assert gradients[0].tolist() == [[-2.0, 0.5]]
        assert gradients[1] is None


class TestImportanceWeights:
    LOG_P = double([0.5, 0.2], [0.1, 0.4]).log()

    def test_by_hand(self):
        found = log_importance_weights(
            self.LOG_P, double([0.1, 0.3], [0.2, 0.2]).log(), double([0.25, 0.6], [0.01, 0.8]).log()
        )
        assert found.exp().flatten().tolist() == pytest.approx([0.2, 0.1, 2.0, 0.1])
        assert log_mean_exp(found).exp().tolist() == pytest.approx([0.15, 1.05])
        sizes = [0.3**2 / (0.2**2 + 0.1**2), 2.1**2 / (2.0**2 + 0.1**2)]
        assert effective_sample_size(found).tolist() == pytest.approx(sizes)

    def test_the_estimate_s_gradients(self):
        log_p = self.LOG_P.clone().requires_grad_()
        log_p_x = double([-3.0, -5.0], [-2.0, -1.0]).requires_grad_()
        log_q = double([-1.0, -2.0], [-4.0, -0.5]).requires_grad_()
        assert gradcheck(lambda *parts: log_mean_exp(log_importance_weights(*parts)), (log_p, log_p_x, log_q))
        assert gradcheck(effective_sample_size, (log_p,))

    @pytest.mark.parametrize("nats", [-1000.0, 1000.0])
    def test_weights_beyond_what_floats_hold(self, nats):
        weights = double([0.1, 0.3, 0.2]).log()
        assert log_mean_exp(weights + nats).item() == pytest.approx(math.log(0.2) + nats)
        assert effective_sample_size(weights + nats).item() == pytest.approx(0.36 / 0.14)

    def test_one_sample_is_the_estimate(self):
        assert torch.equal(log_mean_exp(self.LOG_P[:, :1]), self.LOG_P[:, 0])
        assert effective_sample_size(self.LOG_P[:, :1]).tolist() == pytest.approx([1.0, 1.0])

    def test_effective_samples_lie_between_1_and_all(self):
        assert effective_sample_size(double([0.0, -900.0, -900.0])).item() == pytest.approx(1)
        assert effective_sample_size(double([-7.0, -7.0, -7.0])).item() == pytest.approx(3)


class TestExpectedRisk:
    LOG_PROB = double([0.36, 0.04, 0.16], [0.09, 0.01, 0.0]).log()
    RISK = double([1.0, 0.0, 0.5], [0.8, 0.3, 0.0])

    @pytest.mark.parametrize("sharpness, first, second", [
        (1.0, [0.36 / 0.56, 0.04 / 0.56, 0.16 / 0.56], [0.9, 0.1]),
        (0.5, [0.5, 1 / 6, 1 / 3], [0.75, 0.25]),  # square roots
    ])  # fmt: skip
    def test_by_hand_where_the_second_sentence_has_but_two_candidates(self, sharpness, first, second):
        found = expected_risk(self.LOG_PROB, self.RISK, sharpness).tolist()
        assert found == pytest.approx([first[0] + 0.5 * first[2], 0.8 * second[0] + 0.3 * second[1]])

    @pytest.mark.parametrize("sharpness", [5e-3, 1.0, 3.0])
    def test_gradient_where_candidates_are_missing(self, sharpness):
        present = self.LOG_PROB[self.LOG_PROB.isfinite()].clone().requires_grad_()

        def risk(present):
            log_prob = torch.full_like(self.LOG_PROB, -math.inf).masked_scatter(self.LOG_PROB.isfinite(), present)
            return expected_risk(log_prob, self.RISK, sharpness)

        assert gradcheck(risk, (present,))
        log_prob = self.LOG_PROB.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(expected_risk(log_prob, self.RISK, sharpness).sum(), log_prob)
        assert gradient.isfinite().all() and gradient[1, 2] == 0
        # α·Q(y)·(Δ(y) - the expected risk)
        weights = (sharpness * self.LOG_PROB).exp()
        weights = weights / weights.sum(-1, keepdim=True)
        expected = (weights * self.RISK).sum(-1, keepdim=True)
        torch.testing.assert_close(gradient, sharpness * weights * (self.RISK - expected))

    def test_one_candidate_has_no_gradient(self):
        log_prob = double([-5.0, -math.inf]).requires_grad_()
        risk = expected_risk(log_prob, double([0.7, 9.0]), sharpness=0.5)
        assert risk.item() == 0.7
        assert torch.autograd.grad(risk.sum(), log_prob)[0].tolist() == [[0.0, 0.0]]
