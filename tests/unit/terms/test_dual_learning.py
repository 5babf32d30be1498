"""Dual learning, against expectations over all samples that there are."""

import itertools
import math

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
    add_up,
    assert_same_gradients,
    learns_by,
    log_p,
    log_p_lm,
    proposal,
    sample_of,
    saved,
)

from fairseq_dsl.errors import BadInput


def expected_reward(made, there, alpha, per_token=False, temperature=1.0, limit=LIMIT):
    """The sum over all sentences w of π(w|z)·(α·log P̂(w) + (1 - α)·log P(z|w))."""
    z, value = SENTENCES[DIRECTIONS[there][0]][0], 0.0
    for w, log_pi in proposal(made, there, z, temperature, limit).items():
        natural, reconstruction = log_p_lm(made, DIRECTIONS[there][1], w), log_p(made, REVERSE[there], w, z)
        if per_token:
            natural, reconstruction = natural / len(w), reconstruction / len(z)
        value = value + log_pi.exp() * (alpha * natural + (1 - alpha) * reconstruction)
    return value


def expectation(made, there, count, temperature=1.0, limit=LIMIT):
    """Over all that K samples can be: of the gradient of the criterion's loss, and of the reward that it logs."""
    language = DIRECTIONS[there][0]
    sample = sample_of(made, **{language: SENTENCES[language][:1]})
    gradients, reward = {}, 0.0
    with torch.no_grad():
        pi = {w: p.item() for w, p in proposal(made, there, SENTENCES[language][0], temperature, limit).items()}
    for drawn in itertools.product(pi, repeat=count):
        weight = math.exp(sum(pi[w] for w in drawn))
        is_given(made.criterion, [list(drawn)], limit=limit)
        loss, _, logged = made.criterion(made.model, sample)
        add_up(gradients, weight, tiny.gradients(made.model, loss))
        reward += weight * logged[f"reward_{there}"].item()
    return gradients, reward


@pytest.mark.parametrize("there", DIRECTIONS)
@pytest.mark.parametrize("arch, alpha, per_token, temperature", [
    ("transformer", 0.0, False, 1.0),
    ("transformer", 0.3, False, 1.0),
    ("transformer", 1.0, False, 1.0),
    ("transformer", 0.3, True, 1.0),
    ("transformer", 0.3, True, 0.5),
    ("transformer", 0.3, False, 2.0),
    ("lstm", 0.3, False, 0.5),
    ("lstm", 0.3, True, 1.0),
])  # fmt: skip
def test_its_gradient_is_in_expectation_that_of_the_reward(toy_pair, there, arch, alpha, per_token, temperature):
    """Of both models: through what is sampled, and through the reconstruction."""
    made = toy_pair(arch)
    learns_by(
        made, "dual_learning", num_samples=1, reward_baseline="none", reward_alpha=alpha,
        reward_per_token=per_token, sample_temperature=temperature,
    )  # fmt: skip
    found, reward = expectation(made, there, 1, temperature)
    expected = expected_reward(made, there, alpha, per_token, temperature)
    assert reward == pytest.approx(expected.item(), rel=1e-9)
    wanted = tiny.gradients(made.model, -expected)
    reached = {name.split(".")[1] for name, gradient in wanted.items() if gradient.abs().max() > 0}
    assert reached == ({there} if alpha == 1 else set(DIRECTIONS))
    assert_same_gradients(made, found, wanted)


@pytest.mark.parametrize("there", DIRECTIONS)
@pytest.mark.parametrize("kind, factor", [("leave-one-out", 1.0), ("mean", 0.5), ("none", 1.0)])
def test_with_a_baseline_over_two_samples(toy_pair, there, kind, factor):
    """As before; of the mean over both samples, the part of the policy is known to be (K - 1)/K of it."""
    made = toy_pair()
    learns_by(made, "dual_learning", num_samples=2, reward_baseline=kind, reward_alpha=0.3, sample_max_len_b=1)
    found, _ = expectation(made, there, 2, limit=1)
    wanted = tiny.gradients(made.model, -expected_reward(made, there, 0.3, limit=1))
    for name in wanted:
        if f".{there}." in name:
            wanted[name] *= factor
    assert_same_gradients(made, found, wanted)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_loss_and_gradient_of_several_sentences_equal_the_formula(toy_pair, temperature, pads, tmp_path):
    """Of three samples each, cut and not, in batches that are sorted anew."""
    made, de = toy_pair(), SENTENCES["de"]
    pads(made.task.cfg, made.data)
    criterion = learns_by(
        made,
        "dual_learning",
        num_samples=3,
        reward_alpha=0.3,
        sample_temperature=temperature,
        save_samples=str(tmp_path),
    )
    drawn = [[(4, EOS), (5, 4, EOS), (6, EOS)], [(0, 3, EOS), (5, EOS), (4, 4, EOS)], [(5, 5, EOS), (6, EOS), (3, EOS)]]
    is_given(criterion, drawn[::-1])
    sample = sample_of(made, de=de)
    for name, value in sample["monolingual"]["de"]["net_input"].items():
        sample["monolingual"]["de"]["net_input"][name] = value.flip(0)  # from short to long
    loss = criterion(made.model, sample)[0]
    found = tiny.gradients(made.model, loss)
    wanted = 0.0
    for z, samples, line in zip(de[::-1], drawn[::-1], saved(tmp_path)):
        log_pi = [proposal(made, "de-en", z, temperature)[w] for w in samples]
        back = [log_p(made, "en-de", w, z) for w in samples]
        reward = [0.3 * log_p_lm(made, "en", w) + 0.7 * value.item() for w, value in zip(samples, back)]
        assert line["reward"] == pytest.approx(reward, rel=1e-9)
        for k in range(3):
            others = (sum(reward) - reward[k]) / 2
            wanted = wanted - ((reward[k] - others) * log_pi[k] + 0.7 * back[k]) / 3
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-9)
    assert_same_gradients(made, found, tiny.gradients(made.model, wanted))


def test_a_beam_is_rewarded_by_the_model_s_own_log_probability(toy_pair):
    """Nobody knows with which probability they were found: log P(w|z) stands for it, the end at the limit included."""
    made = toy_pair()
    criterion = learns_by(made, "dual_learning", num_samples=2, reward_alpha=1.0, sample_beam=True)
    z, drawn = SENTENCES["de"][0], [(4, 5, EOS), (6, EOS)]
    is_given(criterion, [drawn], [[math.nan] * 2])
    found = tiny.gradients(made.model, criterion(made.model, sample_of(made, de=[z]))[0])
    reward = [log_p_lm(made, "en", w) for w in drawn]
    first, second = (log_p(made, "de-en", z, w) for w in drawn)
    wanted = tiny.gradients(made.model, (reward[0] - reward[1]) * (second - first) / 2)
    assert_same_gradients(made, found, wanted)


@pytest.mark.parametrize("settings, message", [
    (dict(reward_alpha=-0.1), "--reward-alpha -0.1"),
    (dict(reward_alpha=1.1), "--reward-alpha 1.1"),
    (dict(reward_alpha=math.nan), "--reward-alpha nan"),
    (dict(num_samples=1), "--num-samples 1: --reward-baseline leave-one-out requires 2 or more"),
], ids=["alpha below 0", "alpha above 1", "alpha nan", "baseline of one sample"])  # fmt: skip
def test_refused_settings_are_named(toy_pair, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        learns_by(toy_pair(), "dual_learning", **settings)
