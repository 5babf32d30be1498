"""The mean of checkpoints, and which checkpoints have one."""

import math
import re

import pytest
import torch
from saved import save_model, save_pair, save_translation

from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import carried_by, dictionary_of, encode
from fairseq_dsl_cli import averaging
from fairseq_dsl_cli.main import run


class TestAverage:
    def test_equals_mean_by_hand(self):
        models = [
            {"a": torch.tensor([[1.0, -2.0]]), "b": torch.tensor(3.0), "steps": torch.tensor(10)},
            {"a": torch.tensor([[3.0, 4.0]]), "b": torch.tensor(5.0), "steps": torch.tensor(20)},
            {"a": torch.tensor([[8.0, 1.0]]), "b": torch.tensor(1.0), "steps": torch.tensor(30)},
        ]
        averaged = averaging.average(models)
        assert averaged["a"].tolist() == [[4.0, 1.0]]
        assert averaged["b"].item() == 3.0
        assert averaged["steps"].item() == 30  # a counter: that of the last model

    def test_sums_half_precision_in_float32(self):
        # in float16 the sum 2048 + 1 + 1 + ... stays at 2048
        values = [2048.0] + [1.0] * 7
        averaged = averaging.average([{"w": torch.tensor([v], dtype=torch.float16)} for v in values])
        assert averaged["w"].dtype == torch.float16
        assert averaged["w"].item() == torch.tensor(2055 / 8, dtype=torch.float16).item()

    def test_leaves_the_models_alone(self):
        first, second = {"w": torch.tensor([1.0])}, {"w": torch.tensor([2.0])}
        averaging.average([first, second])
        assert (first["w"].item(), second["w"].item()) == (1.0, 2.0)

    @pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"v": torch.zeros(2)}, {}])
    def test_refuses_different_models(self, other):
        with pytest.raises(ValueError, match=r"w \[2\]|w \[3\]|v \[2\]"):
            averaging.average([{"w": torch.zeros(2)}, other])

    def test_picks_the_last_checkpoints_by_number(self, tmp_path):
        for name in (
            "checkpoint9.pt",
            "checkpoint10.pt",
            "checkpoint11.pt",
            "checkpoint_2_300.pt",
            "checkpoint_1_1000.pt",
            "checkpoint_best.pt",
        ):
            (tmp_path / name).touch()

        def pick(*arguments):
            return [path.name for path in averaging.last_checkpoints(tmp_path, *arguments)]

        assert pick(averaging.EPOCH, 2) == ["checkpoint10.pt", "checkpoint11.pt"]
        assert pick(averaging.EPOCH, 2, 10) == ["checkpoint9.pt", "checkpoint10.pt"]
        assert pick(averaging.UPDATE, 2) == ["checkpoint_2_300.pt", "checkpoint_1_1000.pt"]
        with pytest.raises(
            ValueError, match="expected 4 checkpoints .* found checkpoint9.pt, checkpoint10.pt, checkpoint11.pt"
        ):
            pick(averaging.EPOCH, 4)

    def test_keeps_the_configuration_of_the_last(self, tmp_path):
        paths = []
        for number in (1, 2):
            state = {
                "args": None,
                "cfg": {"model": {"_name": "transformer"}, "task": {"number": number}},
                "model": {"w": torch.full((2,), float(number))},
                "last_optimizer_state": {"state": {}},
                "optimizer_history": [
                    {"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": number}
                ],
                "extra_state": {"train_iterator": {"epoch": number, "iterations_in_epoch": 0}, "val_loss": None},
                "task_state": {},
            }
            paths.append(str(tmp_path / f"checkpoint{number}.pt"))
            torch.save(state, paths[-1])
        run(["average", "--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        averaged = torch.load(tmp_path / "out.pt", weights_only=False)
        assert averaged["model"]["w"].tolist() == [1.5, 1.5]
        assert averaged["cfg"]["task"]["number"] == 2
        assert averaged["optimizer_history"][-1]["num_updates"] == 2
        assert "last_optimizer_state" not in averaged

    @pytest.mark.parametrize("exported", [False, True])
    def test_compares_the_dictionaries_that_checkpoints_carry(self, tmp_path, exported):
        symbols = ["<s>", "<pad>", "</s>", "<unk>", "a", "b"]

        def write(name, value, words):
            cfg = {"model": {"_name": "m"}, "task": {"_name": "t"}}
            state = {"args": None, "cfg": cfg, "model": {"models.w": torch.tensor([value])}}
            state["optimizer_history"] = [{"optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 1}]
            state["extra_state"] = {"train_iterator": {"epoch": 1}, "val_loss": None}
            if words and exported:
                state["dictionaries"] = {"de": words}
            elif words:
                state["model"]["dictionaries.de"] = encode(dictionary_of(words))
            torch.save(state, tmp_path / name)
            return str(tmp_path / name)

        def average(*paths):
            run(["average", "--inputs", *paths, "--output", str(tmp_path / "out.pt")])
            return torch.load(tmp_path / "out.pt")

        first, last, old = write("first", 1.0, symbols), write("last", 2.0, symbols), write("old", 4.0, None)
        for paths, wanted in (((first, last), 1.5), ((old, last), 3.0)):  # version 0.2 wrote none
            averaged = average(*paths)
            assert averaged["model"]["models.w"].item() == wanted
            assert carried_by(averaged)["de"].symbols == symbols
        other = write("other", 1.0, [*symbols[:4], "b", "a"])
        with pytest.raises(
            ValueError, match="other: has another de dictionary than .*last: symbol 4 is 'b' there and 'a'"
        ):
            average(other, last)


class TestModels:
    """What is refused by what the checkpoints say of themselves."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("models")
        save_translation(folder / "de-en.pt", "de", "en")
        save_translation(folder / "de-en-2.pt", "de", "en")
        save_translation(folder / "en-de.pt", "en", "de")
        save_translation(folder / "lstm.pt", "de", "en", model={"_name": "lstm"})
        save_translation(folder / "wide.pt", "de", "en", parameters={"w": torch.zeros(3), "steps": torch.tensor(1)})
        for name, value in (("nan", math.nan), ("inf", math.inf), ("-inf", -math.inf)):
            save_translation(folder / f"{name}.pt", "de", "en", parameters={"w": torch.tensor([0, value])})
        save_pair(folder / "pair.pt", "de", "en")
        save_pair(folder / "turned.pt", "en", "de")
        save_pair(folder / "lstms.pt", "de", "en", arch="lstm")
        save_pair(folder / "fr.pt", "de", "fr")
        save_model(folder / "lm.de.pt", "language_modeling", data="data/lm.de")
        save_model(folder / "lm.en.pt", "language_modeling", data="data/lm.en")
        save_model(folder / "lm.moved.pt", "language_modeling", data="/gone/lm.de")
        return folder

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ("de-en en-de", "translation model for de-en and a translation model for en-de"),
            ("lm.de lm.en", "a language model of data/lm.de and a language model of data/lm.en"),
            ("lm.de de-en", "a language model of data/lm.de and a translation model for de-en"),
            ("pair de-en", "a pair for de-en and en-de and a translation model for de-en"),
            ("de-en pair", "a translation model for de-en and a pair for de-en and en-de"),
            ("pair fr", "a pair for de-en and en-de and a pair for de-fr and fr-de"),
            ("pair lstms", "found transformer and transformer and lstm and lstm"),
            ("de-en lstm", "found transformer and lstm"),
            ("de-en de-en-2 wide", r"w \[\d\] is not in both"),
            ("de-en nan", "parameter w: expected .*found (nan|inf)"),
            ("inf de-en", "parameter w: expected .*found (nan|inf)"),
            ("de-en -inf", "parameter w: expected .*found (nan|inf)"),
        ],
    )
    def test_of_averaging_are_one(self, folder, tmp_path, names, message):
        paths = [str(folder / f"{name}.pt") for name in names.split()]
        bad = next((path for path in paths if "inf" in path or "nan" in path), paths[-1])
        with pytest.raises(BadInput, match=f"{re.escape(bad)}.*{message}") as refused:
            run(["average", "--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "out.pt").exists()

    @pytest.mark.parametrize("names", ["de-en de-en-2", "pair turned", "lm.de lm.moved"])
    def test_that_are_one_are_averaged(self, folder, tmp_path, names):
        paths = [str(folder / f"{name}.pt") for name in names.split()]
        run(["average", "--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        assert (tmp_path / "out.pt").exists()
