"""What recipe.sh runs, by what there is to learn from; a stand-in for Python writes its words down."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
STAND_IN = """#!/bin/sh
case "$1" in
    */children.py) shift 2; exec "$@" ;;
    */parallel.py) echo "jobs $3" >> jobs; exec "$REAL" "$@" ;;
    -c) exit "${NO_GPU:-0}" ;;
esac
echo "${0##*/} $@" >> commands
"""


@pytest.fixture
def recipe(tmp_path):
    """Runs the recipe on so many pairs and the monolingual text of some languages; returns its commands."""
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)

    def run(pairs, mono=(), *flags, languages=("de", "en"), **environment):
        (tmp_path / "bin-text").mkdir()
        (tmp_path / "run").mkdir()  # the trainers' output goes there
        for folder in ("bin", *(f"bin-mono.{language}" for language in mono)):
            (tmp_path / folder).mkdir()
        for language in ("de", "en"):
            (tmp_path / "bin" / f"dict.{language}.txt").touch()
            for folder in ("bin-lm", "bin-mono"):
                if folder == "bin-lm" or language in mono:
                    (tmp_path / f"{folder}.{language}").mkdir(exist_ok=True)
                    (tmp_path / f"{folder}.{language}" / "dict.txt").touch()
            for split in ("train", "valid"):
                (tmp_path / "bin-text" / f"{split}.{language}").write_text("a b\n" * pairs)
        words = ["bash", SCRIPTS / "recipe.sh", "bin", *languages, "run", *flags]
        environment = {**os.environ, "PYTHON": str(tmp_path / "python"), "REAL": sys.executable, **environment}
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
        commands = tmp_path / "commands"
        return done, commands.read_text().splitlines() if commands.exists() else []

    return run


def test_without_monolingual_text_the_pair_learns_by_dsl(recipe, tmp_path):
    done, commands = recipe(9)
    assert (done.returncode, done.stderr) == (0, "")
    german, english, primal, dual, pair = commands
    assert "fairseq-train bin-lm.de " in german and "fairseq-train bin-lm.en " in english
    assert "-s de -t en" in primal and "-s en -t de" in dual
    assert "--criterion dsl_cross_entropy" in pair and "-mono" not in pair
    assert "--path run/pair/checkpoint_best.pt --beam 10 --reverse-weight 0.5" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("mono", [["de"], ["en"], ["de", "en"]])
def test_with_monolingual_text_it_learns_by_back_translation(recipe, mono):
    done, commands = recipe(9, mono)
    assert done.returncode == 0, done.stderr
    assert "--criterion back_translation_cross_entropy" in commands[4]
    flags = {"de": "--source-mono bin-mono.de", "en": "--target-mono bin-mono.en"}
    for language, command in zip(flags, commands):
        assert (flags[language] in commands[4]) == (language in mono)
        assert f"fairseq-train bin-{'mono' if language in mono else 'lm'}.{language} " in command


@pytest.mark.parametrize(
    "pairs, width, updates",
    [(2_999, 128, 1500), (9_999, 128, 3000), (10_000, 256, 8000), (200_000, 512, 50_000)],
)
def test_the_models_and_their_training_grow_with_the_pairs(recipe, pairs, width, updates):
    _, commands = recipe(pairs)
    for command in commands[:4]:
        assert f"--decoder-embed-dim {width} " in command and f"--max-update {updates} " in command


def test_without_a_gpu_the_models_stay_small(recipe):
    _, commands = recipe(200_000, NO_GPU="1")
    for command in commands[:4]:
        assert "--decoder-embed-dim 128 " in command and "--max-update 10000 " in command


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_two_trainings_may_run_at_the_same_time(recipe, tmp_path, jobs):
    done, commands = recipe(9, JOBS=jobs)
    assert (done.returncode, len(commands)) == (0, 5), done.stderr
    assert (tmp_path / "jobs").read_text().split("\n")[:-1] == [f"jobs {jobs}"] * 3


def test_flags_of_each_training(recipe):
    _, commands = recipe(9, (), "--max-update", "7", LM_FLAGS="--max-update 8", MODEL_FLAGS="--max-update 9")
    updates = [re.findall(r"--max-update (\d)(?= |$)", command) for command in commands[:5]]
    assert updates == [["8"], ["8"], ["9"], ["9"], ["7"]]


def test_a_control_learns_by_likelihood_alone_as_long_as_the_pair(recipe):
    done, commands = recipe(9, ["de"], "--max-update", "7", CONTROL="1")
    assert done.returncode == 0, done.stderr
    pair, control = commands[4:]
    assert "--criterion dsl_cross_entropy" in control and " --max-update 7 --dsl-lambda 0 --save-dir" in control
    assert "-mono" in pair and "-mono" not in control
    starts = re.compile(r"--(?:primal|dual)-checkpoint \S+")
    assert starts.findall(pair) == starts.findall(control)
    compare = "--baseline control=run/control/checkpoint_best.pt --system recipe=run/pair/checkpoint_best.pt"
    assert compare in done.stdout


def test_other_languages_than_those_of_the_data_are_refused(recipe):
    done, commands = recipe(9, languages=("fr", "en"))
    assert (done.returncode, commands) == (2, [])
    assert "bin-text: expected train.fr and train.en of `fairseq-dsl prepare -s fr -t en --out bin`" in done.stderr
