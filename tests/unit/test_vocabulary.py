"""Dictionaries are carried by checkpoints, and compared wherever one is read."""

import copy
import os
import random
from types import SimpleNamespace

import pytest
import tiny
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.models.ema.ema import EMA
from omegaconf import OmegaConf, open_dict

from fairseq_dsl.checkpoints import Checkpoint, save_plain
from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import decode, dictionary_of, encode


def shuffled(symbols, seed=1):
    """The same words in another order."""
    words = list(symbols.symbols[4:])
    random.Random(seed).shuffle(words)
    return dictionary_of([*symbols.symbols[:4], *words])


OWN = {language: tiny.dictionary(words) for language, words in tiny.WORDS.items()}
OTHER = {language: shuffled(symbols) for language, symbols in OWN.items()}


@pytest.fixture(scope="module")
def other_data(tmp_path_factory):
    """The same text, binarized with dictionaries of the same sizes in another order."""
    folder = tmp_path_factory.mktemp("other")
    tiny.write_data(folder, tiny.PAIRS, OTHER)
    return str(folder)


@pytest.fixture(scope="module")
def dual(data, tmp_path_factory):
    """A dual checkpoint, and its model."""
    cfg = tiny.pair_config(data)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    path = tmp_path_factory.mktemp("dual") / "dual.pt"
    return SimpleNamespace(path=tiny.save_checkpoint(path, cfg, model), model=model, cfg=cfg)


def restore(path, data):
    return checkpoint_utils.load_model_ensemble_and_task([str(path)], arg_overrides={"data": data})


def difference(language):
    own, other = OWN[language].symbols, OTHER[language].symbols
    first = next(i for i, (a, b) in enumerate(zip(own, other)) if a != b)
    return f"symbol {first} is {own[first]!r} there and {other[first]!r}"


