"""The adversarial cycle, against expectations over all samples that there are, and critics' losses of their own."""

import itertools
import math

import pytest
import tiny
import torch
from drawn import is_given
from toys import (
    DIRECTIONS,
    EOS,
    REVERSE,
    SENTENCES,
    SYMBOLS,
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

CLIP = 0.6  # which some of the critics' logits exceed, and others do not
DRAWN = {
    "de": [[(4, 5, EOS), (6, EOS)], [(5, EOS), (4, 4, EOS)]],
    "en": [[(5, 4, EOS), (4, EOS)], [(5, EOS), (0, EOS)]],
}


def learns(made, **settings):
    """By the cycle alone; in float64, with critics that are sure, either way."""
    usual = dict(num_samples=2, reward_alpha=0.3, critic_clip=CLIP, critic_dim=8, critic_dropout=0.0)
    criterion = learns_by(made, "cycle_adversarial", **{**usual, **settings})
    made.model.critics.double()
    for critic in made.model.critics.values():
        tiny.spread(critic)
        with torch.no_grad():
            critic.logit.weight.mul_(3)
            critic.logit.bias.sub_(critic(torch.tensor([[word, EOS] for word in range(6)])).mean())
    return criterion


def critic_says(made, language, sentence):
    """log D - log(1 - D), from one forward of one sentence, differentiable."""
    return made.model.critics[language](torch.as_tensor(sentence)[None])[0]


def reward_of(made, there, z, w, alpha, lm_alpha=0.0):
    """The whole reward of a sample: constant but for log P(z|w)."""
    language = DIRECTIONS[there][1]
    real = min(max(critic_says(made, language, w).item(), -CLIP), CLIP)
    back = log_p(made, REVERSE[there], w, z) / len(z)
    return alpha * real + lm_alpha * log_p_lm(made, language, w) / len(w) + (1 - alpha - lm_alpha) * back


@pytest.mark.parametrize("there", DIRECTIONS)
@pytest.mark.parametrize("alpha, lm_alpha, count, limit", [
    (0.0, 0.0, 1, 2), (0.3, 0.0, 1, 2), (1.0, 0.0, 1, 2), (0.3, 0.2, 1, 2), (0.3, 0.2, 2, 1),
])  # fmt: skip
def test_the_models_gradient_is_in_expectation_that_of_the_reward(toy_pair, there, alpha, lm_alpha, count, limit):
    """With one sample, and with two of which each is the other's baseline."""
    made = toy_pair()
    learns(
        made, num_samples=count, reward_baseline="none" if count == 1 else "leave-one-out", reward_alpha=alpha,
        lm_alpha=lm_alpha, critic_weight=0.0, sample_max_len_b=limit,
    )  # fmt: skip
    language = DIRECTIONS[there][0]
    z = SENTENCES[language][0]
    sample, pi = sample_of(made, **{language: [z]}), proposal(made, there, z, limit=limit)
    expected = sum(p.exp() * reward_of(made, there, z, w, alpha, lm_alpha) for w, p in pi.items())
    found, reward = {}, 0.0
    for drawn in itertools.product(pi, repeat=count):
        weight = math.exp(sum(pi[w].item() for w in drawn))
        is_given(made.criterion, [list(drawn)], limit=limit)
        loss, _, logged = made.criterion(made.model, sample)
        add_up(found, weight, tiny.gradients(made.model, loss))
        reward += weight * logged[f"reward_{there}"].item()
    assert reward == pytest.approx(expected.item(), rel=1e-9)
    assert_same_gradients(made, found, tiny.gradients(made.model, -expected))


def of_both_languages(made, criterion):
    """A batch of two sentences of each language, with fixed samples."""
    criterion.terms[-1].sampler = None
    is_given(criterion, DRAWN["de"])
    calls = [(DRAWN["de"], None), (DRAWN["en"], None)]
    criterion.terms[-1].sampler.calls = itertools.cycle(calls)
    return sample_of(made, de=SENTENCES["de"][:2], en=SENTENCES["en"][:2])


def critic_losses(made):
    """Of both critics, sentence by sentence; real ones are cut after two words, where samples are."""
    total = 0.0
    for source, target in DIRECTIONS.values():
        for words in SENTENCES[target][:2]:
            real = words if len(words) <= 3 else [*words[:2].tolist(), EOS]
            total = total - torch.sigmoid(critic_says(made, target, real)).log()
        for samples in DRAWN[source]:
            for w in samples:
                total = total - (1 - torch.sigmoid(critic_says(made, target, w))).log() / len(samples)
    return total


def test_loss_and_gradients_equal_the_formulas(toy_pair, tmp_path):
    """Of the models and of the critics; neither's gradient has a part of the other's loss."""
    made = toy_pair()
    criterion = learns(made, critic_weight=0.7, save_samples=str(tmp_path))
    sample = of_both_languages(made, criterion)
    loss, _, logged = criterion(made.model, sample)
    found = tiny.gradients(made.model, loss)
    models = 0.0
    lines = {(line["direction"], line["sentence"]): line for line in saved(tmp_path)}
    for there, (source, target) in DIRECTIONS.items():
        for z, samples in zip(SENTENCES[source], DRAWN[source]):
            log_pi = [proposal(made, there, z)[w] for w in samples]
            reward = [reward_of(made, there, z, w, 0.3).item() for w in samples]
            back = [log_p(made, REVERSE[there], w, z) / len(z) for w in samples]
            for k in (0, 1):
                models = models - ((reward[k] - reward[1 - k]) * log_pi[k] + 0.7 * back[k]) / 2
            line = lines[there, " ".join(SYMBOLS[source][word] for word in z[:-1])]
            assert line["reward"] == pytest.approx(reward, rel=1e-9)
            said = [critic_says(made, target, w).item() for w in samples]
            assert line["reward_critic"] == pytest.approx([min(max(value, -CLIP), CLIP) for value in said])
    critics = critic_losses(made)
    assert loss.item() == pytest.approx((models + 0.7 * critics).item(), rel=1e-9)
    assert logged["critic_loss_de-en"] + logged["critic_loss_en-de"] == pytest.approx(critics.item(), rel=1e-9)
    wanted = {**tiny.gradients(made.model, models), **tiny.gradients(made.model, 0.7 * critics)}
    assert {name.split(".")[0] for name in wanted} == {"models", "critics"}
    assert_same_gradients(made, found, wanted)
    for name, gradient in wanted.items():
        if name.startswith("critics."):
            torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)


