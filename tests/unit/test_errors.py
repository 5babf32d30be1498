"""What ends a program in one line, and what in a traceback."""

import sys

import pytest

from fairseq_dsl import errors


@pytest.fixture
def hook(monkeypatch):
    """The plugin's, over one that notes what it is left with."""
    left = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, traceback: left.append(error))
    errors.print_without_traceback()

    def shown(error, capsys):
        sys.excepthook(type(error), error, None)
        return capsys.readouterr().err, left

    return shown


@pytest.mark.parametrize("error", [
    errors.BadInput("--source-lm a.pt: expected b"),
    OSError("Model file not found: a.pt"),  # fairseq's own
    FileNotFoundError("Dataset not found: test (data)"),
    AssertionError("Criterion does not match; please reset the optimizer (--reset-optimizer). A vs B"),
])  # fmt: skip
def test_bad_input_is_one_line(error, hook, capsys):
    assert hook(error, capsys) == (f"fairseq_dsl: error: {error}\n", [])


@pytest.mark.parametrize(
    "error", [ValueError("x"), AssertionError("x"), OSError(28, "No space left on device"), OSError()]
)
def test_other_errors_keep_their_traceback(error, hook, capsys):
    assert hook(error, capsys) == ("", [error])


def test_an_error_that_comes_of_bad_input_names_it(hook, capsys):
    error = Exception("Cannot load a.pt;")
    error.__context__ = errors.BadInput("a.pt: damaged")
    assert hook(error, capsys)[0] == "fairseq_dsl: error: Cannot load a.pt; a.pt: damaged\n"
