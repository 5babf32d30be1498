"""The recipes' command line: options that are checked as they are read, and errors in one line."""

import argparse
import contextlib
import math
import os
import re
import sys
from pathlib import Path
from typing import Callable, NoReturn, Union


class RecipeError(Exception):
    """Something the user can put right; shown in one line, without a traceback."""


def run_main(main: Callable[[], None]) -> None:
    """Run a recipe's `main`; what the user can put right ends with exit code 1 and one line."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # paths may hold what the terminal's encoding lacks
    try:
        main()
    except (RecipeError, OSError) as error:
        sys.exit("error: " + " ".join(str(error).splitlines()))
    except KeyboardInterrupt:
        print("interrupted; run the same command again", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130)  # without waiting for a thread in which sentencepiece is still at work


class Parser(argparse.ArgumentParser):
    """Shows the defaults in its help; a bad option ends in one line rather than with the usage of all of them."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{message} (--help lists the options)")


# --- types of options -------------------------------------------------------------------------------------------------


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], Union[int, float]]:
    """Return a reader of numbers of `kind` (`int` or `float`) from `low` to `high`; nan is none."""
    name = "a whole number" if kind is int else "a number"
    limits = f"of at least {low}" if high == math.inf else f"from {low} to {high}"

    def read(text: str) -> Union[int, float]:
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"expected {name} {limits}, found '{text}'")

    return read


def language_code(text: str) -> str:
    """A language's code, as it may stand in fairseq's file names: train.SRC-TGT.SRC, dict.SRC.txt."""
    if not re.fullmatch(r"\w+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a language code of letters, digits and underscores, found '{text}'")
    return text


def existing_folder(text: str) -> Path:
    """A folder that is there."""
    if not text or not Path(text).is_dir():
        kind = "a file" if Path(text).is_file() else "none"
        raise argparse.ArgumentTypeError(f"expected a folder, found {kind}: '{text}'")
    return Path(text)


def new_folder(text: str) -> Path:
    """A folder to be made, with a name that `fairseq-preprocess` and `fairseq-train` take as it is."""
    path = Path(text)
    if path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"expected the name of a new folder, found '{text}'")
    # A colon divides data folders, a comma validation sets; the others mean something to the configuration's parser.
    misread = re.findall(r"[:\\\0-\x1f\x7f]|\$\{", text) + re.findall(r"^-|,", path.name)
    if misread:
        raise argparse.ArgumentTypeError(f"expected a name that fairseq can read, found {misread[0]!r} in {text!r}")
    return path
