"""Binarize the user-interface text of Home Assistant: English and one of some sixty languages, from its wheel."""

import hashlib
import json
import re
import shlex
import sys
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fairseq_dsl_cli.preparing.options import (
    Parser,
    RecipeError,
    add_arguments,
    existing_folder,
    language_code,
    run_main,
)
from fairseq_dsl_cli.preparing.processes import run
from fairseq_dsl_cli.preparing.recipe import prepare
from fairseq_dsl_cli.preparing.splits import hold_out
from fairseq_dsl_cli.preparing.staging import staging
from fairseq_dsl_cli.preparing.text import Pair, clean

REQUIREMENT = "homeassistant==2026.11.0"
WHEEL = "homeassistant-2026.11.0-py3-none-any.whl"
SHA256 = "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7"

HOLD_OUT = 1000  # sentence pairs for valid, and for test
MIN_HELD_OUT_WORDS = 4  # shorter labels ("Plant", "Off delay") have several right translations, and say little
MIN_PAIRS = 1000
MAX_WORDS = 60

PLACEHOLDER = re.compile(r"[{}]")
# Tags, entities, Markdown (code, bold, links), addresses: to be copied or dropped rather than translated.
MARKUP = re.compile(r"[<>`|]|&#?\w+;|\*\*|\]\(|\[%|\w://|www\.")


def fetch_wheel(folder: Path) -> Path:
    """The wheel in `folder`, downloaded if it is missing; refused unless it is the file this recipe was made for."""
    wheel = folder / WHEEL
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python",
                   "--only-binary=:all:", REQUIREMENT, "--dest"]  # fmt: skip
        print(shlex.join([*command, str(folder)]), flush=True)
        with staging(wheel) as beside:
            code, _ = run([*command, str(beside)], stdout=None, stderr=None)
            if code:
                raise RecipeError(
                    f"pip could not download {REQUIREMENT}: get {WHEEL} in another way, and give its folder with --raw"
                )
            (beside / WHEEL).rename(wheel)
    check_wheel(wheel)
    return wheel


def check_wheel(wheel: Path) -> None:
    if not wheel.is_file():
        raise RecipeError(f"{wheel}: no such file; expected the wheel of {REQUIREMENT}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise RecipeError(f"{wheel}: expected sha256 {SHA256}, found {digest}: delete it and run again")


def read_texts(wheel: zipfile.ZipFile, lang: str) -> Dict[Tuple[str, ...], str]:
    """All texts of one language, by component and key path."""

    def leaves(node, path: Tuple[str, ...]) -> Iterator[Tuple[Tuple[str, ...], str]]:
        if isinstance(node, dict):
            for key, child in node.items():
                yield from leaves(child, (*path, key))
        else:
            yield path, node

    texts = {}
    for name in sorted(wheel.namelist()):
        folders = name.split("/")
        if folders[:2] == ["homeassistant", "components"] and folders[3:] == ["translations", f"{lang}.json"]:
            texts.update(leaves(json.loads(wheel.read(name)), (folders[2],)))
    return texts


def letters(text: str) -> str:
    """The words of a text in lower case, without placeholders, digits and punctuation: 'Phase {n}: L1' -> 'phase l'.

    Texts with the same letters are near-duplicates.
    """
    return " ".join(re.findall(r"[^\W\d_]+", re.sub(r"\{[^{}]*\}", " ", text).casefold()))


def select_pairs(pairs: List[Pair]) -> List[Pair]:
    """The pairs worth learning from; prints how many were dropped and why."""
    kept: Dict[Pair, Pair] = {}
    dropped: Dict[str, int] = {}
    for raw in dict.fromkeys(pairs):
        pair = (clean(raw[0]), clean(raw[1]))
        key = (letters(pair[0]), letters(pair[1]))
        if any(map(PLACEHOLDER.search, pair)):
            reason = "placeholder"
        elif any("\n" in side.strip() for side in raw):
            reason = "several lines"
        elif any(map(MARKUP.search, pair)):
            reason = "markup or address"
        elif not all(key):
            reason = "empty or no letters"
        elif key[0] == key[1]:
            reason = "not translated"
        elif max(len(side.split()) for side in pair) > MAX_WORDS:
            reason = f"over {MAX_WORDS} words"
        elif key in kept:
            reason = "near-duplicate"
        else:
            kept[key] = pair
            continue
        dropped[reason] = dropped.get(reason, 0) + 1
    print(f"kept {len(kept):,} of {len(kept) + sum(dropped.values()):,} distinct pairs; dropped: "
          + ", ".join(f"{reason} {count:,}" for reason, count in dropped.items()))  # fmt: skip
    return list(kept.values())


def make_splits(wheel_path: Path, lang: str):
    with zipfile.ZipFile(wheel_path) as wheel:
        english, other = read_texts(wheel, "en"), read_texts(wheel, lang)
        if not other:
            found = set(re.findall(r"/translations/([\w-]+)\.json$", "\n".join(wheel.namelist()), re.MULTILINE))
            raise RecipeError(f"--lang {lang}: Home Assistant has {', '.join(sorted(found - {'en'}))}")
    pairs = select_pairs([(other[path], text) for path, text in english.items() if path in other])
    if len(pairs) < MIN_PAIRS:
        raise RecipeError(f"--lang {lang}: expected at least {MIN_PAIRS:,} sentence pairs, found {len(pairs):,}")
    size = min(HOLD_OUT, len(pairs) // 20)
    return hold_out(pairs, size, key=letters, eligible=lambda pair: len(pair[1].split()) >= MIN_HELD_OUT_WORDS)


def main() -> None:
    parser = Parser(description=__doc__)
    # fairseq reads file names as train.SRC-TGT.SRC: a language code must not contain a hyphen.
    parser.add_argument("--lang", type=lambda text: language_code(text.replace("-", "_")), default="de",
                        help="the source language: de, ko, zh-Hans, ... (default: %(default)s)")  # fmt: skip
    parser.add_argument("--raw", type=existing_folder, metavar="DIR",
                        help=f"folder with {WHEEL}; otherwise the wheel is downloaded")  # fmt: skip
    add_arguments(parser, vocab_size=8000)
    args = parser.parse_args()
    langs = (args.lang, "en")
    if args.lang == "en":
        raise RecipeError("--lang en: expected the language to pair with English")
    if args.out is None:
        args.out = Path(f"data-bin/homeassistant-{langs[0]}-en")
    if args.raw:
        wheel = args.raw / WHEEL
        check_wheel(wheel)
    else:
        wheel = fetch_wheel(args.out.parent / "download")
    prepare(args, langs, [wheel], lambda: make_splits(wheel, args.lang.replace("_", "-")))


if __name__ == "__main__":
    run_main(main)