def test_logs_what_the_critics_get_right(toy_pair):
    made = toy_pair()
    criterion = learns(made)
    with torch.no_grad():
        for critic in made.model.critics.values():
            critic.logit.bias.add_(1.5)  # they take most for real
    seen = []
    criterion.terms[-1]._watch.see = lambda *arguments: seen.append(arguments)
    sample = of_both_languages(made, criterion)
    logged = criterion(made.model, sample)[2]
    for there, (source, target) in DIRECTIONS.items():
        real = [critic_says(made, target, [*w[:2].tolist(), EOS] if len(w) > 3 else w) for w in SENTENCES[target][:2]]
        sampled = [critic_says(made, target, w) for samples in DRAWN[source] for w in samples]
        assert logged[f"critic_accuracy_real_{there}"] == sum(value > 0 for value in real)
        assert logged[f"critic_accuracy_sampled_{there}"] == sum(value < 0 for value in sampled)
        assert (logged[f"real_sentences_{there}"], logged[f"samples_{there}"]) == (2, 4)
        assert sum(value < 0 for value in sampled) < 2 <= sum(value > 0 for value in sampled)
        language, accuracy = seen.pop(0)
        shares = [sum(value > 0 for value in real) / 2, sum(value < 0 for value in sampled) / 4]
        assert language == target and accuracy == pytest.approx(float(sum(shares)) / 2)
    assert (logged["distinct_bigrams_de-en"], logged["bigrams_de-en"]) == (5, 6)
    assert (logged["distinct_bigrams_en-de"], logged["bigrams_en-de"]) == (4, 5)
    criterion.terms[-1].begin_batch(0, dummy=True)
    criterion(made.model, sample)
    assert seen == []  # a dummy batch stands for none


