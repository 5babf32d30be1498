"""What demo.sh refuses, and that nothing outlives it."""

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


@pytest.mark.parametrize("lang", ["", "a/b", "../x", "de en", "a:b", "-", "a'b", "$(x)"])
def test_the_demo_refuses_what_is_no_language(lang):
    done = subprocess.run(["bash", str(SCRIPTS / "demo.sh"), f"--lang={lang}"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "expected a language's code" in done.stderr


def test_every_command_of_the_demo_is_bound_to_it():
    """All that it runs for more than a moment is a script of this repository, or Python."""
    text = (SCRIPTS / "demo.sh").read_text().replace("\\\n", " ")
    commands = [
        line
        for line in text.split("\n")
        if "scripts/" in line.split("#")[0] or "data-bin-recipes/" in line or "fairseq-dsl " in line
    ]
    started = [line for line in commands if line.startswith(("PYTHON=", "LM_FLAGS=", '"'))]
    assert len(started) == 5
    assert all('"${bound[@]}"' in line for line in started)
