"""Reading text: aligned sentence pairs and monolingual sentences, cleaned line by line."""

import gzip
import itertools
import unicodedata
import zlib
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

from .options import RecipeError

Pair = Tuple[str, str]

SPLITS = ("train", "valid", "test")
SPLIT_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "dev"),
    "test": ("test", "test_2016_flickr"),
}
"""What corpora call these files; the first name found is used."""

SPACE_MARK = "\u2581"
"""What sentencepiece writes for a space; the text's own would come back as a space, and becomes an underscore."""
# Control characters, zero-width spaces and byte order marks: invisible to a reader of the text, but symbols to a model.
_REPLACED = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2060, 0xFEFF], " ")
_REPLACED[ord(SPACE_MARK)] = "_"


def clean(line: str) -> str:
    """Composed Unicode, single spaces, no invisible characters: a line that sentencepiece gives back unchanged."""
    return " ".join(unicodedata.normalize("NFC", line).translate(_REPLACED).split())


def read_lines(path: Path) -> Iterator[str]:
    """The clean lines of a UTF-8 file, or of a gzip file if its name ends in .gz.

    Only a newline ends a line. (Python's text files and `str.splitlines` also break at a carriage return or U+2028
    within a sentence, after which every sentence would be paired with a wrong translation.) Prints in how many lines
    `clean` changed more than spaces.
    """
    number = changed = marks = 0
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        try:
            for line in file:
                number += 1
                text = line.decode("utf-8")
                cleaned = clean(text)
                changed += cleaned != " ".join(text.split())
                marks += text.count(SPACE_MARK)
                yield cleaned
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start + 1} of the line); "
                f"convert it first, for example with iconv -f latin1 -t utf-8"
            ) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecipeError(f"{path}, after line {number}: damaged gzip file ({error}); fetch it again") from None
    if changed:
        print(
            f"{path}: changed characters in {changed:,} of {number:,} lines: composed Unicode (NFC), invisible "
            f"characters replaced by spaces, U+2581 by '_'"
        )
    if marks:
        print(
            f"note: {path} contained U+2581 {marks:,} times, which sentencepiece writes for a space: "
            f"if the text is in pieces already, join them first"
        )


def read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    """The sentence pairs of two aligned files, without those that have an empty side."""
    empty = number = 0
    source_lines, target_lines = read_lines(source), read_lines(target)
    for x, y in itertools.zip_longest(source_lines, target_lines):
        if x is None or y is None:
            longer = number + 1 + sum(1 for _ in (source_lines if y is None else target_lines))
            counts = (longer, number) if y is None else (number, longer)
            raise RecipeError(
                f"{source} has {counts[0]:,} lines and {target} has {counts[1]:,}: "
                f"line n of one must be the translation of line n of the other"
            )
        number += 1
        if x and y:
            yield x, y
        else:
            empty += 1
    if empty:
        print(f"{source}, {target.name}: dropped {empty:,} of {number:,} pairs with an empty side")


def find_text(folder: Path, split: str, lang: str) -> Path:
    """The file in `folder` that contains this split and language, under one of its usual names."""
    names = [f"{name}.{lang}{suffix}" for name in SPLIT_NAMES[split] for suffix in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise RecipeError(f"{folder} has no {split} text in '{lang}': expected one of {', '.join(names)}")


def find_mono(folder: Optional[Path], langs: Sequence[str]) -> Dict[str, Path]:
    """The monolingual files in `folder` by language, at least one; empty without a folder (`--mono`)."""
    if folder is None:
        return {}
    names = {lang: (f"mono.{lang}", f"mono.{lang}.gz") for lang in langs}
    files = {lang: folder / name for lang in langs for name in reversed(names[lang]) if (folder / name).is_file()}
    if not files:
        raise RecipeError(f"--mono {folder}: expected one of {', '.join(itertools.chain(*names.values()))}, found none")
    for lang in langs:
        if lang not in files:
            print(f"note: --mono {folder} has no {' or '.join(names[lang])}: no monolingual data in '{lang}'")
    return files