class TestEncoding:
    @pytest.mark.parametrize("words", [[], ["a"], ["▁ab", "ß", "日本", "😀", "#1"], ["twice", "twice"]], ids=str)
    def test_gives_back_the_symbols_in_order(self, words):
        symbols = dictionary_of(["<s>", "<pad>", "</s>", "<unk>", *words])
        found = decode(encode(symbols))
        assert found.symbols == symbols.symbols == ["<s>", "<pad>", "</s>", "<unk>", *words]
        assert (found.bos(), found.pad(), found.eos(), found.unk(), found.nspecial) == (0, 1, 2, 3, 4)

    def test_survives_tools_that_divide_sums(self):
        """As fairseq's own script for averages does, with integers too."""
        symbols = dictionary_of(["<s>", "<pad>", "</s>", "<unk>", "😀", "ä"])
        total = sum(encode(symbols).clone() for _ in range(100))
        assert decode(total // 100).symbols == symbols.symbols

    @pytest.mark.parametrize(
        "damaged", [torch.zeros(0, dtype=torch.int32), torch.full((9,), -5, dtype=torch.int32), torch.ones(9) / 2]
    )
    def test_damaged_ones_are_refused(self, damaged):
        with pytest.raises(BadInput, match="damaged"):
            decode(damaged)


def trained(model):
    """Without what fairseq 0.12.2 stores and never uses."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


class TestPair:
    def test_carries_the_dictionaries_of_its_data(self, dual):
        carried = Checkpoint(dual.path, "--path").dictionaries
        assert {language: symbols.symbols for language, symbols in carried.items()} == {
            language: symbols.symbols for language, symbols in OWN.items()
        }

    def test_is_restored_with_the_same_dictionaries_and_with_no_others(self, dual, data, other_data):
        restore(dual.path, data)
        with pytest.raises(
            BadInput, match=f"{other_data}/dict.de.txt: .*another de dictionary: {difference('de')} here"
        ):
            restore(dual.path, other_data)

    @pytest.mark.parametrize("language", ["de", "en"])
    def test_one_other_dictionary_is_enough(self, dual, tmp_path, language):
        tiny.write_data(tmp_path, tiny.PAIRS, {**OWN, language: OTHER[language]})
        with pytest.raises(BadInput, match=f"dict.{language}.txt: .*{difference(language)}"):
            restore(dual.path, str(tmp_path))

    def test_a_dictionary_of_another_size_is_refused_by_its_symbol(self, dual, tmp_path):
        longer = tiny.dictionary([*tiny.WORDS["en"], "zzz"])
        tiny.write_data(tmp_path, tiny.PAIRS, {**OWN, "en": longer})
        with pytest.raises(BadInput, match=f"symbol {len(longer) - 1} is None there and 'zzz'"):
            restore(dual.path, str(tmp_path))

    def test_other_languages_are_refused(self, dual, data):
        cfg = copy.deepcopy(dual.cfg)
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
        state = {key.replace("dictionaries.en", "dictionaries.fr"): p for key, p in dual.model.state_dict().items()}
        with pytest.raises(BadInput, match="expected a checkpoint of de and en, found one of de and fr"):
            model.load_state_dict(state)

    def test_a_checkpoint_of_version_0_2_is_restored_with_a_warning(self, dual, data, tmp_path, caplog):
        state = torch.load(dual.path)
        state["model"] = {key: value for key, value in state["model"].items() if key.startswith("models.")}
        torch.save(state, tmp_path / "old.pt")
        (model,), _, _ = restore(tmp_path / "old.pt", data)
        assert "it contains none, like all checkpoints of version 0.2" in caplog.text
        for name, p in trained(dual.model):
            assert torch.equal(model.state_dict()[name], p)

    def test_they_are_not_among_what_is_trained_cast_or_broadcast(self, dual):
        assert not [name for name, _ in dual.model.named_parameters() if "dictionaries" in name]
        assert not [name for name, _ in dual.model.named_buffers() if "dictionaries" in name]

    @pytest.mark.parametrize("fp32", [False, True])
    def test_its_moving_average_keeps_them(self, dual, fp32):
        settings = dict(ema_decay=0.5, ema_start_update=0, ema_seed_model=None, ema_update_freq=1, ema_fp32=fp32)
        average = EMA(dual.model, OmegaConf.create(settings))
        changed = copy.deepcopy(dual.model)
        tiny.spread(changed)
        average.step(changed, updates=1)
        found, before, after = (model.state_dict() for model in (average.get_model(), dual.model, changed))
        for name in [*dict(trained(dual.model)), *(name for name in found if name.startswith("dictionaries."))]:
            wanted = after[name] if name.startswith("dictionaries.") else (before[name] + after[name]) / 2
            torch.testing.assert_close(found[name], wanted)


class TestPlainCheckpoint:
    @pytest.fixture
    def exported(self, dual, tmp_path):
        """A direction's own checkpoint, which names no data folder."""
        checkpoint = Checkpoint(dual.path, "--path").direction("de-en")
        checkpoint.task["data"] = "/nowhere"
        save_plain(checkpoint, str(tmp_path / "de-en.pt"))
        return str(tmp_path / "de-en.pt")

    def start(self, data, **settings):
        cfg = tiny.pair_config(data)
        with open_dict(cfg.model):
            del cfg.model["pair"]
        for name, value in settings.items():
            cfg.model[name] = value
        cfg.model.dual_arch, cfg.model.dual_args = "transformer", tiny.FLAGS["transformer"]
        return tasks.setup_task(cfg.task).build_model(cfg.model)

    def test_carries_its_dictionaries_when_it_is_exported(self, exported, data, other_data):
        self.start(data, primal_checkpoint=exported)
        with pytest.raises(BadInput, match=f"--primal-checkpoint {exported}: .*{difference('de')}"):
            self.start(other_data, primal_checkpoint=exported)

    def test_is_restored_with_its_own_dictionaries_when_it_is_exported(self, exported, data, other_data):
        (model,), _, _ = restore(exported, data)
        with pytest.raises(BadInput, match=f"{exported}: the encoder .*of de: {difference('de')} in the data"):
            restore(exported, other_data)
        tuned = tasks.setup_task(tiny.translation_config(other_data).task).build_model(
            tiny.translation_config(data).model
        )
        with pytest.raises(BadInput, match="the encoder .*of de"):  # as --finetune-from-model does
            tuned.load_state_dict(checkpoint_utils.load_checkpoint_to_cpu(exported)["model"])

    def test_is_not_taken_for_a_model_of_the_other_direction(self, exported, data):
        reverse = {"data": data, "source_lang": "en", "target_lang": "de"}
        task = tasks.setup_task(tiny.translation_config(data, source="en", target="de").task)
        with pytest.raises(BadInput, match="the encoder .*of de"):
            checkpoint_utils.load_model_ensemble_and_task([exported], reverse, task)

    @pytest.mark.parametrize("place", [".", "run/bin", "bin"])
    def test_its_dictionaries_are_looked_for_around_it(self, data, other_data, tmp_path, place, monkeypatch):
        """Where its relative data folder is no longer below the working directory."""
        monkeypatch.chdir("/")
        folder = tmp_path / "run" / "checkpoints"
        folder.mkdir(parents=True)
        path, _ = tiny.translation_model(data, folder / "model.pt")
        state = torch.load(path)
        state["cfg"]["task"]["data"] = "bin"
        torch.save(state, path)
        own = folder if place == "." else tmp_path / place
        tiny.write_data(own, tiny.PAIRS, OWN)
        with pytest.raises(BadInput, match=f"--primal-checkpoint {path}: .*{difference('de')}"):
            self.start(other_data, primal_checkpoint=path)

    def test_it_is_said_where_they_cannot_be_compared(self, data, tmp_path, caplog):
        path, _ = tiny.translation_model(data, tmp_path / "model.pt")
        state = torch.load(path)
        state["cfg"]["task"]["data"] = "/nowhere"
        torch.save(state, path)
        self.start(data, primal_checkpoint=path)
        for language in ("de", "en"):
            assert f"{path}: cannot tell whether it was trained with the {language} dictionary" in caplog.text


def test_shards_of_another_dictionary_are_refused(data, other_data):
    cfg = tiny.pair_config(os.pathsep.join([data, other_data]))
    with pytest.raises(
        BadInput, match=f"{other_data}: was binarized with another vocabulary: symbol 4 is 'w5' there and 'w0'"
    ):
        tasks.setup_task(cfg.task)
    tasks.setup_task(tiny.pair_config(os.pathsep.join([data, data])).task)
