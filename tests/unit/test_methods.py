"""The methods that learn from samples, against what they are estimates of.

On toy languages every sentence that may be sampled can be written down (`tiny.all_sentences`): expectations over all
samples are then sums, and exact. A stand-in for the sampler gives a criterion the samples of which it is to make its loss.
All models, and fairseq's softmax, are in float64 here.
"""

import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import sacrebleu
import tiny
import torch
from fairseq import tasks, utils
from fairseq.logging import metrics
from omegaconf import OmegaConf

from fairseq_dsl import criterions
from fairseq_dsl.errors import BadInput
from fairseq_dsl.sampling import Samples
from fairseq_dsl.tasks import stages
from fairseq_dsl.terms import sampled
from fairseq_dsl.terms.round_trip import weight_schedule

LIMIT = 2  # words of a sample
SYMBOLS = {language: tiny.dictionary(words) for language, words in tiny.TOY_WORDS.items()}
EOS = SYMBOLS["de"].eos()
SENTENCES = {"de": ["a a b", "b b", "a"], "en": ["u w v", "v w", "u"]}
SENTENCES = {lang: [tiny.encode(words.split(), SYMBOLS[lang]) for words in found] for lang, found in SENTENCES.items()}
DIRECTIONS = {"de-en": ("de", "en"), "en-de": ("en", "de")}
REVERSE = {"de-en": "en-de", "en-de": "de-en"}
TEMPERATURES = (0.5, 1.0, 2.0)
ROUND_TRIPS = ("dual_learning", "marginal_regularized_cross_entropy", "back_translation_cross_entropy")
METHODS = ("minimum_risk", *ROUND_TRIPS)