class TestWhenCriticsLearn:
    def gradients(self, toy_pair, update, **settings):
        """The largest gradient of each critic."""
        made = toy_pair()
        criterion = learns(made, **settings)
        criterion.update = update
        sample = of_both_languages(made, criterion)
        found = tiny.gradients(made.model, criterion(made.model, sample)[0])
        names = [name for name, _ in made.model.named_parameters() if name.startswith("critics.")]
        assert set(names) <= set(found)  # data-parallel training waits for each
        return {
            language: max(found[name].abs().max().item() for name in names if f".{language}." in name)
            for language in ("de", "en")
        }

    def test_in_every_update(self, toy_pair):
        assert all(gradient > 1e-3 for gradient in self.gradients(toy_pair, 1).values())

    @pytest.mark.parametrize("update, learn", [(0, True), (1, False), (2, False), (3, True)])
    def test_in_every_third(self, toy_pair, update, learn):
        found = self.gradients(toy_pair, update, critic_every=3)
        assert all((gradient > 0) == learn for gradient in found.values())

    def test_never_where_their_weight_is_0(self, toy_pair):
        assert self.gradients(toy_pair, 0, critic_weight=0.0) == {"de": 0, "en": 0}

    @pytest.mark.parametrize("languages", [(), ("de",), ("en",)])
    def test_from_a_batch_of_one_language_or_of_none(self, toy_pair, languages):
        """A critic without sentences has a gradient of 0, and one without real ones learns from the samples."""
        made = toy_pair()
        criterion = learns(made)
        sample = sample_of(made, **{language: SENTENCES[language][:2] for language in languages})
        found = tiny.gradients(made.model, criterion(made.model, sample)[0])
        for source, target in DIRECTIONS.values():
            parts = [gradient for name, gradient in found.items() if name.startswith(f"critics.{target}.")]
            assert len(parts) == len(list(made.model.critics[target].parameters()))
            assert (max(part.abs().max() for part in parts) > 0) == (source in languages)


@pytest.mark.parametrize("update, counts", [(0, False), (4, False), (5, True)])
def test_a_critic_rewards_from_an_update_on(toy_pair, update, counts):
    """Before, the reconstruction is all of the reward; the critic learns meanwhile."""
    made = toy_pair()
    criterion = learns(made, critic_start_update=5)
    criterion.update = update
    found = criterion(made.model, of_both_languages(made, criterion))[2]
    parts = {key: found[f"reward{key}_de-en"].item() for key in ("", "_critic", "_reconstruction")}
    share = 0.3 if counts else 0.0
    assert parts[""] == pytest.approx(share * parts["_critic"] + (1 - share) * parts["_reconstruction"], rel=1e-9)
    assert parts["_critic"] != 0 and found["critic_loss_de-en"] > 0


def test_a_reward_is_what_the_critic_says_without_dropout(toy_pair):
    made = toy_pair()
    criterion = learns(made, critic_dropout=0.5)
    sample = of_both_languages(made, criterion)
    first, second = ((criterion(made.model, sample)) for _ in range(2))
    assert first[2]["reward_critic_de-en"] == second[2]["reward_critic_de-en"]
    assert first[0] != second[0]  # which learns with it


@pytest.mark.parametrize("settings, message", [
    (dict(reward_alpha=1.1), "--reward-alpha 1.1"),
    (dict(reward_alpha=0.7, lm_alpha=0.4), "--reward-alpha 0.7 --lm-alpha 0.4: expected shares of at most 1 together"),
    (dict(critic_every=0), "--critic-every 0: expected a number of 1 or more"),
    (dict(critic_clip=0.0), "--critic-clip 0.0: expected a number above 0"),
    (dict(critic_weight=-1.0), "--critic-weight -1.0: expected a number of 0 or more"),
    (dict(critic_start_update=-1), "--critic-start-update -1"),
    (dict(critic_dim=0), "--critic-dim 0"),
    (dict(critic_dropout=1.0), "--critic-dropout 1.0"),
    (dict(num_samples=1), "--num-samples 1: --reward-baseline leave-one-out requires 2 or more"),
])  # fmt: skip
def test_bad_flags_are_refused(toy_pair, settings, message):
    with pytest.raises(BadInput, match=message):
        learns(toy_pair(), **settings)


def test_text_of_one_language_is_refused(data, tmp_path):
    mono = tiny.write_monolingual(tmp_path / "mono", [["w1"]], tiny.dictionary(tiny.WORDS["de"]))
    made = tiny.pair(data, "transformer", source_mono=mono)
    message = "--criterion cycle_adversarial: .*both languages, found de; give --source-mono and --target-mono"
    with pytest.raises(BadInput, match=message):
        tiny.learns_by(made, "cycle_adversarial")
    mono = tiny.write_monolingual(tmp_path / "mono.en", [["v1"]], tiny.dictionary(tiny.WORDS["en"]))
    made = tiny.pair(data, "transformer", source_mono=mono, target_mono=mono)
    with pytest.raises(BadInput, match="the reward of --lm-alpha 0.1 requires language models"):
        tiny.learns_by(made, "cycle_adversarial", lm_alpha=0.1)
