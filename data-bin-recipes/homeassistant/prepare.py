"""Binarize the user-interface texts of Home Assistant: English and one of some sixty languages, from its wheel."""

import hashlib
import json
import re
import shlex
import sys
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from binarize import Pair, add_arguments, clean, hold_out, prepare, run
from options import Parser, RecipeError, existing_folder, language_code, run_main
from staging import staging

REQUIREMENT = "homeassistant==2026.11.0"
WHEEL = "homeassistant-2026.11.0-py3-none-any.whl"
SHA256 = "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7"

HOLD_OUT = 1000  # sentence pairs for valid, and for test
MIN_HELD_OUT_WORDS = 4  # shorter labels ("Plant", "Off delay") have several right translations, and show little
MIN_PAIRS = 1000
MAX_WORDS = 60

PLACEHOLDER = re.compile(r"[{}]")
# Tags, entities, Markdown (code, bold, links), addresses: to be copied or dropped rather than translated.
MARKUP = re.compile(r"[<>`|]|&#?\w+;|\*\*|\]\(|\[%|\w://|www\.")


def fetch_wheel(folder: Path) -> Path:
    """The wheel in `folder`, downloaded where it is missing, and only if it is the very file this recipe was made for."""
    wheel = folder / WHEEL
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python",
                   "--only-binary=:all:", REQUIREMENT, "--dest"]  # fmt: skip
        print(shlex.join([*command, str(folder)]), flush=True)
        with staging(wheel) as beside:
            code, _ = run([*command, str(beside)], stdout=None, stderr=None)
            if code:
                raise RecipeError(f"pip could not download {REQUIREMENT}: get {WHEEL} another way, "
                                  f"give its folder with --raw")  # fmt: skip
            (beside / WHEEL).rename(wheel)
    check_wheel(wheel)
    return wheel


def check_wheel(wheel: Path) -> None:
    if not wheel.is_file():
        raise RecipeError(f"there is no {wheel}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise RecipeError(f"{wheel} has sha256 {digest}, not {SHA256}: delete it and run again")


def read_texts(wheel: zipfile.ZipFile, lang: str) -> Dict[Tuple[str, ...], str]:
    """Every text of one language, by component and path of keys."""

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

    Texts that agree in this are near-duplicates.
    """
    return " ".join(re.findall(r"[^\W\d_]+", re.sub(r"\{[^{}]*\}", " ", text).casefold()))


def select_pairs(pairs: List[Pair]) -> List[Pair]:
    """The pairs worth learning from, with a printed count of what was dropped and why."""
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
        raise RecipeError(f"--lang {lang}: {len(pairs):,} sentence pairs are too few, {MIN_PAIRS:,} are wanted")
    size = min(HOLD_OUT, len(pairs) // 20)
    return hold_out(pairs, size, key=letters, eligible=lambda pair: len(pair[1].split()) >= MIN_HELD_OUT_WORDS)


def main() -> None:
    parser = Parser(description=__doc__)
    # fairseq reads file names as train.SRC-TGT.SRC: a language code must not have a hyphen of its own.
    parser.add_argument("--lang", type=lambda text: language_code(text.replace("-", "_")), default="de",
                        help="the source language: de, ko, fr, zh-Hans, ...; the target is English")  # fmt: skip
    parser.add_argument("--raw", type=existing_folder, metavar="DIR",
                        help=f"folder with {WHEEL}; without it the wheel is downloaded")  # fmt: skip
    add_arguments(parser, vocab_size=8000)
    args = parser.parse_args()
    langs = (args.lang, "en")
    if args.lang == "en":
        raise RecipeError("--lang en: give the language to pair with English")
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
