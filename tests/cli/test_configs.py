"""The configuration files of the methods, as fairseq-hydra-train reads them."""

import importlib
import os
import subprocess
import sys
import unittest.mock
from pathlib import Path

import pytest
import yaml
from commands import PLUGIN, forget_earlier_commands, load, processes

from fairseq_dsl.criterions import METHODS
from fairseq_dsl_cli.reporting.runs import Run

CONFIGS = Path(PLUGIN, "configs")
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
METHOD_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "methods"


def content(name):
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))


WRONG = {
    "criterion._name=frob": "--criterion frob: not the name of a criterion; with --task dual_translation use dsl_",
    "task.source_lm=null": "--source-lm is missing: the duality gap requires both language models",
    "criterion.dsl_lambda=-1": "--dsl-lambda -1.0: expected a number of 0 or more",
}


@pytest.fixture(scope="module")
def words(chain, mono):
    """The command line of each configuration, with what it lacks, for two updates."""

    def of(name):
        given = {
            "task.data": chain.data, "task.source_lang": "de", "task.target_lang": "en",
            "task.source_lm": chain.lm["de"], "task.target_lm": chain.lm["en"],
            "task.source_mono": mono["de"], "task.target_mono": mono["en"],
            "model.primal_checkpoint": chain.warm["de-en"], "model.dual_checkpoint": chain.warm["en-de"],
        }  # fmt: skip
        config = content(name)
        given = {key: value for key, value in given.items() if key.split(".")[1] in config[key.split(".")[0]]}
        given.update({"common.user_dir": PLUGIN, "common.cpu": "true", "optimization.max_update": 2})
        given["dataset.batch_size"] = 8
        return ["--config-dir", str(CONFIGS), "--config-name", name, *(f"{k}={v}" for k, v in given.items())]

    return of


def run_all(runs):
    """The target of a process: ``fairseq-hydra-train`` in each folder, where ``log`` is what it prints."""
    for folder, arguments in runs.items():
        folder.mkdir()
        os.chdir(folder)
        with open("log", "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        forget_earlier_commands()
        code = 0
        with unittest.mock.patch.object(sys, "argv", ["fairseq-hydra-train", *arguments]):
            try:
                importlib.import_module("fairseq_cli.hydra_train").cli_main()
            except SystemExit as ended:
                code = ended.code
        Path("code").write_text(str(code))


@pytest.fixture(scope="module")
def ran(words, tmp_path_factory):
    """A folder for each configuration, and for each that is wrong: with its exit code, and what it printed."""
    folder = tmp_path_factory.mktemp("hydra")
    runs = {folder / name: words(name) for name in NAMES}
    runs.update({folder / change: [*words("dsl"), change] for change in WRONG})
    process = processes().Process(target=run_all, args=(runs,))
    process.start()
    process.join()
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_each_method_trains_from_its_configuration(name, ran):
    assert (ran / name / "code").read_text() == "0", (ran / name / "log").read_text()[-3000:]
    state = load(ran / name / "checkpoints" / name / "checkpoint_last.pt")
    assert Run(name, ran / name / "checkpoints" / name).directions == ["de-en", "en-de"]  # for fairseq-dsl report
    assert state["optimizer_history"][-1]["num_updates"] == 2
    config = content(name)["criterion"]
    assert {key: state["cfg"]["criterion"][key] for key in config} == config


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_configuration_ends_in_one_line(change, ran):
    printed = (ran / change / "log").read_text()
    assert (ran / change / "code").read_text() == "1"
    assert "\n" + WRONG[change] in printed and "Traceback" not in printed


def test_the_command_trains_from_a_configuration(words, tmp_path):
    command = [str(Path(sys.executable).with_name("fairseq-hydra-train")), *words("dsl")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "duality gap before the first update" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "hydra_train.log"}
    models = load(tmp_path / "checkpoints/dsl/checkpoint_last.pt")["model"]
    assert {name.split(".")[1] for name in models if name.startswith("models.")} == {"de-en", "en-de"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_mandatory_is_what_the_example_gives(name):
    text = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
    example = "".join(line[1:] for line in text.splitlines() if line.startswith("#"))
    for group, keys in content(name).items():
        for key, value in keys.items():
            if value == "???":
                assert f" {group}.{key}=" in example


def test_there_is_a_configuration_for_each_script_and_method():
    assert NAMES == sorted(path.stem for path in METHOD_SCRIPTS.glob("*.sh"))
    assert {content(name)["criterion"]["_name"] for name in NAMES} == METHODS.keys()


def test_configurations_differ_by_what_the_method_is():
    def shared(name):
        config = content(name)
        config["checkpoint"].pop("save_dir")
        for key in ("source_lm", "target_lm", "source_mono", "target_mono"):
            config["task"].pop(key, None)
        return {**config, "criterion": None}

    assert all(shared(name) == shared("control") for name in NAMES)
