"""The output folders of ``fairseq-preprocess``: damage is reported in one line, before anything is read from them."""

import os
import struct
from typing import Dict, Iterable, List, Optional

import numpy as np
from fairseq import utils
from fairseq.data import Dictionary, data_utils, indexed_dataset

from ..directions import Direction
from ..errors import BadInput, first_line
from ..vocabulary import load_dictionary, vocabulary_difference

HEADER = struct.Struct("<9sQBQ")
"""The header of an index of ``--dataset-impl mmap``: mark, version, code of the symbols' type, number of sentences."""
MARK = b"MMIDIDX\x00\x00"
ADVICE = "run fairseq-preprocess again"


def first_folder(cfg) -> str:
    return utils.split_paths(cfg.data)[0]


def check_data_folders(cfg):
    """Refuse data folders without one of the languages; fill in the languages if no flag names them."""
    if not cfg.data:
        raise BadInput("the data folder is missing; expected the output of fairseq-preprocess")
    folders = utils.split_paths(cfg.data)
    for folder in folders:
        if not os.path.isdir(folder):
            raise BadInput(f"{folder}: no such folder; expected the output of fairseq-preprocess")
    if cfg.source_lang is None or cfg.target_lang is None:
        cfg.source_lang, cfg.target_lang = data_utils.infer_language_pair(folders[0])
        if cfg.source_lang is None:
            raise BadInput(
                f"{folders[0]}: contains no file of a language pair, such as train.de-en.de.idx; expected the output "
                "of fairseq-preprocess, or --source-lang and --target-lang"
            )
    for flag, language in (("--source-lang", cfg.source_lang), ("--target-lang", cfg.target_lang)):
        files = sorted(os.listdir(folders[0]))
        if f"dict.{language}.txt" not in files:
            languages = [name[len("dict.") : -len(".txt")] for name in files if name.startswith("dict.")]
            raise BadInput(
                f"{flag} {language}: {folders[0]} contains no dict.{language}.txt; its languages are "
                f"{', '.join(languages) or 'none'}"
            )
    if cfg.source_lang == cfg.target_lang:
        raise BadInput(f"--source-lang and --target-lang: expected two languages, found {cfg.source_lang} for both")
    for folder in folders[1:]:  # fairseq uses the dictionaries of the first
        for name in (f"dict.{cfg.source_lang}.txt", f"dict.{cfg.target_lang}.txt"):
            own, first = (os.path.join(place, name) for place in (folder, folders[0]))
            difference = os.path.isfile(own) and vocabulary_difference(load_dictionary(own), load_dictionary(first))
            if difference:
                raise BadInput(
                    f"{folder}: was binarized with another vocabulary: {difference} in {first}; binarize with the same "
                    "dictionaries (--srcdict, --tgtdict)"
                )


def check_pairs(
    folder: str,
    split: str,
    directions: Iterable[Direction],
    sides: Dict[str, Dictionary],
    combine: bool,
    impl: Optional[str],
):
    """Refuse a split whose files are damaged, or whose sides have different numbers of sentences.

    Args:
        directions: the language pairs that may be in the names of the split's files.
        sides: the dictionaries of the source and the target language, in this order.
        combine: whether train1, train2, ... are read as well.
        impl: the value of ``--dataset-impl``.
    """
    for part in _parts(folder, split, directions, combine):
        counts = {}
        for language, dictionary in sides.items():
            prefix = os.path.join(folder, f"{part}.{language}")
            if _files(prefix):
                counts[language] = count_sentences(prefix, dictionary, impl)
        source = next(iter(sides))
        if source not in counts:
            raise BadInput(f"{folder}: the split {part} has no {source} side; {ADVICE}")
        if len({*counts.values()}) > 1:
            found = " and ".join(f"{count:,} {language} sentences" for language, count in counts.items())
            raise BadInput(
                f"{folder}: expected the same number of sentences on both sides of the split {part}, found {found}: a "
                f"carriage return or another line break within a line makes one side longer; fix the text and {ADVICE}"
            )


def files_of_side(folder: str, split: str, directions: Iterable[Direction], language: str, combine: bool) -> List[str]:
    """The files that one side of a split is read from; with `combine` also of train1, train2, ..."""
    sides = {f"{direction}.{language}" for direction in directions}
    found = []
    for name in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(name)
        part, _, side = (stem if ending in (".bin", ".idx") else name).partition(".")
        number = part[len(split) :]
        if side in sides and part.startswith(split) and (not number or (combine and number.isdigit())):
            found.append(os.path.join(folder, name))
    return found


