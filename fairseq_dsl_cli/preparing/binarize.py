"""`fairseq-preprocess` of text in pieces, with a check that no sentence is lost."""

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import List, Sequence

from .options import RecipeError
from .processes import run, show
from .text import SPLITS


def require_fairseq() -> None:
    """Refuse a Python without `fairseq-preprocess`, before the work and not after it."""
    if importlib.util.find_spec("fairseq_cli") is None:
        raise RecipeError(
            f"{sys.executable} has no fairseq-preprocess: "
            f"install fairseq_dsl into that Python (pip install .), or set PYTHON to one that has it"
        )


def binarize_parallel(
    name: str, langs: Sequence[str], folder: Path, shown_folder: Path, joint: bool, workers: int
) -> None:
    """Make the translation data `name` and the language models' data `name-lm.LANG`, of the pieces in `name-text`."""

    def preprocess(destination: str, suffix: str, *arguments: str) -> None:
        options: List[str] = [*arguments]
        for split in SPLITS:
            options += [f"--{split}pref", f"{name}-text/spm/{split}{suffix}"]
        fairseq_preprocess([*options, "--destdir", destination, "--workers", str(workers)], folder, shown_folder)

    preprocess(name, "", "--source-lang", langs[0], "--target-lang", langs[1], *(["--joined-dictionary"] * joint))
    for lang in langs:
        preprocess(f"{name}-lm.{lang}", f".{lang}", "--only-source", "--srcdict", f"{name}/dict.{lang}.txt")


def binarize_mono(name: str, lang: str, folder: Path, shown_folder: Path, workers: int) -> None:
    """Make the monolingual data `name-mono.LANG` of the pieces in it; prints the share of unknown pieces."""
    mono = f"{name}-mono.{lang}"
    arguments = [
        "--only-source", "--srcdict", f"{name}/dict.{lang}.txt",
        "--trainpref", f"{mono}/spm/train.{lang}", "--validpref", f"{name}-text/spm/valid.{lang}",
        "--destdir", mono, "--workers", str(workers),
    ]  # fmt: skip
    for line in fairseq_preprocess(arguments, folder, shown_folder).splitlines():
        if "replaced (by <unk>)" in line:  # a large share: the text is of another kind than the vocabulary's
            print(line)


def fairseq_preprocess(arguments: Sequence[str], folder: Path, shown_folder: Path) -> str:
    """Run it in `folder`; return what it printed. Every line of the text must have become a sentence.

    Args:
        shown_folder: the folder in the command that is shown, where the result will be in the end.
    """
    show(["fairseq-preprocess", *arguments], shown_folder)
    environment = {**os.environ, "LOGLEVEL": "INFO", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).resolve().parents[2])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)  # a recipe's, which need not be installed
    program = [sys.executable, "-m", f"{__package__}.preprocess"]
    code, output = run([*program, *arguments], cwd=folder, env=environment)
    if code:
        print(output)
        raise RecipeError(f"fairseq-preprocess ended with exit code {code}: {(output.splitlines() or [''])[-1]}")
    counted = re.findall(r"\[\w+\] (.+): (\d+) sents, ", output)
    if not counted:
        raise RecipeError("fairseq-preprocess did not print how many sentences it made")
    for text, sentences in counted:
        with open(folder / text, "rb") as file:
            lines = sum(1 for _ in file)
        if int(sentences) != lines:
            raise RecipeError(
                f"fairseq-preprocess: expected {lines:,} sentences from the lines of {text}, found {int(sentences):,}"
            )
    return output
