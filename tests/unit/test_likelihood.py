"""Log-probabilities from features and an output matrix, against the table of them all."""

import pytest
import torch
from torch.autograd import gradcheck

from fairseq_dsl import likelihood
from fairseq_dsl.likelihood import TokenLikelihood
from fairseq_dsl.objectives import score_targets, smoothed_scores
from fairseq_dsl.output_layer import Projected

PAD, SYMBOLS, WIDTH = 1, 7, 4
TARGET = torch.tensor([[3, 6, 2], [5, 2, PAD], [PAD, PAD, 2], [0, 4, 2]])
WEIGHTS = torch.tensor([1.0, -0.5, 3.0, 0.0], dtype=torch.float64)


@pytest.fixture(params=[1, 3, 512], autouse=True)
def rows(request, monkeypatch):
    """However many rows are made at a time."""
    monkeypatch.setattr(likelihood, "ROWS", request.param)


@pytest.fixture(params=["kept", "made again"])
def softmax(request, monkeypatch):
    """As on the CPU, and as on a GPU: there no softmax is kept for the gradient."""
    if request.param == "made again":
        apply = likelihood._GoldAndNormalizer.apply
        monkeypatch.setattr(likelihood._GoldAndNormalizer, "apply", lambda *args: apply(*args[:-1], False))


def inputs(bias=True, dtype=torch.float64):
    shapes = [(*TARGET.shape, WIDTH), (SYMBOLS, WIDTH), *([(SYMBOLS,)] if bias else [])]
    return [torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def logits_of(features, weight, bias=None):
    logits = features @ weight.t()
    return logits if bias is None else logits + bias


def projected(features, weight, bias=None):
    return Projected(features, weight, bias)


def scores(found, label_smoothing):
    return smoothed_scores(found.log_prob.sum(-1), found.total.sum(-1), found.vocabulary, label_smoothing)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
def test_scores_and_gradients_equal_those_of_the_table(softmax, bias, label_smoothing):
    given = inputs(bias)
    found = scores(TokenLikelihood(projected(*given), TARGET, PAD), label_smoothing)
    wanted = score_targets(logits_of(*given).log_softmax(-1), TARGET, PAD, label_smoothing)
    for values, expected in zip(found, wanted):
        torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-12)
    # both are used at once, with another weight for each sentence
    losses = [(WEIGHTS * made.loss - WEIGHTS.flip(0) * made.log_prob).sum() for made in (found, wanted)]
    gradients = [torch.autograd.grad(loss, given) for loss in losses]
    for gradient, expected in zip(*gradients):
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_gradient_for_each_symbol(softmax):
    given = inputs()
    assert gradcheck(
        lambda *given: (
            TokenLikelihood(projected(*given), TARGET, PAD).log_prob,
            TokenLikelihood(projected(*given), TARGET, PAD).total,
        ),
        given,
        nondet_tol=1e-12,  # a second time, the softmax is made again
    )


def test_a_second_gradient_of_the_same_loss_is_the_same():
    """The softmax that was kept is gone after the first."""
    given = inputs()
    loss = scores(TokenLikelihood(projected(*given), TARGET, PAD), 0.1).loss.sum()
    first = torch.autograd.grad(loss, given, retain_graph=True)
    for gradient, again in zip(first, torch.autograd.grad(loss, given)):
        torch.testing.assert_close(gradient, again, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_impossible_symbols_have_no_probability(softmax, temperature):
    given = inputs()
    impossible = torch.stack([torch.full_like(TARGET, PAD), torch.full_like(TARGET, PAD)], -1)
    impossible[:, 0, 1] = 4
    found = TokenLikelihood(projected(*given).tempered(temperature), TARGET, PAD, impossible).log_prob
    table = torch.zeros(*TARGET.shape, SYMBOLS, dtype=torch.bool).scatter(-1, impossible, True)
    wanted = (logits_of(*given) / temperature).masked_fill(table, -torch.inf).log_softmax(-1)
    wanted = wanted.gather(-1, TARGET.unsqueeze(-1)).squeeze(-1).masked_fill(TARGET.eq(PAD), 0)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((WEIGHTS[:, None] * values).sum(), given) for values in (found, wanted)]
    for gradient, expected in zip(*gradients):
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_padding_has_no_part_in_the_gradient(softmax):
    given = inputs()
    with torch.no_grad():
        given[0][1, 2] = torch.nan
    found = scores(TokenLikelihood(projected(*given), TARGET, PAD), 0.1)
    gradients = torch.autograd.grad(found.loss.sum(), given)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[0][TARGET.eq(PAD)].any()


