"""Binarize text files of your own: train, valid and test in two languages, line by line, and monolingual text."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common.options import (
    Parser,
    RecipeError,
    add_arguments,
    add_mono_argument,
    existing_folder,
    language_code,
    number,
    run_main,
)
from common.recipe import prepare
from common.splits import hold_out
from common.text import SPLITS, find_mono, find_text, read_parallel


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--source-lang", "-s", type=language_code, required=True, metavar="LANG",
                        help="the files' ending, for example de")  # fmt: skip
    parser.add_argument("--target-lang", "-t", type=language_code, required=True, metavar="LANG")
    parser.add_argument("--raw", type=existing_folder, metavar="DIR",
                        help="folder with train.LANG, valid.LANG and test.LANG")  # fmt: skip
    for split in SPLITS:
        parser.add_argument(f"--{split}", metavar="PREFIX", help=f"{split} text is in PREFIX.LANG, instead of in --raw")
    parser.add_argument("--hold-out", type=number(int, 0), default=0, metavar="N",
                        help="take N pairs for valid and N for test out of the training text")  # fmt: skip
    add_arguments(parser, vocab_size=8000)
    add_mono_argument(parser)
    args = parser.parse_args()
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
            raise RecipeError(f"no {split} text: expected --raw DIR or --{split} PREFIX")
        if prefix is None:
            return [find_text(args.raw, split, lang) for lang in langs]
        return [Path(f"{prefix}.{lang}") for lang in langs]

    files = {split: paths(split) for split in (("train",) if args.hold_out else SPLITS)}

    def make_splits():
        splits = {split: read_parallel(*pair) for split, pair in files.items()}
        return hold_out(splits["train"], args.hold_out, key=str.casefold) if args.hold_out else splits

    prepare(args, langs, [path for pair in files.values() for path in pair], make_splits, find_mono(args.mono, langs))


if __name__ == "__main__":
    run_main(main)
