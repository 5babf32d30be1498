"""Binarizes text in two languages: from aligned text files to the data folders that fairseq-train reads.

    fairseq-dsl prepare -s de -t en --train corpus --hold-out 1000 --out data-bin/mine   # of corpus.de and corpus.en
    fairseq-dsl prepare -s de -t en --raw DIR --mono DIR --out data-bin/mine

--raw has train.de, train.en, valid.de, ... (UTF-8, plain or .gz; a sentence on each line, of which line n of the other
file is the translation), --mono has mono.de and mono.en, or one of them. The text is divided by sentencepiece, whose
model is learned from the training text. This makes, beside each other:

    data-bin/mine           train, valid, test, the dictionaries and sentencepiece.bpe.model, for the translation models
    data-bin/mine-lm.LANG   one language of the same sentences, for the language models
    data-bin/mine-mono.LANG the monolingual sentences, for --source-mono and --target-mono
    data-bin/mine-text      the sentences as plain text, and under spm/ in pieces

Run again with the same text and options, it is done at once.
"""

import argparse
from argparse import Namespace
from pathlib import Path

from .preparing import options
from .preparing.options import RecipeError
from .preparing.text import SPLITS, find_mono, find_text, read_parallel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--source-lang", "-s", type=options.language_code, required=True, metavar="LANG",
        help="the files' ending, for example de")  # fmt: skip
    add("--target-lang", "-t", type=options.language_code, required=True, metavar="LANG", help="the same")
    add("--raw", type=options.existing_folder, metavar="DIR", help="folder with train.LANG, valid.LANG and test.LANG")
    for split in SPLITS:
        add(f"--{split}", metavar="PREFIX", help=f"{split} text is in PREFIX.LANG, instead of in --raw")
    add("--hold-out", type=options.number(int, 0), default=0, metavar="N",
        help="take N pairs for valid and N for test out of the training text (default: %(default)s)")  # fmt: skip
    options.add_arguments(parser, vocab_size=8000)
    options.add_mono_argument(parser)


def run(parser: argparse.ArgumentParser, args: Namespace) -> None:
    options.run_main(lambda: prepare(args), f"{parser.prog}: ")


def prepare(args: Namespace) -> None:
    """Make the data folders; raises `RecipeError` for what the user can fix."""
    langs = (args.source_lang, args.target_lang)
    if args.out is None:
        args.out = Path(f"data-bin/local-{langs[0]}-{langs[1]}")
    if langs[0] == langs[1]:
        raise RecipeError(f"--source-lang and --target-lang: expected two languages, found '{langs[0]}' for both")
    if args.hold_out and (args.valid or args.test):
        raise RecipeError("--hold-out takes valid and test from the training text: leave out --valid and --test")

    def paths(split: str):
        prefix = getattr(args, split)
        if prefix is None and args.raw is None:
            hint = "" if split == "train" else ", or --hold-out N"
            raise RecipeError(f"no {split} text: expected --raw DIR or --{split} PREFIX{hint}")
        if prefix is None:
            return [find_text(args.raw, split, lang) for lang in langs]
        for path in (found := [Path(f"{prefix}.{lang}") for lang in langs]):
            if not path.is_file():
                raise RecipeError(f"--{split} {prefix}: expected the files {found[0]} and {found[1]}, found no {path}")
        return found

    files = {split: paths(split) for split in (("train",) if args.hold_out else SPLITS)}

    from .preparing import recipe, splits  # sentencepiece

    def make_splits():
        pairs = {split: read_parallel(*pair) for split, pair in files.items()}
        return splits.hold_out(pairs["train"], args.hold_out, key=str.casefold) if args.hold_out else pairs

    inputs = [path for pair in files.values() for path in pair]
    recipe.prepare(args, langs, inputs, make_splits, find_mono(args.mono, langs))
