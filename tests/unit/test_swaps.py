"""What models find likely tells what they are of."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch
from fairseq import tasks

from fairseq_dsl.errors import BadInput
from fairseq_dsl.swaps import (
    Likelihood,
    TranslationModels,
    refuse_other_dictionary,
    refuse_swapped,
    same_parameters,
)

SYMBOLS = tiny.dictionary(["a", "b", "c"])  # 7 symbols with the special ones
UNIFORM = -math.log(7)


def rate(nats, repeated=0):
    return Likelihood(10 * nats, 10, repeated)


class TestLikelihood:
    def test_is_of_words_alone(self):
        """a b </s> and c </s> <pad>."""
        target = torch.tensor([[4, 5, 2], [6, 2, 1]])
        previous = torch.tensor([[2, 4, 5], [2, 6, 1]])
        lprobs = torch.randn(2, 3, len(SYMBOLS)).log_softmax(-1)
        lprobs[0, 1] = torch.tensor([0.01, 0.01, 0.01, 0.01, 0.5, 0.26, 0.2]).log()  # rather a again than b
        found = Likelihood.of(lprobs, target, previous, SYMBOLS)
        wanted = lprobs[0, 0, 4] + lprobs[0, 1, 5] + lprobs[1, 0, 6]
        assert found.log_prob == pytest.approx(wanted.item())
        assert (found.words, found.repeated) == (3, 1)

    def test_adds_up(self):
        found = sum([Likelihood(-2.0, 3, 1), Likelihood(-4.0, 1, 0)], Likelihood())
        assert (found, found.rate) == (Likelihood(-6.0, 4, 1), -1.5)


class TestOtherDictionary:
    @pytest.mark.parametrize("found", [rate(-0.5), rate(UNIFORM - 0.65), rate(UNIFORM - 5, repeated=9), Likelihood()])
    def test_models_that_learnt_little_or_nothing_pass(self, found):
        refuse_other_dictionary("--source-lm lm.pt", "de", found, SYMBOLS)

    @pytest.mark.parametrize("found", [rate(UNIFORM - 0.8), rate(-9, repeated=3)])
    def test_models_worse_than_none_are_refused(self, found):
        message = f"--source-lm lm.pt: looks like .*another dictionary.* is {found.rate:.1f} nats, .*7 symbols -1.9"
        with pytest.raises(BadInput, match=message):
            refuse_other_dictionary("--source-lm lm.pt", "de", found, SYMBOLS)

    @pytest.mark.parametrize(
        "flags",
        [
            "--share-all-embeddings",
            "--share-all-embeddings --encoder-normalize-before --decoder-normalize-before --encoder-layers 2",
            "--encoder-normalize-before --decoder-normalize-before",
        ],
        ids=["shared embeddings", "shared and normalized", "normalized"],
    )
    def test_untrained_models_pass(self, joined, flags):
        """Those of shared, normalized embeddings repeat the symbol before, and find all others impossible."""
        arch = ["--arch", "transformer", *tiny.FLAGS["transformer"].replace("dim 8", "dim 64").split(), *flags.split()]
        cfg = tiny.configure(
            joined, "--task", "translation", "-s", "de", "-t", "en", "--criterion", "cross_entropy", *arch
        )
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model).eval()
        task.load_dataset("train")
        batch = tiny.batch(task.dataset("train"))
        with torch.no_grad():
            found = TranslationModels._likelihood(model, batch, task.target_dictionary)
        refuse_other_dictionary("warm start", "en", found, task.target_dictionary)


class TestSwapped:
    def check(self, *rates):
        refuse_swapped(("A", "B"), "language model", ("de", "en"), [[rate(nats) for nats in row] for row in rates])

    @pytest.mark.parametrize(
        "rates",
        [
            [(-1, -4), (-4, -1)],
            [(-2, -2.05), (-2, -2.05)],  # untrained
            [(-4, -3), (-6, -2)],  # en is the easier text for both, and each is better at its own
            [(-2, -2), (-9, -2)],  # A knows both languages
        ],
    )
    def test_models_as_they_should_be_pass(self, rates):
        self.check(*rates)

    @pytest.mark.parametrize("rates", [[(-4, -1), (-1, -4)], [(-4, -1), (-3, -3.5)], [(-2, -1), (-2, -2)]])
    def test_models_of_each_others_language_are_refused(self, rates):
        with pytest.raises(
            BadInput, match="A and B look swapped: .*expected the language model of de, then that of en"
        ):
            self.check(*rates)

    def test_two_models_of_one_language_are_refused(self):
        with pytest.raises(
            BadInput, match="B: looks like a language model of de: log P of a word is -1.2 nats there, and -5.0 for en"
        ):
            self.check((-1, -5), (-1.2, -5.0))


def test_the_same_parameters_are_told():
    first = {"w": torch.zeros(2)}
    assert same_parameters(first, {"w": torch.zeros(2)})
    for other in ({"w": torch.ones(2)}, {"v": torch.zeros(2)}, {}):
        assert not same_parameters(first, other)


class TestTranslationModels:
    def start(self, name, task="translation", source=None, target=None, dictionaries=None, w=0.0):
        return SimpleNamespace(
            name=name, task_name=task, task={"source_lang": source, "target_lang": target},
            dictionaries=dictionaries or {}, parameters={"w": torch.tensor(w)},
        )  # fmt: skip

    def check(self, first, second, likely):
        """Of models by direction that find a batch of either direction so likely."""
        dictionaries = {"de": SYMBOLS, "en": SYMBOLS}
        checked = TranslationModels({tiny.DE_EN: first, tiny.EN_DE: second}, dictionaries)
        parameters = [torch.zeros(1)]
        models = {
            key: SimpleNamespace(key=str(key), parameters=lambda: iter(parameters)) for key in (tiny.DE_EN, tiny.EN_DE)
        }
        checked._likelihood = lambda model, batch, _: rate(likely[model.key][batch])
        checked.check(models, lambda pairs, device: [{tiny.DE_EN: "de-en", tiny.EN_DE: "en-de"}])

    RIGHT = {"de-en": {"de-en": -1, "en-de": -4}, "en-de": {"de-en": -4, "en-de": -1}}
    SWAPPED = {"de-en": RIGHT["en-de"], "en-de": RIGHT["de-en"]}

    def test_that_do_not_tell_their_direction_are_tried(self):
        starts = self.start("--primal-checkpoint A", w=1.0), self.start("--dual-checkpoint B")
        self.check(*starts, self.RIGHT)
        with pytest.raises(BadInput, match="--primal-checkpoint A and --dual-checkpoint B look swapped"):
            self.check(*starts, self.SWAPPED)

    def test_that_tell_their_direction_are_tried_for_their_dictionary_alone(self):
        named = [self.start("A", "translation", "de", "en", w=1.0), self.start("B", "translation", "en", "de")]
        with pytest.raises(BadInput, match="A: looks like a model of another dictionary"):
            self.check(*named, self.SWAPPED)
        carrying = [self.start("A", "translation", "de", "en", {"de": SYMBOLS}, 1.0), None]
        self.check(*carrying, self.SWAPPED)

    def test_the_same_for_both_directions_is_refused(self):
        with pytest.raises(
            BadInput, match="A and B: are the same model; expected the translation model of de-en and that of en-de"
        ):
            self.check(self.start("A"), self.start("B"), self.RIGHT)

    def test_a_denoising_model_may_start_both(self):
        self.check(self.start("A", "multilingual_denoising"), self.start("B", "multilingual_denoising"), self.SWAPPED)
