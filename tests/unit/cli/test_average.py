"""The command that averages checkpoints."""

import pytest

from fairseq_dsl_cli.main import run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--inputs", "FOLDER"], "requires one of the --num-"),
        (["--inputs", "a.pt", "--num-epoch-checkpoints", "2"], "requires one folder"),
        (["--inputs", "FOLDER", "--num-epoch-checkpoints", "0"], "expected at least 1"),
        (["--inputs", "a.pt", "--checkpoint-upper-bound", "2"], "requires one of the --num-"),
    ],
)
def test_refuses_senseless_options(arguments, message, tmp_path, capsys):
    arguments = [str(tmp_path) if word == "FOLDER" else word for word in arguments]
    with pytest.raises(SystemExit):
        run(["average", *arguments, "--output", str(tmp_path / "out.pt")])
    assert message in capsys.readouterr().err
