"""Bad input from the user: one message that names the flag or the file, and no traceback."""

import contextlib
import sys


class BadInput(ValueError):
    """What the user gave cannot be used; the message names the flag or file, what was found and what is wanted."""


def first_line(error: Exception) -> str:
    """An error of any kind in a line: its type, and how its message begins."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def advice_on_memory(advice: str):
    """Say what to do where memory runs out: fairseq skips such a batch on one GPU, and stops elsewhere."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if "out of memory" in str(error):
            error.args = (f"{error}\n{advice}",)
        elif isinstance(error, MemoryError) or "allocate memory" in str(error):
            what = (str(error).splitlines() or [type(error).__name__])[0]  # Python's own error says nothing
            raise BadInput(f"out of memory ({what}); {advice}") from error
        raise


def print_without_traceback(previous_hook):
    """Return a ``sys.excepthook`` that prints a `BadInput` as one line and leaves all else to `previous_hook`."""

    def hook(kind, error, traceback):
        if issubclass(kind, BadInput):
            print(f"fairseq_dsl: error: {error}", file=sys.stderr)
        elif isinstance(error.__context__, BadInput):  # fairseq's trainer says which file, in an exception of its own
            print(f"fairseq_dsl: error: {error} {error.__context__}", file=sys.stderr)
        else:
            previous_hook(kind, error, traceback)

    return hook


sys.excepthook = print_without_traceback(sys.excepthook)
