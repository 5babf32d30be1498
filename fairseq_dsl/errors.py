"""Bad input from the user: one line that names the flag or the file, and no traceback."""

import contextlib
import sys

from hydra.errors import CompactHydraException


class BadInput(CompactHydraException, ValueError):
    """The user's input cannot be used; the message names the flag or file, what was found and what was expected.

    (``fairseq-hydra-train`` shows an error in one line if hydra knows it as one of that kind.)
    """


def first_line(error: BaseException) -> str:
    """Any error in one line: its type, and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def advice_on_memory(advice: str):
    """Add advice to errors about lack of memory: fairseq skips such a batch on one GPU, and stops elsewhere."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if "out of memory" in str(error):
            error.args = (f"{error}\n{advice}",)
        elif isinstance(error, MemoryError) or "allocate memory" in str(error):
            what = (str(error).splitlines() or [type(error).__name__])[0]  # Python's own error says nothing
            raise BadInput(f"out of memory ({what}); {advice}") from error
        raise


def print_without_traceback():
    """Print a `BadInput` that ends the program as one line, and leave all other errors to Python's hook.

    Likewise fairseq's own words for a file that it does not find, an `OSError` that is none of the system's, and for a
    checkpoint of another criterion or optimizer.
    """
    previous_hook = sys.excepthook

    def hook(kind, error, traceback):
        no_file = issubclass(kind, OSError) and error.errno is None and str(error)
        of_another = issubclass(kind, AssertionError) and "(--reset-optimizer)" in str(error)
        if issubclass(kind, BadInput) or no_file or of_another:
            print(f"fairseq_dsl: error: {error}", file=sys.stderr)
        elif isinstance(error.__context__, BadInput):  # fairseq's trainer names the file in an exception of its own
            print(f"fairseq_dsl: error: {error} {error.__context__}", file=sys.stderr)
        else:
            previous_hook(kind, error, traceback)

    sys.excepthook = hook
