"""Command lines: whatever is wrong with an option is told in one line, before anything is written."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from saved import save_model

from fairseq_dsl_cli import arguments
from fairseq_dsl_cli.main import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a file, a folder, a run and data that are as empty as may be."""
    monkeypatch.chdir(tmp_path)
    for name in ("data", "lm.de", "lm.en", "run", "fairseq_dsl"):
        Path(name).mkdir()
    for name in ("data/dict.de.txt", "data/dict.en.txt", "a.pt", "b.pt", "run/train.log"):
        Path(name).touch()
    return tmp_path


EVALUATE = "--data-bin data -s de -t en --baseline control=a.pt"
BENCHMARK = (
    "--data-bin data --lm-data-bin lm -s de -t en --primal-checkpoint a.pt --dual-checkpoint b.pt "
    "--source-lm a.pt --target-lm b.pt"
)
AVERAGE = "--inputs a.pt b.pt --output out.pt"
REPORT = "--run dsl=run"

NUMBERS = [
    *(("evaluate", EVALUATE, flag) for flag in ("--jobs", "--resamples", "--beam", "--max-tokens")),
    *(("benchmark", BENCHMARK, flag) for flag in ("--turns", "--updates", "--num-samples", "--max-tokens")),
    ("report", REPORT, "--samples"),
]
INPUT_FILES = [
    *(("evaluate", f"{EVALUATE} --source-lm a.pt --target-lm b.pt", flag) for flag in ("--source-lm", "--target-lm")),
    *(("benchmark", BENCHMARK, f"{name}-checkpoint") for name in ("--primal", "--dual")),
    *(("benchmark", BENCHMARK, f"{name}-lm") for name in ("--source", "--target")),
    ("report", REPORT, "--evaluation"),
]
INPUT_FOLDERS = [
    ("evaluate", EVALUATE, "--data-bin"),
    ("evaluate", EVALUATE, "--user-dir"),
    ("benchmark", BENCHMARK, "--data-bin"),
    ("benchmark", f"{BENCHMARK} --source-mono data --target-mono data", "--target-mono"),
]
OUTPUT_FILES = [
    ("benchmark", BENCHMARK, "--output"),
    ("average", AVERAGE, "--output"),
    ("report", REPORT, "--output"),
]


def refusal(command, words, capsys):
    """What a command prints on the standard error where it refuses its words: one line."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit) as ended:
        run([command, *words])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    return message


def combinations(*cases):
    """Each (command, its other words, flag) with each of some values."""
    for flags, values in cases:
        yield from ((command, f"{words} {flag}".split(), value) for command, words, flag in flags for value in values)


@pytest.mark.parametrize(
    ("command", "words", "value"),
    combinations(
        (NUMBERS, ["0", "-1", "1.5", "many", "", "inf", "1" * 30]),
        (INPUT_FILES, ["nowhere", "data", ""]),
        (INPUT_FOLDERS, ["nowhere", "a.pt", ""]),
        (OUTPUT_FILES, ["data", "out/", "", "a.pt/out", "/dev/null"]),
        ([("evaluate", EVALUATE, "--output")], ["a.pt", "a.pt/out", ""]),
    ),
)  # fmt: skip
def test_a_bad_value_is_refused_in_one_line(folder, command, words, value, capsys):
    message = refusal(command, [*words[:-1], f"{words[-1]}={value}"], capsys)
    assert f"argument {words[-1]}: expected" in message


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("evaluate", [*EVALUATE.split(), "--generate-args=--remove-bpe 'x"], "No closing quotation"),
        ("evaluate", [*EVALUATE.split(), "--system", "a/b=a.pt"], "'a/b': expected a name"),
        ("evaluate", [*EVALUATE.split(), "--system", ".=a.pt"], "'.': expected a name"),
        ("evaluate", [*EVALUATE.split(), "--system", "a\nb=a.pt"], "'a\\nb': expected a name"),
        ("evaluate", [*EVALUATE.split(), "--system", "control=b.pt"], "each name once"),
        ("evaluate", [*EVALUATE.split(), "-t", "de"], "expected two languages"),
        ("evaluate", [*EVALUATE.split(), "-s", "fr"], "no dict.fr.txt there"),
        ("evaluate", EVALUATE.split(), "no file data-text/test.de"),
        ("report", ["--run", "dsl=data"], "no train.log there"),
        ("report", [*REPORT.split(), "--evaluation", "a.pt"], "expected the evaluation.json"),
        ("export", ["nowhere", "out.pt", "--direction", "de-en"], "expected a file, found 'nowhere'"),
        ("export", ["a.pt", "data", "--direction", "de-en"], "found the folder 'data'"),
    ],
)  # fmt: skip
def test_a_bad_command_is_refused_in_one_line(folder, command, words, message, capsys):
    assert message in refusal(command, words, capsys)


@pytest.mark.parametrize("output", ["a.pt", "./data/../a.pt", "link.pt", "hard.pt"])
@pytest.mark.parametrize("command", ["export", "average"])
def test_an_output_is_none_of_the_inputs(folder, command, output, capsys):
    Path("link.pt").symlink_to("a.pt")
    os.link("a.pt", "hard.pt")
    words = ["--inputs", "b.pt", "a.pt", "--output", output]
    words = ["a.pt", output, "--direction", "x"] if command == "export" else words
    assert "expected another file to write" in refusal(command, words, capsys)


@pytest.mark.parametrize("name", ["a b.pt", "it's.pt", 'a"b.pt', "a:b.pt", "ä,=.pt", "new/folder/x.pt", "*.pt"])
def test_names_of_odd_characters_are_written_to(folder, name):
    assert arguments.output_file(name) == name
    save_model("a.pt", "translation", parameters={"w": torch.tensor([1.0])})
    save_model("b.pt", "translation", parameters={"w": torch.tensor([2.0])})
    run(["average", "--inputs", "a.pt", "b.pt", "--output", name])
    assert torch.load(name)["model"]["w"].tolist() == [1.5]


def limit_files():
    """Every write beyond 4096 bytes of a file fails from now on, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.skipif(torch.__version__ < "2", reason="torch 1.13's writer ends the process")
def test_a_full_disk_is_told_in_one_line_and_nothing_is_overwritten(folder):
    save_model("a.pt", "translation", parameters={"w": torch.zeros(5000)})
    Path("out.pt").write_text("old")
    command = [sys.executable, "-m", "fairseq_dsl", "average", *AVERAGE.replace("b.pt", "a.pt").split()]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_files)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "fairseq-dsl average: error: out.pt: File too large"
    assert "Traceback" not in done.stderr
    assert Path("out.pt").read_text() == "old"
    assert not list(folder.glob("*.tmp"))
    subprocess.run(command, check=True, capture_output=True)
