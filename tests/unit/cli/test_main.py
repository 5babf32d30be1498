"""The program fairseq-dsl: finds a command, and imports no more than it needs."""

import importlib
import logging
import re
import runpy
import subprocess
import sys

import pytest

import fairseq_dsl
from fairseq_dsl_cli.arguments import Parser
from fairseq_dsl_cli.main import COMMANDS, run


def test_help_lists_each_command_with_a_line(capsys):
    with pytest.raises(SystemExit) as ended:
        run(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert [re.search(rf"^  {name} +{summary}$", text, re.MULTILINE) for name, summary in COMMANDS.items()]
    assert run([]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_and_every_default(command, capsys):
    with pytest.raises(SystemExit) as ended:
        run([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert text.startswith(f"usage: fairseq-dsl {command} ")
    assert re.search(rf"^    (fairseq-dsl {command}|.*\$\(fairseq-dsl {command}\)) ", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_has_help_with_its_default(command):
    parser = Parser(None)
    importlib.import_module(f"fairseq_dsl_cli.{command.replace('-', '_')}").add_arguments(parser)
    for action in parser._actions[1:]:
        assert action.help, action.dest
        if action.default not in (None, []):
            assert "(default: " in action.help, action.dest


@pytest.mark.parametrize("words", [["frob"], ["--frob"]])
def test_what_is_no_command_is_refused_in_one_line(words, capsys):
    with pytest.raises(SystemExit) as ended:
        run(words)
    message = capsys.readouterr().err
    assert (ended.value.code, message.count("\n")) == (2, 1)
    assert message.startswith("fairseq-dsl: error: ") and words[0] in message


def test_the_version_is_the_plugins(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"fairseq-dsl {fairseq_dsl.__version__}\n"


def test_the_folder_of_the_plugin_is_printed(capsys):
    assert not run(["user-dir"])
    assert capsys.readouterr().out == f"{fairseq_dsl.__path__[0]}\n"


@pytest.mark.parametrize("words", [[], ["user-dir"]])
def test_the_package_run_as_a_module_is_the_program(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fairseq_dsl", *words])
    monkeypatch.setattr(logging, "disable", lambda level: None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fairseq_dsl", run_name="__main__")
    assert not ended.value.code
    assert capsys.readouterr().out == f"{fairseq_dsl.__path__[0]}\n"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_help_and_wrong_usage_do_not_wait_for_torch():
    wrong = [["frob"], *([name, "--frob"] for name in COMMANDS)]
    helped = [["--help"], *([name, "--help"] for name in COMMANDS)]
    done = python(f"""
import sys
from fairseq_dsl_cli.main import run
for words in {wrong + helped}:
    try:
        run(words)
    except SystemExit as ended:
        assert ended.code == (0 if "--help" in words else 2), words
    heavy = {{"torch", "fairseq", "fairseq_dsl", "matplotlib"}} & set(sys.modules)
    assert not heavy, (words, heavy)
""")
    assert done.returncode == 0, done.stderr


def test_bad_input_ends_in_one_line_with_exit_code_1(tmp_path):
    (tmp_path / "a.pt").write_text("x")
    words = ["export", f"{tmp_path}/a.pt", f"{tmp_path}/b.pt", "--direction", "de-en"]
    done = python(f"from fairseq_dsl_cli.main import main; main({words})")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"fairseq_dsl: error: checkpoint {tmp_path}/a.pt")
    assert "Traceback" not in done.stderr
