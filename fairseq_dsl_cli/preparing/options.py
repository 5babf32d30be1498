"""The recipes' command line: options are checked as they are read, and an error is one line."""

import argparse
import contextlib
import math
import os
import re
import sys
from pathlib import Path
from typing import Callable, NoReturn, Union


class RecipeError(Exception):
    """Something that the user can fix; shown in one line, without a traceback."""


def run_main(main: Callable[[], None], program: str = "") -> None:
    """Run a recipe's `main`; errors that the user can fix end it with one line and exit code 1.

    Args:
        program: what the line begins with, before ``error:``.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # paths may contain characters that the terminal's encoding lacks
    try:
        main()
    except (RecipeError, OSError) as error:
        sys.exit(f"{program}error: " + " ".join(str(error).splitlines()))
    except KeyboardInterrupt:
        print("interrupted; run the same command again", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130)  # without waiting for the thread that trains sentencepiece


class Parser(argparse.ArgumentParser):
    """A bad option ends in one line and not with the usage of all options."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{message} (--help lists the options)")


# ---- options that recipes share


def add_arguments(parser: argparse.ArgumentParser, vocab_size: int) -> None:
    """Add the options that every recipe has."""
    parser.add_argument("--out", type=new_folder, metavar="DIR", help="translation data; names the other folders too")
    parser.add_argument(
        "--vocab-size", type=number(int, 1, 2**31 - 1), default=vocab_size, metavar="N",
        help="at most this many sentencepiece pieces; a small corpus may yield fewer (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--character-coverage", type=number(float, 0.98, 1), default=1.0, metavar="X",
        help="share of characters with a piece of their own; 0.9995 for large Chinese, Japanese or Korean text "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--separate", action="store_true",
        help="a sentencepiece model and a dictionary for each language (default: joint ones)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=number(int, 1, 256), default=1, metavar="N",
        help="processes of fairseq-preprocess (default: %(default)s)",
    )  # fmt: skip


def add_mono_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option of recipes that accept monolingual text; see `text.find_mono`."""
    parser.add_argument(
        "--mono", type=existing_folder, metavar="DIR",
        help="folder with monolingual text: mono.LANG or mono.LANG.gz, for one or both languages",
    )  # fmt: skip


# ---- types of options


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], Union[int, float]]:
    """Return a parser of numbers of `kind` (`int` or `float`) from `low` to `high`; NaN is refused."""
    name = "a whole number" if kind is int else "a number"
    limits = f"of at least {low}" if high == math.inf else f"from {low} to {high}"

    def read(text: str) -> Union[int, float]:
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"expected {name} {limits}, found '{text}'")

    return read


def language_code(text: str) -> str:
    """A language code that can be part of fairseq's file names: train.SRC-TGT.SRC, dict.SRC.txt."""
    if not re.fullmatch(r"\w+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a language code of letters, digits and underscores, found '{text}'")
    return text


def existing_folder(text: str) -> Path:
    """A folder that exists."""
    if not text or not Path(text).is_dir():
        kind = "a file" if Path(text).is_file() else "none"
        raise argparse.ArgumentTypeError(f"expected a folder, found {kind}: '{text}'")
    return Path(text)


def new_folder(text: str) -> Path:
    """A folder to be created, with a name that `fairseq-preprocess` and `fairseq-train` read as it is."""
    path = Path(text)
    if path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"expected the name of a new folder, found '{text}'")
    # A colon separates data folders, a comma validation sets; the others mean something to the configuration parser.
    misread = re.findall(r"[:\\\0-\x1f\x7f]|\$\{", text) + re.findall(r"^-|,", path.name)
    if misread:
        raise argparse.ArgumentTypeError(f"expected a name that fairseq can read, found {misread[0]!r} in {text!r}")
    return path
