"""The objectives of pairs: values by hand, gradients in float64, and that one wrong sign or detach is noticed."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from fairseq_dsl.objectives import (
    dual_cross_entropy,
    duality_gap,
    duality_terms,
    gap_penalty,
    gap_penalty_slope,
    score_targets,
    unlearnt,
)

PAD = 1


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


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


def test_dual_cross_entropy_by_hand():
    """H(y|x) and H(x|y) are 6/3 = 2 and 4/4 = 1, 3 and 3, 1 and 5."""
    forward, reverse, target_length, source_length = (
        [-6.0, -6.0, -2.0],
        [-4.0, -9.0, -10.0],
        [3.0, 2.0, 2.0],
        [4.0, 3.0, 2.0],
    )
    found = dual_cross_entropy(*map(torch.tensor, (forward, reverse, target_length, source_length)))
    assert found.tolist() == [1 + 1.5, 0 + 3.0, 4 + 3.0]
