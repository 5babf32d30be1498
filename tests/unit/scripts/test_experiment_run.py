"""The commands of an experiment, and what is kept of its logs."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS / "experiments"))

import curves  # noqa: E402
import run  # noqa: E402

OUT = Path("out")
SETTING = dict(
    languages=["de", "en"], text={"train": "a/train", "valid": "a/dev", "test": "a/test", "pairs": 9}, vocabulary=50,
    language_model="--max-update 1", warm_start="--max-update 2", pair="--max-update 3", baselines=["dsl-0.01", "none"],
)  # fmt: skip


@pytest.fixture
def experiment():
    return run.Experiment(SETTING, OUT, ["--cpu"])


def words(command):
    return [str(word) for word in command]


def test_every_method_is_a_script_and_every_setting_complete():
    for method in run.METHODS.values():
        assert (SCRIPTS / "methods" / f"{method.split()[0]}.sh").is_file()
    for name in run.SETTINGS:
        setting = run.setting_of(name)
        assert setting.keys() == SETTING.keys()
        assert {*setting["baselines"]} <= {each for name in run.METHODS for each in (name, f"{name} + dual inference")}


def test_a_setting_may_be_like_another():
    few, many = map(run.setting_of, ("multi30k-6000", "multi30k-12000"))
    assert (few["text"].pop("pairs"), many["text"].pop("pairs")) == (6000, 12000)
    assert few["text"] == many["text"] and few["language_model"] == many["language_model"]
    assert few["warm_start"] != many["warm_start"]


def test_the_text_is_that_of_the_setting(experiment):
    text, prepare = map(words, experiment.texts(Path("corpus")))
    assert text[text.index("--train") + 1] == "corpus/a/train" and text[text.index("--pairs") + 1] == "9"
    assert prepare[:6] == ["fairseq-dsl", "prepare", "-s", "de", "-t", "en"] and prepare[-1] == "out/bin"


def test_all_pairs_of_a_seed_start_from_the_same_models(experiment):
    starts = [words(command) for command in experiment.warm_starts([4, 5])]
    folders = {"de-en": "seed4/de-en", "en-de": "seed4/en-de"}
    assert [command[1:3] for command in starts[:2]] == [
        ["out/bin-mono.de", "out/lm.de"],
        ["out/bin-mono.en", "out/lm.en"],
    ]
    assert {command[4] for command in starts[2:]} == {f"out/seed{seed}/{pair}" for seed in (4, 5) for pair in folders}
    for command in map(words, experiment.pairs([4], run.METHODS)):
        given = dict(zip(command, command[1:]))
        assert given["--primal-checkpoint"] == "out/seed4/de-en/checkpoint_best.pt"
        assert given["--dual-checkpoint"] == "out/seed4/en-de/checkpoint_best.pt"
        assert (given["--seed"], given["--max-update"]) == ("4", "3") and "--cpu" in command


def test_only_methods_that_use_it_have_monolingual_text(experiment):
    commands = map(words, experiment.pairs([1], run.METHODS))
    found = {name: "--source-mono" in command for name, command in zip(run.METHODS, commands)}
    without = {name for name in run.METHODS if name.startswith(("control", "dsl", "minimum-risk"))}
    assert {name for name, has in found.items() if not has} == without


def test_the_first_method_is_the_control_and_others_are_baselines_too(experiment):
    command = words(experiment.evaluation(1, ["control", "dsl-0.01"], 2))
    assert command[command.index("--baseline") + 1] == "control=out/seed1/control/checkpoint_best.pt"
    assert "warm start=out/seed1/de-en/checkpoint_best.pt,out/seed1/en-de/checkpoint_best.pt" in command
    assert experiment.baselines(["control", "dsl-0.01"]) == ["control", "dsl-0.01"]
    assert experiment.baselines(["control", "dual-learning"]) == ["control"]


def test_a_value_of_training_is_the_mean_since_the_validation_before(tmp_path):
    def line(tag, updates, **values):
        return json.dumps({f"{tag}{key}": value for key, value in {"num_updates": updates, **values}.items()}) + "\n"

    lines = [line("", updates, **{"nll_loss": updates, "train_wall": 2, "lr": 1}) for updates in (10, 20, 30)]
    lines[2:2] = [line("valid_", 20, **{"bleu_de-en": 7, "wps": 1})]
    (tmp_path / "train.log").write_text("".join([*lines, line("valid_", 30, **{"bleu_de-en": 8})]))
    assert curves.curves(tmp_path) == {
        "seconds": 6, "updates": [20, 30], "valid": {"bleu_de-en": [7, 8]}, "train": {"nll_loss": [15, 30]},
    }  # fmt: skip
