"""Sampling, against toy languages whose every sentence, and its probability, is written down one by one."""

import contextlib
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import tiny
import torch
import toys
from toys import EOS, LIMIT, SYMBOLS

from fairseq_dsl import sampling
from fairseq_dsl.errors import BadInput
from fairseq_dsl.modes import in_evaluation_mode
from fairseq_dsl.sampling import Sampler, SamplingConfig, random_numbers_of_worker

SOURCES = [tiny.encode(words, SYMBOLS["de"]) for words in (["a", "a", "b"], ["b", "b"], ["a"])]
EN, PAD = SYMBOLS["en"], SYMBOLS["en"].pad()
TEMPERATURES = (0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return toys.write_data(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def made_models(folder, tmp_path_factory):
    made = {arch: toys.make_pair(folder, arch).model.models["de-en"] for arch in ("transformer", "lstm")}
    for arch in ("transformer_lm", "lstm_lm"):
        made[arch] = tiny.language_model(tmp_path_factory.mktemp(arch), EN, arch, sentences=[["u"]])[1]
    for model in made.values():
        tiny.drop_out(model, 0.5)
    return made


@pytest.fixture
def models(made_models):
    """Models that draw English sentences: translation models and language models, by architecture.

    In training mode, with so much dropout that samples drawn with it would be of another distribution.
    """
    for model in made_models.values():
        model.train()
    return made_models


def sampler(**settings):
    return Sampler(SamplingConfig(**{"sample_max_len_a": 0.0, "sample_max_len_b": LIMIT, **settings}))


def draw(model, sources=SOURCES, max_len=100, **settings):
    return sampler(**settings).draw(model, EN, tiny.sources(sources, SYMBOLS["de"]), max_len)


@torch.no_grad()
def probabilities(model, source, temperature=1.0, limit=LIMIT):
    """The log-probability of every sentence that may be drawn for this source."""
    translates = hasattr(model, "encoder")
    model.eval()
    logits = toys.translation_logits(model, source) if translates else toys.language_model_logits(model, EOS)
    found = toys.all_sentences(logits, EN, limit, temperature)
    model.train()
    return {sentence: log_p.item() for sentence, log_p in found.items()}


@contextlib.contextmanager
def end_made_likelier(model, nats):
    """The end-of-sentence symbol's logit, raised everywhere."""

    def raise_end(module, inputs, output):
        return output + nats * torch.nn.functional.one_hot(torch.tensor(EOS), len(EN))

    hook = model.decoder.output_projection.register_forward_hook(raise_end)
    try:
        yield
    finally:
        hook.remove()


def unexpected(drawn, log_probabilities):
    """The sentences that are drawn oftener or less often than is likely: by more than 5 standard deviations."""
    found = Counter(tuple(sentence.tolist()) for sentence in drawn)
    likely = {}
    for sentence, log_p in log_probabilities.items():
        mean = len(drawn) * math.exp(log_p)
        likely[sentence] = abs(found[sentence] - mean) <= 5 * math.sqrt(mean * (1 - math.exp(log_p))) + 1
    return [sentence for sentence in {**found, **likely} if not likely.get(sentence)]


ARCHITECTURES = ("transformer", "lstm", "transformer_lm", "lstm_lm")


class TestDistribution:
    @pytest.mark.parametrize("temperature", TEMPERATURES)
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    def test_all_sentences_together_have_probability_1(self, models, arch, temperature):
        """Of the enumeration that the other tests measure against."""
        words = len(EN) - 2  # neither padding nor the end
        for limit in (1, 2, 3):
            found = probabilities(models[arch], SOURCES[0], temperature, limit)
            assert len(found) == sum(words**length for length in range(1, limit + 1))
            assert math.fsum(map(math.exp, found.values())) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("count", [1, 5, 40])  # the last is more than the vocabulary, fairseq's largest beam
    @pytest.mark.parametrize("temperature", TEMPERATURES)
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    def test_log_q_is_the_log_probability_of_each_sample(self, models, arch, temperature, count, seed):
        torch.manual_seed(seed)
        samples = draw(models[arch], num_samples=count, sample_temperature=temperature)
        assert len(samples.sentences) == len(SOURCES) * count
        assert samples.log_q.shape == samples.cut.shape == (len(SOURCES), count)
        assert samples.log_q.dtype == torch.float64
        for row, source in enumerate(SOURCES):
            expected = probabilities(models[arch], source, temperature)
            drawn = [tuple(sentence.tolist()) for sentence in samples.sentences[row * count : (row + 1) * count]]
            assert samples.log_q[row].tolist() == pytest.approx([expected[sentence] for sentence in drawn], abs=2e-5)

    @pytest.mark.parametrize("rows, count", [(400, 5), (1, 2000)])
    @pytest.mark.parametrize("temperature", TEMPERATURES)
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    def test_sentences_are_drawn_as_often_as_they_are_probable(self, models, arch, temperature, rows, count):
        source = SOURCES[1]
        samples = draw(models[arch], [source] * rows, num_samples=count, sample_temperature=temperature)
        assert unexpected(samples.sentences, probabilities(models[arch], source, temperature)) == []

    @pytest.mark.parametrize("count", [5, 2000])
    @pytest.mark.parametrize("arch", ["transformer", "lstm"])
    def test_the_samples_of_a_sentence_are_its_own(self, models, arch, count):
        """Drawn together, each sentence has samples of its own distribution in its own rows, and of no other's."""
        model, repeated = models[arch], 2000 // count
        sources = [source for source in SOURCES for _ in range(repeated)]
        drawn = draw(model, sources, num_samples=count).sentences
        expected = [probabilities(model, source) for source in SOURCES]
        for row in range(3):
            own = drawn[2000 * row : 2000 * (row + 1)]
            assert [unexpected(own, expected[other]) == [] for other in range(3)] == [
                other == row for other in range(3)
            ]


class TestLengths:
    def test_cut_are_those_that_the_limit_ended(self, models):
        samples = draw(models["transformer"], num_samples=300)
        lengths = torch.tensor([len(sentence) for sentence in samples.sentences]).view(3, 300)
        assert lengths.min() == 2 and lengths.max() == LIMIT + 1
        assert torch.equal(samples.cut, lengths == LIMIT + 1)

    @pytest.mark.parametrize(
        "a, b, max_len, words",
        [
            (0.0, 3, 100, 3),
            (0.5, 1, 100, 3),  # of 4 tokens of the longest source, its end counted
            (1.5, 10, 100, 16),
            (1.5, 10, 8, 7),  # what all models take, with the end
            (0.0, 3, 2, 1),
        ],
    )
    def test_the_limit_is_the_flags_or_what_the_models_take(self, models, a, b, max_len, words):
        with end_made_likelier(models["transformer"], -1000.0):
            samples = draw(models["transformer"], max_len=max_len, sample_max_len_a=a, sample_max_len_b=b)
        assert {len(sentence) - 1 for sentence in samples.sentences} == {words}
        assert samples.cut.all()
        assert (samples.log_q.isfinite() & (samples.log_q < 0)).all()  # the end at the limit is certain

    def test_models_that_take_no_word_are_refused(self, models):
        with pytest.raises(BadInput, match="allow sentences of 1 tokens"):
            draw(models["transformer"], max_len=1)


TRUNCATIONS = {
    "--sample-beam": dict(sample_beam=True),
    "--sample-topk": dict(sample_topk=2),
    "--sample-topp": dict(sample_topp=0.6),
}


class TestTruncation:
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    @pytest.mark.parametrize("settings", TRUNCATIONS.values(), ids=TRUNCATIONS)
    def test_samples_are_sentences_whose_probability_is_not_known(self, models, arch, settings):
        count = 4
        samples = draw(models[arch], num_samples=count, **settings)
        assert len(samples.sentences) == len(SOURCES) * count
        assert samples.log_q.shape == (len(SOURCES), count) and samples.log_q.isnan().all()
        for row, source in enumerate(SOURCES):
            possible = probabilities(models[arch], source)
            assert all(tuple(s.tolist()) in possible for s in samples.sentences[row * count : (row + 1) * count])
        assert samples.cut.view(-1).tolist() == [len(sentence) == LIMIT + 1 for sentence in samples.sentences]

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    @pytest.mark.parametrize("settings", [dict(sample_topk=2), dict(sample_topp=0.6)], ids=["topk", "topp"])
    def test_symbols_are_drawn_among_the_likeliest(self, models, settings, temperature):
        """Each symbol of each sample, and each of the likeliest is drawn."""
        model, source = models["transformer"], SOURCES[0]
        samples = draw(model, [source], num_samples=500, sample_temperature=temperature, **settings)
        with in_evaluation_mode(model), torch.no_grad():
            logits = toys.translation_logits(model, source)
            for words in {tuple(sentence[:n].tolist()) for sentence in samples.sentences for n in range(LIMIT)}:
                if EOS in words:
                    continue
                probs = (logits(words)[-1] / temperature).softmax(-1)
                probs[PAD] = 0
                if not words:
                    probs[EOS] = 0
                ranked = probs.argsort(descending=True).tolist()
                most = least = 2
                if "sample_topp" in settings:  # of all symbols, or of those that may be drawn
                    most, least = (
                        1 + sum(probs[ranked[:n]].sum().item() < 0.6 * whole for n in range(1, len(ranked)))
                        for whole in (1, probs.sum().item())
                    )
                size = len(words)
                drawn = {
                    s[size].item() for s in samples.sentences if len(s) > size and tuple(s[:size].tolist()) == words
                }
                assert drawn <= set(ranked[:most])
                if not words:
                    assert drawn >= set(ranked[:least]) and len(drawn) < len(EN) - 2

    def test_a_beam_has_different_sentences_the_best_first(self, models):
        model = models["lstm"]
        samples = draw(model, num_samples=5, sample_beam=True)
        for row, source in enumerate(SOURCES):
            found = [tuple(sentence.tolist()) for sentence in samples.sentences[row * 5 : (row + 1) * 5]]
            assert len(set(found)) == 5
            model.eval()
            logits = toys.translation_logits(model, source)
            normalized = [toys.log_prob(logits, sentence).item() / len(sentence) for sentence in found]
            model.train()
            assert normalized == sorted(normalized, reverse=True)

    def test_a_beam_wider_than_the_vocabulary_is_refused(self, models):
        with pytest.raises(BadInput, match=f"--num-samples 7 --sample-beam: expected fewer than the {len(EN)} symbols"):
            draw(models["lstm"], num_samples=len(EN), sample_beam=True)

    def test_a_beam_of_more_sentences_than_there_are_is_refused(self, models):
        words = len(EN) - 2
        with pytest.raises(BadInput, match=f"--num-samples {words + 1} --sample-beam: there are not so many"):
            draw(models["lstm"], num_samples=words + 1, sample_beam=True, sample_max_len_b=1)

    @pytest.mark.parametrize("settings", [dict(sample_topk=2), dict(sample_topp=0.9)], ids=["topk", "topp"])
    def test_a_model_sure_of_what_it_may_not_draw_is_sampled_all_the_same(self, models, settings):
        """Sure of the end before the first word, or that no end is near at the limit: exp(-1000) is 0."""
        for nats, words in ((1000.0, 1), (-1000.0, LIMIT)):
            with end_made_likelier(models["transformer"], nats):
                samples = draw(models["transformer"], **settings)
            assert {len(sentence) - 1 for sentence in samples.sentences} == {words}


class TestModelIsLeftAsItWas:
    @pytest.mark.parametrize("settings", [{}, *TRUNCATIONS.values()], ids=["all", *TRUNCATIONS])
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("arch", ["transformer", "lstm"])
    def test_by_draw(self, models, arch, training, settings):
        models[arch].train(training)
        draw(models[arch], **settings)
        assert all(module.training == training for module in models[arch].modules())

    def test_by_draw_that_fails(self, models, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("out of memory")

        monkeypatch.setattr(sampling.SequenceGenerator, "generate", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            draw(models["transformer"])
        assert all(module.training for module in models["transformer"].modules())

    def test_no_gradient_is_kept(self, models):
        assert not draw(models["transformer"]).log_q.requires_grad


class TestRandomNumbersOfAWorker:
    def numbers(self, rank, seed=3):
        torch.manual_seed(seed)
        with random_numbers_of_worker(rank, torch.device("cpu")):
            return torch.rand(5).tolist()

    def test_each_worker_has_its_own_though_all_have_one_seed(self):
        assert len({tuple(self.numbers(rank)) for rank in range(8)}) == 8

    def test_they_follow_from_seed_and_worker(self):
        assert self.numbers(1) == self.numbers(1)
        assert self.numbers(1) != self.numbers(1, seed=4)

    def test_those_of_dropout_go_on_as_if_one_number_had_been_drawn(self):
        for rank, count in ((0, 0), (0, 5), (3, 1000)):
            torch.manual_seed(3)
            with random_numbers_of_worker(rank, torch.device("cpu")):
                torch.rand(count)
            found = torch.rand(5).tolist()
            torch.manual_seed(3)
            torch.randint(2**31, ())
            assert found == torch.rand(5).tolist()

    def test_also_after_an_exception(self):
        torch.manual_seed(3)
        with pytest.raises(RuntimeError), random_numbers_of_worker(1, torch.device("cpu")):
            torch.rand(5)
            raise RuntimeError
        found = torch.rand(5).tolist()
        self.numbers(1)
        assert found == torch.rand(5).tolist()

    def test_updates_have_different_ones(self):
        torch.manual_seed(3)
        found = []
        for _ in range(3):
            with random_numbers_of_worker(0, torch.device("cpu")):
                found.append(torch.rand(5).tolist())
        assert found[0] != found[1] != found[2] != found[0]


@pytest.mark.parametrize("arch", ["transformer", "lstm"])
def test_log_prob_is_that_of_each_sentence_in_its_order_without_dropout(models, arch):
    model = models[arch]
    targets = [tiny.encode(words, EN) for words in (["u"], ["w", "v", "v", "u"], ["v", "u"])]
    sources = [SOURCES[n] for n in (2, 0, 1)]  # which the batch sorts by length
    cfg = SimpleNamespace(left_pad_source=True, left_pad_target=False)
    batch = sampling.pair_up(sources, targets, cfg, EN, torch.device("cpu"))
    assert batch["id"].tolist() == [1, 2, 0]
    found = sampling.log_prob(model, batch, PAD)
    assert all(module.training for module in model.modules())
    model.eval()
    expected = [toys.log_prob(toys.translation_logits(model, s), t).item() for s, t in zip(sources, targets)]
    model.train()
    assert found.dtype == torch.float64 and not found.requires_grad
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_sentences_come_back_from_a_batch_without_padding():
    tokens = tiny.sources(SOURCES, SYMBOLS["de"])["net_input"]["src_tokens"]
    assert (tokens == PAD).any()
    assert [sentence.tolist() for sentence in sampling.unpadded(tokens, PAD)] == [s.tolist() for s in SOURCES]


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(num_samples=0), "--num-samples 0: expected 1 or more"),
        (dict(sample_temperature=0.0), "--sample-temperature 0.0: expected a number above 0"),
        (dict(sample_temperature=-1.0), "--sample-temperature -1.0"),
        (dict(sample_temperature=math.nan), "--sample-temperature nan"),
        (dict(sample_topk=-1), "--sample-topk -1"),
        (dict(sample_topp=1.1), "--sample-topp 1.1"),
        (dict(sample_topp=-0.1), "--sample-topp -0.1"),
        (dict(sample_topp=math.nan), "--sample-topp nan"),
        (dict(sample_max_len_a=-1.0), "--sample-max-len-a -1"),
        (dict(sample_max_len_a=math.nan), "--sample-max-len-a nan"),
        (dict(sample_max_len_a=math.inf), "--sample-max-len-a inf"),
        (dict(sample_max_len_b=0), "--sample-max-len-b 0"),
        (dict(sample_topk=2, sample_topp=0.5), "--sample-topk and --sample-topp: expected one of them"),
        (dict(sample_beam=True, sample_topk=2), "--sample-beam and --sample-topk: expected one of them"),
    ],
)
def test_refused_settings_are_named(settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        sampler(**settings)


def test_importance_sampling_takes_no_truncated_samples():
    for flag, settings in TRUNCATIONS.items():
        with pytest.raises(BadInput, match=f"^{flag}: because; leave the flag out"):
            sampler(**settings).require_ancestral("because")
    sampler(sample_temperature=0.5).require_ancestral("because")