@pytest.fixture(autouse=True)
def in_float64(monkeypatch):
    """fairseq takes softmaxes in float32, whatever the model's precision is."""
    monkeypatch.setattr(utils, "log_softmax", lambda x, dim, onnx_trace=False: torch.log_softmax(x, dim))
    monkeypatch.setattr(utils, "softmax", lambda x, dim, onnx_trace=False: torch.softmax(x, dim))


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Pairs of toy models with language models and monolingual data of both languages, by architecture, made once."""
    folder = tmp_path_factory.mktemp("toy")
    settings = {}
    tiny.write_toy(folder / "data")
    for side, lang in (("source", "de"), ("target", "en")):
        sentences = tiny.TOY_WORDS[lang]
        arch = {"de": "lstm_lm", "en": "transformer_lm"}[lang]
        settings[f"{side}_lm"] = tiny.language_model(folder / f"lm.{lang}", SYMBOLS[lang], arch, sentences=[sentences])[0]
        settings[f"{side}_mono"] = tiny.write_monolingual(folder / f"mono.{lang}", [sentences], SYMBOLS[lang])
    made, marginals, load = {}, {}, stages.marginals_of

    def load_once(given, *others):  # and not for every criterion
        paths = tuple(given.values())
        if paths not in marginals:
            marginals[paths] = load(given, *others)
        return marginals[paths]

    def get(arch="transformer"):
        if arch not in made:
            made[arch] = tiny.toy_pair(folder / "data", arch, **settings)
            made[arch].model.double()
            for marginal in made[arch].task.stage.marginals.values():
                marginal.model.double()
        return made[arch]

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(stages, "marginals_of", load_once)
        yield get


def learns_by(made, name, **settings):
    """Let a pair learn by this method alone, without the cross-entropy of the parallel data.

    That is smoothed, which is to be without effect on all that a method takes for a probability.
    """
    usual = dict(parallel_weight=0.0, label_smoothing=0.1, sample_max_len_a=0.0, sample_max_len_b=LIMIT)
    criterion = tiny.learns_by(made, name, **{**usual, **settings})
    made.data.monolingual = {}  # the tests make their own batches
    made.model.train()
    criterion.train().terms[-1].begin_batch(0, dummy=False)
    return criterion


PADDINGS = {"left source": (True, False), "right": (False, False)}
if torch.__version__ >= "2":  # before, all that a decoder says of left-padded targets is nan
    PADDINGS.update({"left": (True, True), "left target": (False, True)})


@pytest.fixture(params=PADDINGS.values(), ids=PADDINGS.keys())
def pads(request):
    """Have a task and its data pad sources and targets on the left, or on the right; 1-layer transformers see no padding."""
    changed = []

    def pad(*parts):
        for part in parts:
            changed.append((part, part.left_pad_source, part.left_pad_target))
            part.left_pad_source, part.left_pad_target = request.param

    yield pad
    for part, *before in changed:
        part.left_pad_source, part.left_pad_target = before


def sample_of(made, rows=(0, 1, 2), **monolingual):
    """A training batch, with these monolingual sentences beside the pairs."""
    left = made.task.cfg.left_pad_source
    batches = {lang: tiny.sources(sentences, SYMBOLS[lang], left) for lang, sentences in monolingual.items()}
    return {**tiny.batch(made.data, rows), "monolingual": {"de": None, "en": None, **batches}}


class Drawn:
    """Stands in for a sampler: gives these samples, of one call after another.

    Args:
        calls: of each call, the samples of each of its sentences, and the log of each one's probability if it matters.
        limit: on their words; where they reach it they count as cut.
    """

    def __init__(self, *calls, limit=LIMIT):
        self.calls = itertools.cycle(calls)
        self.limit = limit

    def draw(self, model, dictionary, sources, max_len):
        sentences, log_q = next(self.calls)
        assert len(sentences) == len(sources["net_input"]["src_tokens"])
        log_q = [[float(q) for q in row] for row in log_q or [[0.0] * len(row) for row in sentences]]
        cut = torch.tensor([[len(sentence) == self.limit + 1 for sentence in row] for row in sentences])
        log_q = torch.tensor(log_q, dtype=torch.float64)
        return Samples([torch.tensor(sentence) for row in sentences for sentence in row], log_q, cut)


def is_given(criterion, sentences, log_q=None, limit=LIMIT):
    """Have a criterion take these samples in place of ones of its own."""
    criterion.terms[-1].sampler = Drawn((sentences, log_q), limit=limit)


def weighted(criterion, text):
    """Have the monolingual part of a method count so much."""
    criterion.terms[-1].weight = weight_schedule(text)


def proposal(made, there, sentence, temperature=1.0, limit=LIMIT):
    """Every sample of a sentence, and the log of its probability, differentiable."""
    logits = tiny.translation_logits(made.model.models[there], sentence)
    return tiny.all_sentences(logits, SYMBOLS[DIRECTIONS[there][1]], limit, temperature)


def log_p(made, direction, source, target):
    """log P(target|source), differentiable."""
    return tiny.log_prob(tiny.translation_logits(made.model.models[direction], torch.as_tensor(source)), target)


def log_p_lm(made, language, sentence):
    """log P̂(sentence)."""
    return tiny.log_prob(tiny.language_model_logits(made.task.stage.marginals[language].model, EOS), sentence).item()


def assert_same_gradients(made, found, wanted, factor=1.0):
    """Gradients by name, of which a missing one is 0."""
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())
    for name, p in made.model.named_parameters():
        nothing = torch.zeros_like(p)
        wanted_here = factor * wanted.get(name, nothing)
        torch.testing.assert_close(found.get(name, nothing), wanted_here, rtol=1e-5, atol=1e-8, msg=name)


def add_up(sums, weight, gradients):
    for name, gradient in gradients.items():
        sums[name] = sums.get(name, 0) + weight * gradient


def saved(folder):
    return [json.loads(line) for line in (folder / "samples.0.jsonl").read_text().splitlines()]


class TestDualLearning:
    def expected_reward(self, made, there, alpha, per_token=False, temperature=1.0, limit=LIMIT):
        """The sum over all sentences w of π(w|z)·(α·log P̂(w) + (1 - α)·log P(z|w))."""
        z, value = SENTENCES[DIRECTIONS[there][0]][0], 0.0
        for w, log_pi in proposal(made, there, z, temperature, limit).items():
            natural, reconstruction = log_p_lm(made, DIRECTIONS[there][1], w), log_p(made, REVERSE[there], w, z)
            if per_token:
                natural, reconstruction = natural / len(w), reconstruction / len(z)
            value = value + log_pi.exp() * (alpha * natural + (1 - alpha) * reconstruction)
        return value

    def expectation(self, made, there, count, temperature=1.0, limit=LIMIT):
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
    def test_its_gradient_is_in_expectation_that_of_the_reward(self, toys, there, arch, alpha, per_token, temperature):
        """Of both models: through what is sampled, and through the reconstruction."""
        made = toys(arch)
        learns_by(
            made, "dual_learning", num_samples=1, reward_baseline="none", reward_alpha=alpha,
            reward_per_token=per_token, sample_temperature=temperature,
        )  # fmt: skip
        found, reward = self.expectation(made, there, 1, temperature)
        expected = self.expected_reward(made, there, alpha, per_token, temperature)
        assert reward == pytest.approx(expected.item(), rel=1e-9)
        wanted = tiny.gradients(made.model, -expected)
        reached = {name.split(".")[1] for name, gradient in wanted.items() if gradient.abs().max() > 0}
        assert reached == ({there} if alpha == 1 else set(DIRECTIONS))
        assert_same_gradients(made, found, wanted)

    @pytest.mark.parametrize("there", DIRECTIONS)
    @pytest.mark.parametrize("kind, factor", [("leave-one-out", 1.0), ("mean", 0.5), ("none", 1.0)])
    def test_with_a_baseline_over_two_samples(self, toys, there, kind, factor):
        """As before; of the mean over both samples, the part of the policy is known to be (K - 1)/K of it."""
        made = toys()
        learns_by(made, "dual_learning", num_samples=2, reward_baseline=kind, reward_alpha=0.3, sample_max_len_b=1)
        found, _ = self.expectation(made, there, 2, limit=1)
        wanted = tiny.gradients(made.model, -self.expected_reward(made, there, 0.3, limit=1))
        for name in wanted:
            if f".{there}." in name:
                wanted[name] *= factor
        assert_same_gradients(made, found, wanted)

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    def test_loss_and_gradient_of_several_sentences_equal_the_formula(self, toys, temperature, pads, tmp_path):
        """Of three samples each, cut and not, in batches that are sorted anew."""
        made, de = toys(), SENTENCES["de"]
        pads(made.task.cfg, made.data)
        criterion = learns_by(
            made, "dual_learning", num_samples=3, reward_alpha=0.3, sample_temperature=temperature, save_samples=str(tmp_path)
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

    def test_a_beam_s_sentences_are_rewarded_by_the_model_s_own_log_probability(self, toys):
        """Nobody knows with which probability they were found: log P(w|z) stands for it, the end at the limit included."""
        made = toys()
        criterion = learns_by(made, "dual_learning", num_samples=2, reward_alpha=1.0, sample_beam=True)
        z, drawn = SENTENCES["de"][0], [(4, 5, EOS), (6, EOS)]
        is_given(criterion, [drawn], [[math.nan] * 2])
        found = tiny.gradients(made.model, criterion(made.model, sample_of(made, de=[z]))[0])
        reward = [log_p_lm(made, "en", w) for w in drawn]
        first, second = (log_p(made, "de-en", z, w) for w in drawn)
        wanted = tiny.gradients(made.model, (reward[0] - reward[1]) * (second - first) / 2)
        assert_same_gradients(made, found, wanted)


class TestMarginalRegularization:
    def marginal(self, made, back, y, limit=LIMIT):
        """The sum over all x that may be sampled of P̂(x)·P(y|x), differentiable."""
        there = REVERSE[back]
        language = DIRECTIONS[back][0]
        return sum(
            math.exp(log_p_lm(made, language, x)) * log_p(made, back, x, y).exp() for x in proposal(made, there, y, 1, limit)
        )

    def true_proposal(self, made, there, y, kind, temperature):
        if kind == "model":
            return proposal(made, there, y, temperature)
        language = DIRECTIONS[there][1]
        logits = tiny.language_model_logits(made.task.stage.marginals[language].model, EOS)
        return tiny.all_sentences(logits, SYMBOLS[language], LIMIT, temperature)

    @pytest.mark.parametrize("back", DIRECTIONS)
    @pytest.mark.parametrize("temperature", TEMPERATURES)
    @pytest.mark.parametrize("arch, kind", [("transformer", "model"), ("transformer", "lm"), ("lstm", "model")])
    def test_the_estimate_is_unbiased(self, toys, arch, kind, temperature, back):
        """In expectation over one sample x of q it is the sum of P̂(x)·P(y|x) over all x, whatever q is."""
        made, there = toys(arch), REVERSE[back]
        criterion = learns_by(
            made, "marginal_regularized_cross_entropy", num_samples=1, sample_temperature=temperature, proposal=kind
        )
        language = DIRECTIONS[there][0]
        y = SENTENCES[language][1]
        sample = sample_of(made, **{language: [y]})
        estimate = 0.0
        with torch.no_grad():
            for x, log_q in self.true_proposal(made, there, y, kind, temperature).items():
                is_given(criterion, [[x]], [[log_q]])
                logged = criterion(made.model, sample)[2]
                estimate += math.exp(log_q + logged[f"log_marginal_estimate_{back}"])
            assert estimate == pytest.approx(self.marginal(made, back, y).item(), rel=1e-9)

    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("kind, temperature", [("model", 1.0), ("model", 2.0), ("lm", 0.5), ("lm", 1.0)])
    def test_from_real_samples_it_lies_within_five_standard_errors(self, toys, kind, temperature, seed):
        made, count = toys(), 1500
        criterion = learns_by(
            made, "marginal_regularized_cross_entropy", num_samples=count, sample_temperature=temperature, proposal=kind
        )
        y = SENTENCES["en"][1]
        torch.manual_seed(seed)
        with torch.no_grad():
            logged = criterion(made.model, sample_of(made, en=[y]))[2]
            true = self.marginal(made, "de-en", y).item()
            square = 0.0  # E[w²] = the sum of (P̂(x)·P(y|x))² / q(x|y)
            for x, log_q in self.true_proposal(made, "en-de", y, kind, temperature).items():
                square += math.exp(2 * (log_p_lm(made, "de", x) + log_p(made, "de-en", x, y).item()) - log_q.item())
        error = math.sqrt((square - true**2) / count)
        assert 0 < error < true / 4  # so that the test has something to say
        assert abs(logged["log_marginal_estimate_de-en"].exp().item() - true) < 5 * error

    @pytest.mark.parametrize("back", DIRECTIONS)
    def test_loss_and_gradient_equal_the_formula(self, toys, back, pads, tmp_path):
        """λ·Σ_y [log P̂(y) - log (1/K) Σ_k P̂(x_k)·P(y|x_k)/q(x_k|y)]², differentiated in P(y|x) alone."""
        made, (language, there) = toys(), (DIRECTIONS[back][1], REVERSE[back])
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

    def test_truncated_samples_are_refused(self, toys):
        for settings in (dict(sample_beam=True), dict(sample_topk=2), dict(sample_topp=0.5)):
            with pytest.raises(BadInput, match="importance sampling requires samples of every sentence's true probability"):
                learns_by(toys(), "marginal_regularized_cross_entropy", **settings)


class TestBackTranslation:
    def run(self, made, name, back, folder, drawn, log_q, **settings):
        criterion = learns_by(made, name, num_samples=len(drawn[0]), save_samples=str(folder), **settings)
        is_given(criterion, drawn, log_q)
        language = DIRECTIONS[back][1]
        loss, _, logged = criterion(made.model, sample_of(made, **{language: SENTENCES[language][: len(drawn)]}))
        return loss, logged, saved(folder)

    DRAWN = [[(4, EOS), (5, 4, EOS), (4, EOS)], [(0, 3, EOS), (5, EOS), (4, 4, EOS)], [(5, 5, EOS), (5, EOS), (4, 5, EOS)]]

    def log_q(self, made, there):
        """The true log-probabilities of the samples above."""
        with torch.no_grad():
            tables = [proposal(made, there, y) for y in SENTENCES[DIRECTIONS[there][0]]]
            return [[table[x].item() for x in drawn] for table, drawn in zip(tables, self.DRAWN)]

    @pytest.mark.parametrize("back", DIRECTIONS)
    @pytest.mark.parametrize("arch", ["transformer", "lstm"])
    def test_the_bound_of_each_sentence_is_below_the_importance_estimate_of_the_same_samples(self, toys, arch, back, tmp_path):
        """Jensen: the mean of the log-weights against the log of the mean weight."""
        made = toys(arch)
        log_q = self.log_q(made, REVERSE[back])
        _, _, by_bound = self.run(made, "back_translation_cross_entropy", back, tmp_path / "bound", self.DRAWN, log_q)
        _, _, by_weights = self.run(
            made, "marginal_regularized_cross_entropy", back, tmp_path / "weights", self.DRAWN, log_q
        )
        assert len(by_bound) == len(by_weights) == 3
        for bound, weights in zip(by_bound, by_weights):
            assert bound["sentence"] == weights["sentence"] and bound["samples"] == weights["samples"]
            values = np.array(bound["log_p_back"]) + bound["log_p_sample"] - np.array(bound["log_q"])
            assert values.std() > 0.1
            assert values.mean() < weights["estimate"]
            assert np.log(np.exp(values).mean()) == pytest.approx(weights["estimate"], rel=1e-9)

    @pytest.mark.parametrize("back", DIRECTIONS)
    @pytest.mark.parametrize(
        "arch, temperature", [("transformer", 0.5), ("transformer", 1.0), ("transformer", 2.0), ("lstm", 1.0)]
    )
    def test_in_expectation_the_bound_is_below_the_log_marginal_by_a_divergence(self, toys, arch, temperature, back):
        """E_q[log w] = log Z - KL(q || the posterior), Z the marginal over all that may be sampled."""
        made, there = toys(arch), REVERSE[back]
        criterion = learns_by(made, "back_translation_cross_entropy", num_samples=1, sample_temperature=temperature)
        language = DIRECTIONS[there][0]
        y = SENTENCES[language][1]
        bound, divergence, joint = 0.0, 0.0, {}
        with torch.no_grad():
            log_qs = {x: q.item() for x, q in proposal(made, there, y, temperature).items()}
            for x, log_q in log_qs.items():
                is_given(criterion, [[x]], [[log_q]])
                bound += math.exp(log_q) * criterion(made.model, sample_of(made, **{language: [y]}))[2][f"bound_{back}"].item()
                joint[x] = log_p_lm(made, DIRECTIONS[back][0], x) + log_p(made, back, x, y).item()
        log_z = math.log(sum(map(math.exp, joint.values())))
        divergence = sum(math.exp(log_qs[x]) * (log_qs[x] - (joint[x] - log_z)) for x in joint)
        assert divergence > 0.01
        assert bound < log_z
        assert bound == pytest.approx(log_z - divergence, rel=1e-9)

    @pytest.mark.parametrize("back", DIRECTIONS)
    @pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
    def test_loss_and_bound_equal_a_calculation_from_the_samples(self, toys, back, label_smoothing, pads, tmp_path):
        made = toys()
        pads(made.task.cfg, made.data)
        language, there = DIRECTIONS[back][1], REVERSE[back]
        log_q = self.log_q(made, there)
        loss, logged, lines = self.run(
            made, "back_translation_cross_entropy", back, tmp_path, self.DRAWN, log_q, label_smoothing=label_smoothing
        )
        found = tiny.gradients(made.model, loss)
        wanted = 0.0
        vocabulary = len(SYMBOLS[language])
        for y, drawn in zip(SENTENCES[language], self.DRAWN):
            for x in drawn:
                logits = tiny.translation_logits(made.model.models[back], torch.tensor(x))(y.tolist()[:-1])
                smooth = torch.full((len(y), vocabulary), label_smoothing / (vocabulary - 1), dtype=torch.float64)
                smooth[range(len(y)), y] = 1 - label_smoothing
                wanted = wanted - (smooth * logits.log_softmax(-1)).sum() / 3
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-9)
        assert_same_gradients(made, found, tiny.gradients(made.model, wanted))
        assert all(gradient.abs().max() == 0 for name, gradient in found.items() if f".{there}." in name)

        sums = dict.fromkeys(("bound", "bound_kl", "bound_gap", "round_trip_nll"), 0.0)
        for line, y, drawn, qs in zip(lines, SENTENCES[language], self.DRAWN, log_q):
            assert line["direction"] == there and line["log_q"] == pytest.approx(qs, rel=1e-12)
            read = [SYMBOLS[DIRECTIONS[there][1]].encode_line(text, add_if_not_exist=False) for text in line["samples"]]
            assert [tuple(x.tolist()) for x in read] == drawn  # among them <s> and <unk>
            assert line["sentence"] == SYMBOLS[language].string(y)
            assert line["cut"] == [len(x) == LIMIT + 1 for x in drawn]
            assert line["log_p_sample"] == pytest.approx([log_p_lm(made, DIRECTIONS[there][1], x) for x in drawn], rel=1e-9)
            assert line["log_p_back"] == pytest.approx([log_p(made, back, x, y).item() for x in drawn], rel=1e-9)
            assert line["log_p_sentence"] == pytest.approx([log_p_lm(made, language, y)], rel=1e-9)
            kl = np.mean(np.array(qs) - line["log_p_sample"])
            sums["round_trip_nll"] -= np.mean(line["log_p_back"])
            sums["bound_kl"] += kl
            sums["bound"] += np.mean(line["log_p_back"]) - kl
            sums["bound_gap"] += line["log_p_sentence"][0] - (np.mean(line["log_p_back"]) - kl)
        for key, value in sums.items():
            assert float(logged[f"{key}_{back}"]) == pytest.approx(value, rel=1e-9), key
        assert float(logged[f"bounded_{back}"]) == float(logged[f"returns_{back}"]) == 3

    def test_no_bound_is_logged_of_samples_of_unknown_probability(self, toys, tmp_path):
        log_q = [[math.nan] * 3] * 3
        loss, logged, _ = self.run(
            toys(), "back_translation_cross_entropy", "de-en", tmp_path, self.DRAWN, log_q, sample_beam=True
        )
        assert loss.isfinite()
        assert all(math.isfinite(value) for value in logged.values())
        assert logged["bounded_de-en"] == logged["bound_de-en"] == 0 and logged["returns_de-en"] == 3


class TestMinimumRisk:
    """On pairs of up to nine words, whose samples are the reference's words, some left out or in another order."""

    ROWS = [4, 1, 9, 6]
    CHANGES = [slice(None), slice(None, None, -1), slice(1, None), slice(None, None, -1), slice(0, 1), slice(None, 6)]

    @pytest.fixture(scope="class")
    def made(self, data):
        made = tiny.pair(data, "transformer", marginals=None)
        made.model.double()
        return made

    def samples(self, ids, direction, symbols):
        """Six of each sentence, in its batch's order: some twice, some of which are the reference itself."""
        side = ("de-en", "en-de").index(direction)
        found = []
        for number in ids:
            words = tiny.PAIRS[number][1 - side]
            kept = [words[change] or words for change in self.CHANGES]
            kept[0] = [*words, words[0]]
            found.append([tuple(tiny.encode(sentence, symbols).tolist()) for sentence in kept])
        return found

    def given_samples(self, made, criterion, sample, directions=("de-en", "en-de")):
        batches = {"de-en": sample, "en-de": sample.get("reverse")}
        symbols = {"de-en": made.task.tgt_dict, "en-de": made.task.src_dict}
        draws = [self.samples(batches[d]["id"].tolist(), d, symbols[d]) for d in directions]
        criterion.terms[-1].sampler = Drawn(*((sentences, None) for sentences in draws))
        return dict(zip(directions, draws))

    def closed_form(self, made, drawn, sample, sharpness, metric, with_reference):
        """The expected risk of both directions' candidates, differentiable; sum, and by direction."""
        found = {}
        for direction, batch in (("de-en", sample), ("en-de", sample["reverse"])):
            side = ("de-en", "en-de").index(direction)
            dictionaries = [made.task.src_dict, made.task.tgt_dict]
            source_symbols, symbols = dictionaries[side], dictionaries[1 - side]
            found[direction] = 0.0
            for number, samples in zip(batch["id"].tolist(), drawn[direction]):
                source, reference = tiny.PAIRS[number][side], tiny.PAIRS[number][1 - side]
                candidates = set(samples)
                if with_reference:
                    candidates.add(tuple(tiny.encode(reference, symbols).tolist()))
                weights, risks = [], []
                for candidate in candidates:
                    value = log_p(made, direction, tiny.encode(source, source_symbols), candidate)
                    weights.append(sharpness * value)
                    text = " ".join(symbols[symbol] for symbol in candidate[:-1])
                    if metric == "bleu":
                        score = sacrebleu.sentence_bleu(text, [" ".join(reference)], use_effective_order=True).score
                    else:
                        score = sacrebleu.sentence_chrf(text, [" ".join(reference)]).score
                    risks.append(1 - score / 100)
                weights = torch.stack(weights).softmax(0)
                found[direction] = found[direction] + (weights * torch.tensor(risks, dtype=torch.float64)).sum()
        return found

    @pytest.mark.parametrize("metric", ["bleu", "chrf"])
    @pytest.mark.parametrize("with_reference", [False, True])
    @pytest.mark.parametrize("sharpness", [5e-3, 1.0])
    def test_loss_and_gradient_equal_the_closed_form(self, made, metric, with_reference, sharpness, pads):
        """Over the distinct candidates."""
        pads(made.task.cfg, made.data)
        criterion = tiny.learns_by(
            made, "minimum_risk", num_samples=6, sharpness=sharpness, risk=metric, risk_weight=3.0,
            risk_with_reference=with_reference, label_smoothing=0.1,
        )  # fmt: skip
        sample = tiny.batch(made.data, self.ROWS)
        drawn = self.given_samples(made, criterion, sample)
        sizes = {len(set(samples)) for rows in drawn.values() for samples in rows}
        assert max(sizes) < 6 and len(sizes) > 1  # there are duplicates, and sentences with fewer candidates
        loss, _, logged = criterion(made.model, sample)
        found = tiny.gradients(made.model, loss)
        wanted = self.closed_form(made, drawn, sample, sharpness, metric, with_reference)
        assert loss.item() == pytest.approx(3 * sum(wanted.values()).item(), rel=1e-9)
        for direction, value in wanted.items():
            assert logged[f"risk_{direction}"].item() == pytest.approx(value.item(), rel=1e-9)
            assert logged[f"sentences_{direction}"] == len(self.ROWS)
            candidates = sum(len(set(samples)) + with_reference for samples in drawn[direction])
            assert candidates - len(self.ROWS) * with_reference <= logged[f"candidates_{direction}"] <= candidates
        wanted = tiny.gradients(made.model, 3e3 * sum(wanted.values()))
        assert_same_gradients(made, {name: 1e3 * gradient for name, gradient in found.items()}, wanted)

    def test_a_candidate_that_is_the_reference_counts_once(self, made):
        criterion = tiny.learns_by(made, "minimum_risk", num_samples=2, risk_with_reference=True)
        sample = tiny.batch(made.data, [4])
        reference = {"de-en": sample["target"][0].tolist(), "en-de": sample["reverse"]["target"][0].tolist()}
        criterion.terms[-1].sampler = Drawn(*(([[tuple(found), (5, 4, EOS)]], None) for found in reference.values()))
        logged = criterion(made.model, sample)[2]
        assert [logged[f"candidates_{direction}"] for direction in reference] == [2, 2]

    def test_an_unknown_word_matches_no_other(self, made):
        criterion = tiny.learns_by(made, "minimum_risk", num_samples=2, risk="bleu")
        unknown = torch.tensor([made.task.tgt_dict.unk(), 5, 6, 7, EOS])
        risks = criterion.terms[-1]._risks(tiny.DE_EN, [unknown, torch.tensor([4, 5, 6, 7, EOS])], unknown)
        assert risks[0] == pytest.approx(risks[1]) and risks[0] > 0.1

    @pytest.mark.parametrize("multiple", [1, 8])
    def test_of_one_direction_it_is_that_part_of_the_pair_s(self, made, data, multiple, pads):
        """With fairseq's own translation task, where references and candidates go through the model as one batch."""
        settings = dict(num_samples=6, parallel_weight=0.5, label_smoothing=0.1, sharpness=0.7, risk_with_reference=True)
        sample = tiny.batch(made.data, self.ROWS)
        criterion = tiny.learns_by(made, "minimum_risk", **settings)
        self.given_samples(made, criterion, sample)
        of_pair, _, logged_of_pair = criterion(made.model, sample)
        for p in made.model.models["en-de"].parameters():
            p.requires_grad_(False)
        wanted = tiny.gradients(made.model, of_pair)
        for p in made.model.models["en-de"].parameters():
            p.requires_grad_(True)

        task = tasks.setup_task(tiny.translation_config(data).task)
        alone = task.build_criterion(OmegaConf.create({"_name": "minimum_risk", "sentence_avg": False, **settings})).train()
        task.load_dataset("train")
        pads(task.cfg, task.dataset("train"))
        task.dataset("train").pad_to_multiple = multiple  # references may be wider than all candidates
        batch = tiny.batch(task.dataset("train"), self.ROWS)
        assert torch.equal(batch["id"], sample["id"])
        self.given_samples(SimpleNamespace(task=task), alone, batch, ["de-en"])
        loss, sample_size, logged = alone(made.model.models["de-en"], batch)
        found = {f"models.de-en.{name}": g for name, g in tiny.gradients(made.model.models["de-en"], loss).items()}
        assert sample_size == logged["ntokens"] == batch["ntokens"]
        for key in ("risk", "candidates", "sentences", "nll_loss", "ntokens", "samples", "samples_cut", "length_ratio"):
            key = f"{key}_de-en"
            assert float(logged[key]) == pytest.approx(float(logged_of_pair[key]), rel=1e-9), key
        assert_same_gradients(made, found, wanted)

    def test_of_one_direction_in_validation(self, made, data):
        task = tasks.setup_task(tiny.translation_config(data).task)
        alone = task.build_criterion(OmegaConf.create({"_name": "minimum_risk", "sentence_avg": False})).eval()
        task.load_dataset("train")
        logged = alone(made.model.models["de-en"], tiny.batch(task.dataset("train"), self.ROWS))[2]
        criterion = tiny.learns_by(made, "minimum_risk").eval()
        of_pair = criterion(made.model, tiny.batch(made.data, self.ROWS))[2]
        assert logged["nll_loss_de-en"].item() == pytest.approx(of_pair["nll_loss_de-en"].item(), rel=1e-9)
        assert logged["loss"].item() == logged["nll_loss_de-en"].item()
        assert not any(key.startswith(("risk", "samples")) for key in logged)


