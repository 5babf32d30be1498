"""Command lines: bad input gives one line on the standard error, before anything is written."""

import argparse
import os
import re
from pathlib import Path
from typing import Callable, Iterable, List, NoReturn, Optional

_ENOUGH = 1_000_000  # more resamples, jobs or updates than this could only hang


class Parser(argparse.ArgumentParser):
    """A parser with a docstring as its help, and errors of one line."""

    def __init__(self, description: Optional[str], prog: Optional[str] = None):
        super().__init__(prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")

    def check(self, flag: str, kind: Callable[[str], object], text: str):
        """Refuses the value of a flag as `kind` would as its type, but after the flags have been held together."""
        try:
            kind(text)
        except argparse.ArgumentTypeError as error:
            self.error(f"argument {flag}: {error}")


def add_sentencepiece_models(add: Callable[..., object], what: str) -> None:
    """Adds the options for a sentencepiece model of both languages, or one of each; see `sentencepiece_models`."""
    flag = "--sentencepiece-model"
    add(flag, type=input_file, metavar="FILE", help=f"{what}; of both languages, or of the source language")
    add("--target-sentencepiece-model", type=input_file, metavar="FILE", help=f"that of the target (default: {flag}'s)")


def sentencepiece_models(parser: Parser, args: argparse.Namespace) -> List[str]:
    """The files that the options name: one, one of each language, or none."""
    if args.target_sentencepiece_model and not args.sentencepiece_model:
        parser.error("--target-sentencepiece-model: requires --sentencepiece-model, that of the source language")
    return [path for path in (args.sentencepiece_model, args.target_sentencepiece_model) if path]


def one_line(message: object) -> str:
    """
    >>> one_line("no file 'a\\nb'")
    "no file 'a b'"
    """
    return " ".join(str(message).splitlines())


def positive(text: str) -> int:
    """The type of an option that is a whole number from 1 on.

    >>> positive("5")
    5
    >>> positive("0")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: expected a whole number from 1 to 1,000,000, found '0'
    """
    # ASCII digits: int() also takes "1_000" and other scripts' digits
    if text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= _ENOUGH:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {_ENOUGH:,}, found {text!r}")


def input_file(text: str) -> str:
    """The type of an option that names a file to read."""
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"expected a file, found {_found(text)}")
    return text


def language_model(text: str) -> str:
    """The type of an option that names a language model: a file, or what a kind of marginal reads by its name.

    >>> language_model("scores:DIR")
    'scores:DIR'
    """
    return text if re.match(r"[a-z]+:", text) else input_file(text)


def input_folder(text: str) -> str:
    """The type of an option that names a folder to read."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"expected a folder, found {_found(text)}")
    return text


def output_file(text: str) -> str:
    """The type of an option that names a file to write, in a folder that may not exist yet."""
    if text.endswith("/") or not text or os.path.lexists(text) and not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"expected the name of a file to write, found {_found(text)}")
    output_folder(os.path.dirname(text) or ".")
    return text


def output_folder(text: str) -> str:
    """The type of an option that names a folder to write to, which may not exist yet."""
    folder = Path(text).absolute()
    while not os.path.lexists(folder):
        folder = folder.parent
    is_of_kernel = folder.parts[1:2] in [("dev",), ("proc",), ("sys",)] and folder.parts[:3] != ("/", "dev", "shm")
    if not text or is_of_kernel or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"expected a folder that can be written to, found {_found(text and folder)}")
    return text


def refuse_overwriting(parser: Parser, output: str, inputs: Iterable[str]):
    """Ends a command whose output would replace one of its inputs, under whatever name."""
    for path in inputs:
        if os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
            parser.error(f"{output}: expected another file to write than the input {path}")


def _found(path: object) -> str:
    path = str(path)
    if os.path.isdir(path):
        return f"the folder {path!r}"
    if os.path.isfile(path):
        return f"the file {path!r}"
    return f"{path!r}, which {'is no regular file' if os.path.lexists(path) else 'does not exist'}"