def count_sentences(prefix: str, dictionary: Dictionary, impl: Optional[str] = None) -> int:
    """The number of sentences in the files of one side of a split; `BadInput` if they are damaged.

    Args:
        prefix: the path of the files without ``.idx`` and ``.bin``.
        dictionary: the one that the sentences were binarized with: they consist of its symbols, and end with its EOS.
    """
    files = _files(prefix)
    try:
        if f"{prefix}.idx" in files and (impl or indexed_dataset.infer_dataset_impl(prefix)) in (None, "mmap"):
            return _count_mapped(prefix, dictionary)
        sentences = data_utils.load_indexed_dataset(prefix, dictionary, impl)
    except BadInput:
        raise
    except Exception as error:  # of many kinds, of fairseq's other formats
        raise BadInput(f"{prefix}: cannot be read ({first_line(error)}); {ADVICE}") from error
    if sentences is None:
        raise BadInput(f"{' and '.join(files)}: expected an index and a data file, found only one of them; {ADVICE}")
    return len(sentences)


def _count_mapped(prefix: str, dictionary: Dictionary) -> int:
    """`count_sentences` of memory-mapped files, ``fairseq-preprocess``'s default; reads them once, like fairseq."""
    index_file, data_file = f"{prefix}.idx", f"{prefix}.bin"
    if not os.path.isfile(data_file):
        raise BadInput(f"{data_file}: no such file; {ADVICE}")
    with open(index_file, "rb") as file:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            raise BadInput(f"{index_file}: expected a header of {HEADER.size} bytes, found {len(header)}; {ADVICE}")
        mark, version, code, count = HEADER.unpack(header)
        kind = np.dtype(indexed_dataset._code_to_dtype.get(code, float))
        if mark != MARK or version != 1 or kind.kind not in "iu":
            raise BadInput(f"{index_file}: expected an index of --dataset-impl mmap, found another file; {ADVICE}")
        _check_size(index_file, HEADER.size + count * (4 + 8), count)
        if not count:
            raise BadInput(f"{prefix}: contains no sentences; expected text that is not empty")
        sizes = np.fromfile(file, np.int32, count)
        starts = np.fromfile(file, np.int64, count)
    _check_size(data_file, int(sizes.sum(dtype=np.int64)) * kind.itemsize, count)
    ends = np.cumsum(sizes, dtype=np.int64)
    if sizes.min() < 1 or not np.array_equal(starts, (ends - sizes) * kind.itemsize):
        raise BadInput(f"{index_file}: expected sentences that follow one another, found gaps or overlaps; {ADVICE}")
    symbols = np.memmap(data_file, kind, "r")
    low, high = int(symbols.min()), int(symbols.max())
    if low < 0 or high >= len(dictionary):
        raise BadInput(
            f"{data_file}: expected the {len(dictionary):,} symbols of its dictionary, found the number "
            f"{high if low >= 0 else low}; binarize with the dictionary of the folder (--srcdict, --tgtdict)"
        )
    unended = int((symbols[ends - 1] != dictionary.eos()).sum())
    if unended:
        raise BadInput(
            f"{data_file}: expected {count:,} sentences with an end-of-sentence symbol, found none in {unended:,}; "
            f"{ADVICE}"
        )
    return count


def _check_size(path: str, expected: int, count: int):
    size = os.path.getsize(path)
    if size != expected:
        raise BadInput(f"{path}: expected {expected:,} bytes for {count:,} sentences, found {size:,}; {ADVICE}")


def _parts(folder: str, split: str, directions: Iterable[Direction], combine: bool) -> List[str]:
    """The existing parts of a split, named with their language pair, in the order in which fairseq looks for them."""
    files, found = os.listdir(folder), []
    for number in range(len(files) if combine else 1):
        names = [f"{split}{number or ''}.{direction}" for direction in directions]
        names = [name for name in names if any(file.startswith(f"{name}.") for file in files)]
        if not names:
            break
        found.append(names[0])
    return found


def _files(prefix: str) -> List[str]:
    return [prefix + ending for ending in (".idx", ".bin", "") if os.path.lexists(prefix + ending)]