SETTINGS = {
    "minimum_risk": dict(num_samples=3, sharpness=0.5),
    "dual_learning": dict(num_samples=2, reward_alpha=0.3),
    "marginal_regularized_cross_entropy": dict(num_samples=2, marginal_lambda=0.3),
    "back_translation_cross_entropy": dict(num_samples=2),
}


def given_samples(criterion, made, sample):
    """Some fixed samples, of whatever a method samples for: those of a sentence alike for dual learning.

    Their rewards are then their baselines, and the loss is a function whose gradient is the method's.
    """
    if not criterion.terms[-1].reads_monolingual:
        drawn = [[(4, 5, EOS), (4, EOS), (5, EOS)], [(4, EOS), (4, EOS), (5, 5, EOS)], [(4, EOS), (4, 4, EOS), (0, EOS)]]
        criterion.terms[-1].sampler = Drawn((drawn, None))
    elif criterion.cfg._name == "dual_learning":
        criterion.terms[-1].sampler = Drawn(([[(4, 5, EOS)] * 2, [(5, EOS)] * 2], None))
    else:
        criterion.terms[-1].sampler = Drawn(([[(4, 5, EOS), (5, EOS)], [(4, EOS), (0, 4, EOS)]], [[-2.0, -1.0], [-0.5, -3.0]]))


