"""Marginal regularization, against the marginal itself: the sum over all samples that there are."""

import math

import numpy as np
import pytest
import tiny
import torch
from drawn import is_given
from toys import (
    DIRECTIONS,
    EOS,
    LIMIT,
    REVERSE,
    SENTENCES,
    SYMBOLS,
    all_sentences,
    assert_same_gradients,
    language_model_logits,
    learns_by,
    log_p,
    log_p_lm,
    proposal,
    sample_of,
    saved,
)

from fairseq_dsl.errors import BadInput

TEMPERATURES = (0.5, 1.0, 2.0)


def marginal(made, back, y, limit=LIMIT):
    """The sum over all x that may be sampled of P̂(x)·P(y|x), differentiable."""
    there = REVERSE[back]
    language = DIRECTIONS[back][0]
    return sum(
        math.exp(log_p_lm(made, language, x)) * log_p(made, back, x, y).exp()
        for x in proposal(made, there, y, 1, limit)
    )


def true_proposal(made, there, y, kind, temperature):
    if kind == "model":
        return proposal(made, there, y, temperature)
    language = DIRECTIONS[there][1]
    logits = language_model_logits(made.task.stage.marginals[language].model, EOS)
    return all_sentences(logits, SYMBOLS[language], LIMIT, temperature)


@pytest.mark.parametrize("back", DIRECTIONS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("arch, kind", [("transformer", "model"), ("transformer", "lm"), ("lstm", "model")])
def test_the_estimate_is_unbiased(toy_pair, arch, kind, temperature, back):
    """In expectation over one sample x of q it is the sum of P̂(x)·P(y|x) over all x, whatever q is."""
    made, there = toy_pair(arch), REVERSE[back]
    criterion = learns_by(
        made, "marginal_regularized_cross_entropy", num_samples=1, sample_temperature=temperature, proposal=kind
    )
    language = DIRECTIONS[there][0]
    y = SENTENCES[language][1]
    sample = sample_of(made, **{language: [y]})
    estimate = 0.0
    with torch.no_grad():
        for x, log_q in true_proposal(made, there, y, kind, temperature).items():
            is_given(criterion, [[x]], [[log_q]])
            logged = criterion(made.model, sample)[2]
            estimate += math.exp(log_q + logged[f"log_marginal_estimate_{back}"])
        assert estimate == pytest.approx(marginal(made, back, y).item(), rel=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind, temperature", [("model", 1.0), ("model", 2.0), ("lm", 0.5), ("lm", 1.0)])
def test_from_real_samples_it_lies_within_five_standard_errors(toy_pair, kind, temperature, seed):
    made, count = toy_pair(), 1500
    criterion = learns_by(
        made, "marginal_regularized_cross_entropy", num_samples=count, sample_temperature=temperature, proposal=kind
    )
    y = SENTENCES["en"][1]
    torch.manual_seed(seed)
    with torch.no_grad():
        logged = criterion(made.model, sample_of(made, en=[y]))[2]
        true = marginal(made, "de-en", y).item()
        square = 0.0  # E[w²] = the sum of (P̂(x)·P(y|x))² / q(x|y)
        for x, log_q in true_proposal(made, "en-de", y, kind, temperature).items():
            square += math.exp(2 * (log_p_lm(made, "de", x) + log_p(made, "de-en", x, y).item()) - log_q.item())
    error = math.sqrt((square - true**2) / count)
    assert 0 < error < true / 4  # so that the test has something to say
    assert abs(logged["log_marginal_estimate_de-en"].exp().item() - true) < 5 * error


@pytest.mark.parametrize("back", DIRECTIONS)
def test_loss_and_gradient_equal_the_formula(toy_pair, back, pads, tmp_path):
    """λ·Σ_y [log P̂(y) - log (1/K) Σ_k P̂(x_k)·P(y|x_k)/q(x_k|y)]², differentiated in P(y|x) alone."""
    made, (language, there) = toy_pair(), (DIRECTIONS[back][1], REVERSE[back])
    pads(made.task.cfg, made.data)
    criterion = learns_by(
        made, "marginal_regularized_cross_entropy", num_samples=3, marginal_lambda=0.3, save_samples=str(tmp_path)
    )
    ys = SENTENCES[language][:2]
    drawn = [[(4, EOS), (5, 4, EOS), (4, EOS)], [(0, 3, EOS), (5, EOS), (4, 4, EOS)]]
    log_q = [[-1.0, -2.5, -1.0], [-4.0, -0.5, -3.0]]
    is_given(criterion, drawn, log_q)
    loss, _, logged = criterion(made.model, sample_of(made, **{language: ys}))
    found = tiny.gradients(made.model, loss)
    wanted, sums = 0.0, dict.fromkeys(criterion.terms[-1].averages, 0.0)
    for y, samples, qs in zip(ys, drawn, log_q):
        weights = [
            log_p(made, back, x, y).exp() * math.exp(log_p_lm(made, DIRECTIONS[back][0], x) - q)
            for x, q in zip(samples, qs)
        ]
        estimate = (sum(weights) / 3).log()
        penalty = (log_p_lm(made, language, y) - estimate) ** 2
        wanted = wanted + 0.3 * penalty
        weights = np.array([weight.item() for weight in weights])
        sums["log_marginal"] += log_p_lm(made, language, y)
        sums["log_marginal_estimate"] += estimate.item()
        sums["marginal_loss"] += penalty.item()
        sums["effective_samples"] += weights.sum() ** 2 / (weights**2).sum()
        sums["collapsed"] += weights.max() > 0.99 * weights.sum()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-9)
    assert_same_gradients(made, found, tiny.gradients(made.model, wanted))
    assert all(gradient.abs().max() == 0 for name, gradient in found.items() if f".{there}." in name)
    for key in ("log_marginal", "log_marginal_estimate", "marginal_loss", "effective_samples", "collapsed"):
        assert float(logged[f"{key}_{back}"]) == pytest.approx(sums[key], rel=1e-9), key
    assert sum(line["estimate"] for line in saved(tmp_path)) == pytest.approx(sums["log_marginal_estimate"], rel=1e-9)


def test_truncated_samples_are_refused(toy_pair):
    for settings in (dict(sample_beam=True), dict(sample_topk=2), dict(sample_topp=0.5)):
        with pytest.raises(BadInput, match="importance sampling requires samples of every sentence's true probability"):
            learns_by(toy_pair(), "marginal_regularized_cross_entropy", **settings)


@pytest.mark.parametrize("settings, message", [
    (dict(marginal_lambda=-1.0), "--marginal-lambda -1.0"),
    (dict(marginal_lambda=math.nan), "--marginal-lambda nan"),
    (dict(marginal_lambda=math.inf), "--marginal-lambda inf"),
    (dict(proposal="lm", proposal_checkpoint="x.pt"), "--proposal-checkpoint x.pt: has no"),
], ids=["lambda below 0", "lambda nan", "lambda inf", "two proposals"])  # fmt: skip
def test_refused_settings_are_named(toy_pair, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        learns_by(toy_pair(), "marginal_regularized_cross_entropy", **settings)