def test_logits_far_from_zero_keep_their_digits(softmax):
    features = torch.tensor([[[200.0]], [[-200.0]]], requires_grad=True)
    weight = torch.tensor([[1.0], [0.5], [-1.0]], requires_grad=True)
    found = TokenLikelihood(projected(features, weight), torch.tensor([[2], [2]]), PAD).log_prob
    assert found.tolist() == [[-400.0], [0.0]]
    found.sum().backward()
    assert features.grad.flatten().tolist() == pytest.approx([-2.0, 0.0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_less_precise_models_are_scored_in_float32(softmax, dtype):
    given = inputs(dtype=dtype)
    rough, exact = given, [value.detach().double().requires_grad_() for value in given]
    found = scores(TokenLikelihood(projected(*rough), TARGET, PAD), 0.1)
    assert found.loss.dtype == torch.float32
    wanted = scores(TokenLikelihood(projected(*exact), TARGET, PAD), 0.1)
    tolerance = {torch.bfloat16: 2e-2, torch.float32: 2e-6}[dtype]
    torch.testing.assert_close(found.loss.double(), wanted.loss, rtol=tolerance, atol=tolerance)
    gradients = [torch.autograd.grad(made.loss.sum(), made_of) for made, made_of in ((found, rough), (wanted, exact))]
    for gradient, expected in zip(*gradients):
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient.double(), expected, rtol=tolerance, atol=3 * tolerance)


def test_autocast_computes_logits_in_half_precision_and_the_rest_in_float32():
    given = inputs(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = TokenLikelihood(projected(*given), TARGET, PAD)
        loss = scores(found, 0.1).loss
        logits = torch.nn.functional.linear(*given)
    assert (logits.dtype, loss.dtype) == (torch.bfloat16, torch.float32)
    lprobs = logits.float().log_softmax(-1)
    wanted = lprobs.gather(-1, TARGET.unsqueeze(-1)).squeeze(-1).masked_fill(TARGET.eq(PAD), 0)
    torch.testing.assert_close(found.log_prob, wanted, rtol=1e-6, atol=1e-6)
    for gradient, value in zip(torch.autograd.grad(loss.sum(), given), given):
        assert gradient.dtype == value.dtype and gradient.isfinite().all()


def test_without_gradient_no_softmax_is_kept(monkeypatch):
    kept = []
    apply = likelihood._GoldAndNormalizer.apply
    monkeypatch.setattr(likelihood._GoldAndNormalizer, "apply", lambda *args: (kept.append(args[-1]), apply(*args))[1])
    given = inputs()
    with_gradient = TokenLikelihood(projected(*given), TARGET, PAD).log_prob
    with torch.no_grad():
        without = TokenLikelihood(projected(*given), TARGET, PAD).log_prob
    assert torch.equal(with_gradient, without) and kept == [True, False]


def test_sentences_without_a_symbol():
    given = inputs()
    found = TokenLikelihood(projected(*given), torch.full_like(TARGET, PAD), PAD)
    assert not found.log_prob.any() and found.log_prob.shape == TARGET.shape
    for gradient, value in zip(torch.autograd.grad((found.log_prob + found.total).sum(), given), given):
        assert gradient.shape == value.shape and not gradient.any()
