"""The objectives: values by hand, gradients in float64, and that any one wrong sign or detach is noticed."""

import doctest
import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from fairseq_dsl import objectives
from fairseq_dsl.objectives import (
    baseline,
    duality_gap,
    duality_terms,
    effective_sample_size,
    expected_risk,
    gap_penalty,
    gap_penalty_slope,
    log_importance_weights,
    log_mean_exp,
    policy_loss,
    sampled_log_prob,
    score_targets,
    unlearnt,
)

PAD = 1


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_examples_in_docstrings():
    results = doctest.testmod(objectives)
    assert results.attempted >= 8
    assert results.failed == 0


class TestScoreTargets:
    LPROBS = double([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], [[0.25] * 4, [0.5, 0.1, 0.2, 0.2]]).log()
    TARGET = torch.tensor([[3, 0], [2, PAD]])

    def test_log_prob_by_hand(self):
        scores = score_targets(self.LPROBS, self.TARGET, PAD)
        assert scores.log_prob.exp().tolist() == pytest.approx([0.4 * 0.7, 0.25])
        assert scores.loss.tolist() == (-scores.log_prob).tolist()

    def test_smoothed_loss_by_hand(self):
        # ε = 0.3 over 3 other symbols is 0.1 each, which leaves 0.7 for the gold one
        scores = score_targets(self.LPROBS, self.TARGET, PAD, label_smoothing=0.3)
        first = 0.7 * math.log(0.4) + 0.1 * (math.log(0.1) + math.log(0.2) + math.log(0.3))
        first += 0.7 * math.log(0.7) + 0.1 * 3 * math.log(0.1)
        assert scores.loss.tolist() == pytest.approx([-first, -math.log(0.25)])
        assert scores.log_prob.exp().tolist() == pytest.approx([0.4 * 0.7, 0.25])

    @pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
    def test_padding_counts_nothing(self, label_smoothing):
        changed = self.LPROBS.clone()
        changed[1, 1] = double(0.97, 0.01, 0.01, 0.01).log()
        for before, after in zip(
            score_targets(self.LPROBS, self.TARGET, PAD, label_smoothing),
            score_targets(changed, self.TARGET, PAD, label_smoothing),
        ):
            assert torch.equal(before, after)

    @pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.7])
    def test_gradient(self, label_smoothing):
        logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
        target = torch.tensor([[4, 0, 2], [3, PAD, PAD]])

        def both(logits):
            return tuple(score_targets(logits.log_softmax(-1), target, PAD, label_smoothing))

        assert gradcheck(both, (logits,))


class TestGapPenalty:
    @pytest.mark.parametrize(
        "gap, clip, value, slope",
        [
            (3.0, None, 9.0, 6.0),
            (-3.0, None, 9.0, -6.0),
            (-60.0, None, 3600.0, -120.0),
            (0.0, 10.0, 0.0, 0.0),
            (-3.0, 10.0, 9.0, -6.0),
            (10.0, 10.0, 100.0, 20.0),
            (12.0, 10.0, 140.0, 20.0),
            (-60.0, 10.0, 1100.0, -20.0),
        ],
    )
    def test_value_and_slope_by_hand(self, gap, clip, value, slope):
        assert gap_penalty(double(gap), clip).item() == value
        assert gap_penalty_slope(double(gap), clip).item() == slope

    @pytest.mark.parametrize("clip", [None, 2.5])
    def test_gradient_is_the_slope(self, clip):
        gap = double(-7.0, -2.6, -2.4, -0.1, 0.1, 2.4, 2.6, 30.0).requires_grad_()
        assert gradcheck(lambda gap: gap_penalty(gap, clip), (gap,))
        (gradient,) = torch.autograd.grad(gap_penalty(gap, clip).sum(), gap)
        assert torch.equal(gradient, gap_penalty_slope(gap.detach(), clip))


# log P(x), log P(y|x), log P(y), log P(x|y) of four pairs: gaps 2, -25, 0.5 and 60, within and beyond a clip of 10
INPUTS = double(
    [-9.0, -30.0, -7.0, -20.0], [-4.0, -9.0, -3.5, -10.0], [-8.0, -5.0, -6.0, -70.0], [-7.0, -9.0, -5.0, -20.0]
)
GAPS = [2.0, -25.0, 0.5, 60.0]
LAMBDAS = 0.3, 0.07


def test_duality_gap_by_hand():
    assert duality_gap(*INPUTS).tolist() == GAPS


def weighted_terms(terms, clip):
    """Both terms' values, and the gradient of each input of λ_xy·primal + λ_yx·dual."""
    inputs = [row.clone().requires_grad_() for row in INPUTS]
    primal, dual = terms(*inputs, clip=clip)
    gradients = torch.autograd.grad((LAMBDAS[0] * primal + LAMBDAS[1] * dual).sum(), inputs, allow_unused=True)
    return [primal.detach(), dual.detach()] + [torch.zeros(4) if g is None else g for g in gradients]


def check_duality_terms(terms, clip):
    """Against the formula written out number by number: value λ·h(g), gradients ±λ·h'(g) for its own model alone."""
    primal, dual, _, by_primal, _, by_dual = weighted_terms(terms, clip)
    for n, gap in enumerate(GAPS):
        inside = clip is None or abs(gap) <= clip
        value = gap * gap if inside else 2 * clip * abs(gap) - clip * clip
        slope = 2 * gap if inside else math.copysign(2 * clip, gap)
        assert primal[n].item() == pytest.approx(value)
        assert dual[n].item() == pytest.approx(value)
        assert by_primal[n].item() == pytest.approx(LAMBDAS[0] * slope)
        assert by_dual[n].item() == pytest.approx(-LAMBDAS[1] * slope)