@pytest.mark.parametrize("method", METHODS)
def test_gradient_of_the_whole_loss_is_that_of_finite_differences(toys, method):
    """Along random directions in the space of both models' parameters, the parallel part included."""
    made = toys()
    criterion = learns_by(made, method, parallel_weight=0.8, **SETTINGS[method])
    weighted(criterion, "0.6")
    sample = sample_of(made, de=SENTENCES["de"][:2], en=SENTENCES["en"][:2])
    given_samples(criterion, made, sample)
    gradients = tiny.gradients(made.model, criterion(made.model, sample)[0])
    parameters = {name: p for name, p in made.model.named_parameters() if name in gradients}
    for direction in DIRECTIONS:
        for seed in range(2):
            generator = torch.Generator().manual_seed(seed)
            along = {
                name: torch.randn(p.shape, generator=generator).double() * (f".{direction}." in name)
                for name, p in parameters.items()
            }
            values = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    for name, p in parameters.items():
                        p.add_(step * along[name])
                    values.append(criterion(made.model, sample)[0].item())
                    for name, p in parameters.items():
                        p.sub_(step * along[name])
            slope = sum((gradients[name] * along[name]).sum().item() for name in parameters)
            assert abs(slope) > 1e-3
            assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_the_weighted_sum_of_its_parts(toys, method):
    """The parallel part, and the method's own: of either language's monolingual sentences, or of the parallel data."""
    made = toys()
    de, en = SENTENCES["de"][:2], SENTENCES["en"][:2]

    def loss(parallel_weight, mono_weight, risk_weight=1.0, **monolingual):
        settings = {**SETTINGS[method], **({"risk_weight": risk_weight} if method == "minimum_risk" else {})}
        criterion = learns_by(made, method, parallel_weight=parallel_weight, **settings)
        weighted(criterion, mono_weight)
        sample = sample_of(made, **monolingual)
        given_samples(criterion, made, sample)
        with torch.no_grad():
            return criterion(made.model, sample)[0].item()

    plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0, label_smoothing=0.1)
    parallel = plain(made.model, sample_of(made))[0].item()
    if method == "minimum_risk":
        own, whole = loss(0.0, "1"), loss(0.8, "0.6", risk_weight=0.6)
    else:
        own, whole = loss(0.0, "1", de=de) + loss(0.0, "1", en=en), loss(0.8, "0.6", de=de, en=en)
        assert loss(0.8, "0.6") == loss(0.8, "0", de=de, en=en) == pytest.approx(0.8 * parallel, rel=1e-9)
    assert whole == pytest.approx(0.8 * parallel + 0.6 * own, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_both_models_run_once_in_training_mode_for_all_parts(toys, method):
    """One call of the pair, as data-parallel training wants; and with dropout, though samples are drawn without."""
    made = toys()
    criterion = learns_by(made, method, parallel_weight=1.0, **SETTINGS[method])
    sample = sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"])
    calls, forward = [], made.model.forward

    def record(inputs):
        calls.append([name for name, module in made.model.named_modules() if not module.training])
        return forward(inputs)

    made.model.forward = record
    try:
        criterion(made.model, sample)
    finally:
        del made.model.forward
    assert calls == [[]]


@pytest.mark.parametrize("method", METHODS)
def test_what_is_constant_gets_no_gradient_and_is_saved_nowhere(toys, method, tmp_path):
    """The language models, and the frozen pair that samples are drawn from."""
    made = toys()
    settings = dict(SETTINGS[method])
    path = tiny.save_checkpoint(tmp_path / "pair.pt", made.cfg, made.model)
    if method in ROUND_TRIPS[1:]:
        settings["proposal_checkpoint"] = path
    names = list(made.model.state_dict())
    criterion = learns_by(made, method, **settings)
    loss = criterion(made.model, sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"]))[0]
    assert tiny.gradients(made.model, loss)
    constants = [made.task.stage.marginals[language].model for language in ("de", "en")]
    constants += getattr(criterion.terms[-1], "_frozen", {}).values()
    assert len(constants) == (4 if "proposal_checkpoint" in settings else 2)
    for model in constants:
        assert not model.training
        assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert list(criterion.parameters()) == list(criterion.buffers()) == list(criterion.children()) == []
    assert criterion.state_dict() == {}
    assert list(made.model.state_dict()) == names
    trained = {id(p) for p in made.model.parameters()}
    assert not any(id(p) in trained for model in constants for p in model.parameters())


@pytest.mark.parametrize("method", ROUND_TRIPS[1:])
def test_a_frozen_proposal_draws_what_the_checkpoint_s_models_would(toys, method, tmp_path):
    """And not what the pair does that has since been trained."""
    made = toys()
    made.model.float()
    path = tiny.save_checkpoint(tmp_path / "pair.pt", made.cfg, made.model)
    made.model.double()
    with torch.no_grad():
        before = {there: proposal(made, there, SENTENCES[lang][0]) for there, (lang, _) in DIRECTIONS.items()}
        kept = {name: value.clone() for name, value in made.model.state_dict().items()}
        tiny.spread(made.model)
        after = {there: proposal(made, there, SENTENCES[lang][0]) for there, (lang, _) in DIRECTIONS.items()}
    found = {}
    try:
        for checkpoint in (path, f"{path}:{path}", None):
            folder = tmp_path / str(len(found))
            criterion = learns_by(made, method, num_samples=5, proposal_checkpoint=checkpoint, save_samples=str(folder))
            sample = sample_of(made, **{lang: SENTENCES[lang][:1] for lang in ("de", "en")})
            torch.manual_seed(3)
            criterion(made.model, sample)
            found[checkpoint] = saved(folder)
    finally:
        made.model.load_state_dict(kept)
    for checkpoint, lines in found.items():
        for line in lines:
            table = (after if checkpoint is None else before)[line["direction"]]
            symbols = SYMBOLS[DIRECTIONS[line["direction"]][1]]
            by_text = {" ".join(symbols[i] for i in w[:-1]): log_q.item() for w, log_q in table.items()}
            assert line["log_q"] == pytest.approx([by_text[text] for text in line["samples"]], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_workers_draw_samples_of_their_own_and_go_on_with_the_same_dropout(toys, method, monkeypatch, tmp_path):
    made = toys()
    drawn, after = {}, {}
    for rank in range(4):
        monkeypatch.setattr(sampled, "data_parallel_workers", lambda rank=rank: (4, rank))
        criterion = learns_by(made, method, **{**SETTINGS[method], "num_samples": 8}, save_samples=str(tmp_path / method))
        sample = sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"])
        torch.manual_seed(3)
        criterion(made.model, sample)
        after[rank] = torch.rand(3).tolist()
        lines = (tmp_path / method / f"samples.{rank}.jsonl").read_text().splitlines()
        drawn[rank] = str([json.loads(line)["samples"] for line in lines])
    assert len(set(drawn.values())) == 4
    assert after[0] == after[1] == after[2] == after[3]


@pytest.mark.parametrize("method", METHODS)
def test_dropout_goes_on_alike_however_much_is_sampled(toys, method):
    made, found = toys(), []
    for count in (2, 9):
        criterion = learns_by(made, method, **{**SETTINGS[method], "num_samples": count})
        torch.manual_seed(3)
        criterion(made.model, sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"]))
        found.append(torch.rand(3).tolist())
    assert found[0] == found[1]


class TestLogging:
    @pytest.mark.parametrize("method", METHODS)
    def test_the_same_keys_in_the_same_order_with_and_without_a_monolingual_part(self, toys, method):
        """fairseq adds up the numbers of all workers by the keys of the first, or by their order; tensors apart."""
        made = toys()
        criterion = learns_by(made, method, **SETTINGS[method])
        without = sample_of(made)
        del without["monolingual"]
        de, en = SENTENCES["de"][:2], SENTENCES["en"][:1]
        cases = [without, sample_of(made), sample_of(made, de=de), sample_of(made, en=en), sample_of(made, de=de, en=en)]
        keys, trips = set(), []
        for sample in cases:
            logged = criterion(made.model, sample)[2]
            keys.add(tuple((key, torch.is_tensor(value)) for key, value in logged.items()))
            trips.append([logged.get(f"round_trips_{direction}") for direction in DIRECTIONS])
            assert all(math.isfinite(value) for value in logged.values())
        weighted(criterion, "0:0,10:1")
        logged = criterion(made.model, cases[-1])[2]
        keys.add(tuple((key, torch.is_tensor(value)) for key, value in logged.items()))
        assert len(keys) == 1
        for key, by in criterion.terms[-1].averages.items():
            assert all(f"{name}_{direction}" in logged for name in (key, by) for direction in DIRECTIONS)
        if criterion.terms[-1].reads_monolingual:
            assert trips == [[0, 0], [0, 0], [2, 0], [0, 1], [2, 1]]
            assert logged["round_trips_de-en"] == logged["round_trips_en-de"] == 0

    @pytest.mark.parametrize("method", METHODS)
    def test_validation_has_no_samples(self, toys, method):
        made = toys()
        criterion = learns_by(made, method, **SETTINGS[method])
        criterion.terms[-1].sampler = None  # which would fail
        sample = sample_of(made, de=SENTENCES["de"])
        plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0).eval()
        found = criterion.eval()(made.model, sample)[2]
        wanted = plain(made.model, sample)[2]
        assert tuple(found) == tuple(wanted)
        assert float(found["nll_loss_de-en"]) == float(wanted["nll_loss_de-en"])

    @pytest.mark.parametrize("weight, counts", [(0.0, 1.0), (0.5, 0.5)])
    @pytest.mark.parametrize("method", METHODS)
    def test_validation_s_loss_has_the_cross_entropy(self, toys, method, weight, counts):
        """Also where training has none: the best checkpoint would be chosen by a constant."""
        made = toys()
        plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0, label_smoothing=0.1).eval()
        wanted = counts * plain(made.model, sample_of(made))[0].item()
        criterion = learns_by(made, method, **SETTINGS[method], parallel_weight=weight).eval()
        loss, _, logged = criterion(made.model, sample_of(made))
        assert loss.item() == logged["loss"].item() == pytest.approx(wanted, rel=1e-12)

    def test_averages_are_by_sentence_or_sample(self, toys):
        made = toys()
        criterion = learns_by(made, "dual_learning", num_samples=2, reward_alpha=0.3)
        weighted(criterion, "0.25")
        is_given(criterion, [[(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)]])
        de = SENTENCES["de"][:2]
        first = criterion(made.model, sample_of(made, de=de))[2]
        is_given(criterion, [[(4, 5, EOS), (4, 6, EOS)]])
        second = criterion(made.model, sample_of(made, de=de[1:]))[2]
        with metrics.aggregate(new_root=True) as meters:
            type(criterion).reduce_metrics([first, second, criterion(made.model, sample_of(made))[2]])
        found = meters.get_smoothed_values()
        rewards, naturals, reconstructions = [], [], []
        for z, drawn in zip((de[0], de[1], de[1]), ([(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)], [(4, 5, EOS), (4, 6, EOS)])):
            for w in drawn:
                naturals.append(log_p_lm(made, "en", w))
                reconstructions.append(log_p(made, "en-de", w, z).item())
                rewards.append(0.3 * naturals[-1] + 0.7 * reconstructions[-1])
        wanted = {
            "samples_cut": 3 / 6, "length_ratio": 9 / (2 * (3 + 2 + 2)), "mono_weight": 0.25, "reward": np.mean(rewards),
            "reward_lm": np.mean(naturals), "reward_reconstruction": np.mean(reconstructions),
        }  # fmt: skip
        for key, value in wanted.items():
            assert found[f"{key}_de-en"] == pytest.approx(value, abs=6e-4), key
            assert f"{key}_en-de" not in found  # there was none: which is not 0

    def test_of_each_method(self):
        assert set(METHODS) < set(criterions.METHODS)
        for method in METHODS:
            assert criterions.METHODS[method].reads_monolingual == (method in ROUND_TRIPS)


class TestWeightOfTheMonolingualPart:
    @pytest.mark.parametrize("text, weights", [
        ("1", {0: 1, 5: 1, 10**6: 1}),
        ("0", {0: 0, 5: 0}),
        ("0.25", {0: 0.25, 1000: 0.25}),
        ("0:0,1000:0.5,5000:1", {0: 0, 500: 0.25, 1000: 0.5, 3000: 0.75, 5000: 1, 9999: 1}),
        ("0:1,100:1,200:0", {0: 1, 100: 1, 150: 0.5, 200: 0, 201: 0}),
    ])  # fmt: skip
    def test_is_piecewise_linear_in_the_updates(self, text, weights):
        schedule = weight_schedule(text)
        assert {update: schedule(update) for update in weights} == pytest.approx(weights)

    @pytest.mark.parametrize("text", [
        "", "much", "-1", "nan", "inf", "0:0,100", "0:0,100:-1", "0:0,100:nan", "100:0,200:1", "0:0,200:1,100:2", "0:1:2,3:4",
        "0.5:1,3:1", "0:0,0:1",
    ])  # fmt: skip
    def test_bad_ones_are_refused(self, text):
        with pytest.raises(BadInput, match="--mono-weight .*expected a number of 0 or more, or one for each of some updates"):
            schedule = weight_schedule(text)
            schedule(0)  # here at the latest, and not with another exception

    @pytest.mark.parametrize("method", ROUND_TRIPS)
    def test_is_taken_at_the_update_and_logged(self, toys, method):
        made = toys()
        criterion = learns_by(made, method, **SETTINGS[method])
        weighted(criterion, "0:0,10:1")
        sample = sample_of(made, de=SENTENCES["de"][:2], en=SENTENCES["en"][:2])
        given_samples(criterion, made, sample)
        losses = {}
        for update in (0, 4, 10, 15):
            criterion.update = update
            loss, _, logged = criterion(made.model, sample)
            losses[update] = loss.item()
            if update:
                assert logged["mono_weight_de-en"] / logged["round_trips_de-en"] == pytest.approx(min(update / 10, 1))
        assert losses[0] == 0 and losses[10] == losses[15] != 0
        assert losses[4] == pytest.approx(0.4 * losses[10], rel=1e-9)


@pytest.mark.parametrize("method, settings, message", [
    ("dual_learning", dict(reward_alpha=-0.1), "--reward-alpha -0.1"),
    ("dual_learning", dict(reward_alpha=1.1), "--reward-alpha 1.1"),
    ("dual_learning", dict(reward_alpha=math.nan), "--reward-alpha nan"),
    ("dual_learning", dict(num_samples=1), "--num-samples 1: --reward-baseline leave-one-out requires 2 or more"),
    ("marginal_regularized_cross_entropy", dict(marginal_lambda=-1.0), "--marginal-lambda -1.0"),
    ("marginal_regularized_cross_entropy", dict(marginal_lambda=math.nan), "--marginal-lambda nan"),
    ("marginal_regularized_cross_entropy", dict(marginal_lambda=math.inf), "--marginal-lambda inf"),
    ("marginal_regularized_cross_entropy", dict(proposal="lm", proposal_checkpoint="x.pt"), "--proposal-checkpoint x.pt: has no"),
    ("back_translation_cross_entropy", dict(parallel_weight=-1.0), "--parallel-weight -1.0"),
    ("minimum_risk", dict(sharpness=0.0), "--sharpness 0.0"),
    ("minimum_risk", dict(sharpness=math.nan), "--sharpness nan"),
    ("minimum_risk", dict(sharpness=math.inf), "--sharpness inf"),
    ("minimum_risk", dict(risk_weight=0.0), "--risk-weight 0.0"),
    ("minimum_risk", dict(num_samples=0), "--num-samples 0"),
])  # fmt: skip
def test_refused_settings_are_named(toys, method, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        learns_by(toys(), method, **settings)


class TestWhatAMethodNeeds:
    @pytest.fixture
    def bare(self, data):
        return tiny.pair(data, "transformer")

    @pytest.mark.parametrize("method", ROUND_TRIPS)
    def test_monolingual_data(self, bare, method):
        with pytest.raises(BadInput, match=f"--criterion {method}: learns from monolingual text; give --source-mono"):
            tiny.learns_by(bare, method)

    @pytest.mark.parametrize("method", ["dual_learning", "marginal_regularized_cross_entropy"])
    def test_language_models(self, bare, method):
        bare.task.cfg.source_mono = "somewhere"
        with pytest.raises(BadInput, match=f"--criterion {method}: .* requires language models; give --source-lm and --target-lm"):
            tiny.learns_by(bare, method)

    @pytest.mark.parametrize("method, settings", [
        ("dual_learning", dict(reward_alpha=0.0)), ("back_translation_cross_entropy", {}), ("minimum_risk", {}),
    ])  # fmt: skip
    def test_no_language_models_where_none_is_asked(self, data, tmp_path, method, settings):
        symbols = tiny.dictionary(tiny.WORDS["de"])
        mono = tiny.write_monolingual(tmp_path / "mono", [["w1", "w2"], ["w3"]], symbols)
        made = tiny.pair(data, "transformer", source_mono=mono)
        criterion = tiny.learns_by(made, method, **settings)
        made.data.monolingual = {}
        sentences = [tiny.encode(words, symbols) for words in (["w1", "w2"], ["w3"])]
        sample = {**tiny.batch(made.data), "monolingual": {"de": tiny.sources(sentences, symbols)}}
        loss, _, logged = criterion(made.model, sample)
        assert loss.isfinite() and logged["samples_de-en"] > 0
        assert tiny.gradients(made.model, loss)
