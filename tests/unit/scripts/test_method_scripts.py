"""The scripts of methods/, with a stand-in for Python, which prints the command that it would run."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"

METHODS = {
    "control": "dsl_cross_entropy --dsl-lambda 0",
    "dsl": "dsl_cross_entropy --dsl-lambda 0.01",
    "minimum-risk": "minimum_risk --num-samples 20 --parallel-weight 0 --risk-weight 200",
    "cycle-adversarial": "cycle_adversarial --num-samples 2",
    "dual-learning": "dual_learning --num-samples 2 --reward-per-token",
    "marginal-regularization": "marginal_regularized_cross_entropy --num-samples 5",
    "back-translation": "back_translation_cross_entropy --num-samples 1 --sample-temperature 0.5",
}


STARTS = ["--primal-checkpoint", "de-en.pt", "--dual-checkpoint", "en-de.pt"]


@pytest.fixture
def train(tmp_path):
    """Runs a script of scripts/ on the languages de and en."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    for name in ("dict.de.txt", "dict.en.txt"):
        (tmp_path / name).touch()

    def run(script, *flags, data=".", languages=("de", "en")):
        words = ["bash", SCRIPTS / script.split()[0], *script.split()[1:], data, *languages, "run", *flags]
        environment = {**os.environ, "PYTHON": str(python)}
        return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run


@pytest.mark.parametrize(("method", "criterion"), METHODS.items())
def test_methods_differ_by_their_criterion_alone(train, method, criterion):
    def command(method):
        done = train(f"methods/{method}.sh", *STARTS)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert f"--criterion {criterion} --optimizer" in command(method)
    assert command(method).replace(criterion, METHODS["control"]) == command("control")


def test_every_method_has_a_script():
    assert sorted(path.stem for path in (SCRIPTS / "methods").glob("*.sh")) == sorted(METHODS)


@pytest.mark.parametrize("words", ["--method dsl", "--method=dsl"])
def test_the_old_name_warns_and_trains_with_the_same_command(train, words):
    old, new = train(f"train.sh {words}", *STARTS), train("methods/dsl.sh", *STARTS)
    assert (old.returncode, old.stdout) == (0, new.stdout)
    assert old.stderr == "train.sh --method dsl is now scripts/methods/dsl.sh; this name goes with the next version\n"


@pytest.mark.parametrize("method", ["DSL", "../demo", ""])
def test_the_old_name_refuses_an_unknown_method(train, method):
    done = train(f"train.sh --method={method}")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"--method {method}: expected one of back-translation control cycle-adversarial dsl dual-learning"
        in done.stderr
    )


def test_the_command_is_the_one_of_version_0_3(train):
    """A folder that it began is resumed: the words of the command are its identity."""
    command = train("methods/control.sh", *STARTS, "--max-update", "9").stdout
    assert command.split(" -- ")[1] == (
        "fairseq-train . --user-dir fairseq_dsl --task dual_translation -s de -t en --max-tokens 4096 --num-workers 0 "
        "--arch dual_translation --label-smoothing 0.1 --criterion dsl_cross_entropy --dsl-lambda 0 --optimizer adam "
        "--adam-betas (0.9, 0.98) --lr 0.0002 --lr-scheduler fixed --per-model-clip-norm 1.0 --eval-bleu "
        "--eval-bleu-remove-bpe sentencepiece "
        '--eval-bleu-args {"beam": 1, "max_len_a": 1.2, "max_len_b": 10} '
        "--best-checkpoint-metric bleu --maximize-best-checkpoint-metric --max-update 4000 "
        "--validate-interval-updates 500 --save-interval-updates 500 --keep-interval-updates 1 "
        "--validate-interval 1000 --save-interval 1000 --no-epoch-checkpoints --log-interval 20 "
        "--primal-checkpoint de-en.pt --dual-checkpoint en-de.pt --max-update 9 "
        "--save-dir run --log-file run/train.log --log-format json\n"
    )


@pytest.mark.parametrize("flag", ["--best-checkpoint-metric nll_loss", "--best-checkpoint-metric=nll_loss"])
def test_the_best_checkpoint_is_chosen_by_bleu_unless_told(train, flag):
    best = "--best-checkpoint-metric bleu --maximize-best-checkpoint-metric"
    assert best in train("methods/control.sh", *STARTS).stdout
    assert "--maximize-best-checkpoint-metric" not in train("methods/control.sh", *STARTS, *flag.split()).stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"languages": ("de", "de")}, "de de: expected two languages"),
        ({"languages": ("de", "fr")}, ".: contains no dict.fr.txt"),
        ({"data": "nowhere"}, "nowhere: contains no dict.de.txt"),
    ],
)
def test_data_of_other_languages_are_refused_in_one_line(train, changes, message):
    done = train("methods/dsl.sh", *STARTS, **changes)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_too_few_arguments_show_the_usage(method):
    done = subprocess.run(["bash", SCRIPTS / "methods" / f"{method}.sh", "a"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: scripts/methods/{method}.sh DATA_BIN SOURCE TARGET SAVE_DIR")