@pytest.mark.parametrize("clip", [None, 10.0])
class TestDualityTerms:
    def test_equal_the_written_out_formula(self, clip):
        check_duality_terms(duality_terms, clip)

    def test_gradient_of_each_term_reaches_its_own_model_alone(self, clip):
        def term(own, other, values):
            values = [row.clone().requires_grad_(i in (own, other)) for i, row in enumerate(INPUTS)]
            return values, duality_terms(*values, clip=clip)

        for own, other, name in ((1, 3, "primal"), (3, 1, "dual")):
            values, terms = term(own, other, INPUTS)
            found = torch.autograd.grad(getattr(terms, name).sum(), [values[own], values[other]], allow_unused=True)
            assert found[0].abs().min() > 0
            assert found[1] is None

            def of_own(value, own=own, name=name):
                values = list(INPUTS)
                values[own] = value
                return getattr(duality_terms(*values, clip=clip), name)

            assert gradcheck(of_own, (INPUTS[own].clone().requires_grad_(),))


def mutant(signs_primal=(1, 1, -1, -1), signs_dual=(1, 1, -1, -1), constant_primal=(3,), constant_dual=(1,)):
    """`duality_terms` with other signs of the gap's four parts, or other parts held constant."""

    def terms(*inputs, clip=None):
        def penalty(signs, constant):
            parts = [part.detach() if i in constant else part for i, part in enumerate(inputs)]
            return gap_penalty(sum(sign * part for sign, part in zip(signs, parts)), clip)

        return penalty(signs_primal, constant_primal), penalty(signs_dual, constant_dual)

    return terms


def wrong_terms():
    right = (1, 1, -1, -1)
    for term, flipped in itertools.product(
        ("signs_primal", "signs_dual"), range(1, 15)
    ):  # 15 flips all: the same square
        signs = tuple(-sign if flipped >> i & 1 else sign for i, sign in enumerate(right))
        yield f"{term}={signs}", mutant(**{term: signs})
    for term, own, other in (("constant_primal", 1, 3), ("constant_dual", 3, 1)):
        for constant in ((), (own,), (own, other)):
            yield f"{term}={constant}", mutant(**{term: constant})
    yield "both detached the wrong way round", mutant(constant_primal=(1,), constant_dual=(3,))
    yield "primal and dual exchanged", lambda *inputs, clip=None: tuple(mutant()(*inputs, clip=clip))[::-1]
    yield "no square", lambda *inputs, clip=None: tuple(t.abs().sqrt() for t in mutant()(*inputs, clip=clip))
    yield "half the square", lambda *inputs, clip=None: tuple(t / 2 for t in mutant()(*inputs, clip=clip))


@pytest.mark.parametrize("clip", [None, 10.0])
class TestMutants:
    """The check above is sharp: it takes the right terms, however computed, and refuses each wrong one."""

    def test_the_right_signs_and_detaches_pass(self, clip):
        check_duality_terms(mutant(), clip)
        check_duality_terms(mutant(signs_primal=(-1, -1, 1, 1)), clip)

    @pytest.mark.parametrize("terms", [pytest.param(terms, id=name) for name, terms in wrong_terms()])
    def test_one_wrong_sign_or_detach_fails(self, terms, clip):
        with pytest.raises(AssertionError):
            check_duality_terms(terms, clip)

    def test_another_clip_fails(self, clip):
        with pytest.raises(AssertionError):
            check_duality_terms(lambda *inputs, clip: duality_terms(*inputs, clip=30.0), clip)


class TestUnlearnt:
    def test_is_a_gap_beyond_one_over_two_lambda(self):
        gap = double(-50.1, -49.9, 0, 49.9, 50.1)
        assert unlearnt(gap, 0.01, 0.01).tolist() == [True, False, False, False, True]
        assert not unlearnt(1e9 * gap, 0.0, 0.0).any()

    def test_each_direction_has_its_own_side(self):
        gap = double(-100, 100)
        assert unlearnt(gap, 0.01, 0.0).tolist() == [False, True]  # log P(y|x) too likely: the primal model un-learns
        assert unlearnt(gap, 0.0, 0.01).tolist() == [True, False]

    @pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
    @pytest.mark.parametrize("clip", [None, 10.0])
    @pytest.mark.parametrize("lambdas", [(0.03, 0.03), (0.06, 0.01), (0.0, 0.05)])
    def test_is_a_negative_weight_of_a_gold_log_probability_in_the_loss(self, lambdas, clip, label_smoothing):
        """Against autograd of the whole loss with respect to each gold token's log-probability."""
        found = []
        for gap in [-60.0, -21.0, -12.0, -3.0, 0.0, 7.0, 9.9, 15.0, 40.0]:
            primal, dual = (torch.rand(1, 3, 5, dtype=torch.float64).log().requires_grad_() for _ in range(2))
            target = torch.tensor([[4, 0, 2]])
            scores = [score_targets(lprobs, target, PAD, label_smoothing) for lprobs in (primal, dual)]
            log_p_x = gap + (scores[1].log_prob - scores[0].log_prob).detach()
            terms = duality_terms(log_p_x, scores[0].log_prob, double(0.0), scores[1].log_prob, clip)
            loss = scores[0].loss + scores[1].loss + lambdas[0] * terms.primal + lambdas[1] * terms.dual
            weights = torch.autograd.grad(loss.sum(), (primal, dual))
            gold = torch.cat([-w.gather(-1, target.unsqueeze(-1)) for w in weights])
            assert unlearnt(double(gap), *lambdas, label_smoothing, clip).item() == (gold.min() < 0).item()
            found.append((gold.min() < 0).item())
        assert any(found) == (clip is None or 2 * clip * max(lambdas) > 1 - label_smoothing)
        assert not all(found)


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
