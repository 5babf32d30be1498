"""Damaged data folders: one line that names the file, what it has and what is expected."""

import os
import shutil

import numpy as np
import pytest
import tiny
from fairseq import tasks

from fairseq_dsl.data import MonolingualData
from fairseq_dsl.data.folders import HEADER, check_data_folders, check_pairs
from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import load_dictionary

SYMBOLS = {language: tiny.dictionary(words) for language, words in tiny.WORDS.items()}
COUNT = len(tiny.PAIRS)


def check(folder, split="train", combine=False, impl=None, sides=SYMBOLS):
    check_pairs(str(folder), split, ("de-en", "en-de"), sides, combine, impl)


@pytest.fixture
def folder(data, tmp_path):
    shutil.copytree(data, tmp_path / "bin")
    return tmp_path / "bin"


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


def rewrite(folder, sentences, language="de", symbols=None):
    tiny.write_sentences(folder / f"train.de-en.{language}", sentences, symbols or SYMBOLS[language])


def unended(folder):
    data = np.memmap(folder / "train.de-en.de.bin", np.uint16, "r+")
    data[data == SYMBOLS["de"].eos()] = SYMBOLS["de"].unk()


def another_split(folder):
    """The index of other sentences, as many symbols in all."""
    rewrite(folder, [["w1"] * 3, ["w1"]])
    shutil.copy(folder / "train.de-en.de.idx", folder / "other.idx")
    rewrite(folder, [["w1"], ["w1"] * 3])
    shutil.move(folder / "other.idx", folder / "train.de-en.de.idx")


def pointers(content):
    return content[:-8] + np.int64(7).tobytes()


DAMAGES = {
    "one side longer": (
        lambda folder: rewrite(folder, [a for a, _ in tiny.PAIRS] + [["w1"]]),
        rf"split train.de-en, found {COUNT + 1} de sentences and {COUNT} en sentences: a carriage return",
    ),
    "a cut .bin": (
        lambda folder: edit(folder / "train.de-en.de.bin", lambda content: content[:-4]),
        rf"train.de-en.de.bin: expected \d+ bytes for {COUNT} sentences, found \d+",
    ),
    "a .bin with more": (
        lambda folder: edit(folder / "train.de-en.de.bin", lambda content: content * 2),
        rf"train.de-en.de.bin: expected \d+ bytes for {COUNT} sentences, found \d+",
    ),
    "an empty .bin": (
        lambda folder: edit(folder / "train.de-en.en.bin", lambda content: b""),
        rf"train.de-en.en.bin: expected \d+ bytes for {COUNT} sentences, found 0",
    ),
    "no .bin": (lambda folder: os.remove(folder / "train.de-en.en.bin"), "train.de-en.en.bin: no such file"),
    "no .idx": (
        lambda folder: os.remove(folder / "train.de-en.en.idx"),
        "train.de-en.en.bin: expected an index and a data file",
    ),
    "no source": (
        lambda folder: [path.unlink() for path in folder.glob("train.*.de.*")],
        "split train.de-en has no de side",
    ),
    "an empty .idx": (
        lambda folder: edit(folder / "train.de-en.de.idx", lambda content: b""),
        "de.idx: expected a header of 26 bytes, found 0",
    ),
    "a cut .idx": (
        lambda folder: edit(folder / "train.de-en.de.idx", lambda content: content[:-1]),
        rf"train.de-en.de.idx: expected \d+ bytes for {COUNT} sentences, found \d+",
    ),
    "an .idx cut in its header": (
        lambda folder: edit(folder / "train.de-en.de.idx", lambda content: content[: HEADER.size - 1]),
        "de.idx: expected a header of 26 bytes, found 25",
    ),
    "text as .idx": (
        lambda folder: (folder / "train.de-en.de.idx").write_text("w1 w2\n" * 20),
        "de.idx: expected an index",
    ),
    "an .idx of fractions": (
        lambda folder: edit(folder / "train.de-en.de.idx", lambda content: content[:17] + b"\x06" + content[18:]),
        "de.idx: expected an index",
    ),
    "an .idx of another type": (
        lambda folder: edit(folder / "train.de-en.de.idx", lambda content: content[:17] + b"\x04" + content[18:]),
        r"de.bin: expected \d+ bytes for 13 sentences, found \d+",
    ),
    "damaged pointers": (
        lambda folder: edit(folder / "train.de-en.de.idx", pointers),
        "de.idx: expected sentences that follow one another",
    ),
    "an .idx of an older kind, cut": (
        lambda folder: (folder / "train.de-en.de.idx").write_bytes(b"TNTIDX\0\0" + bytes(9)),
        "de: cannot be read",
    ),
    "a symbol that the dictionary lacks": (
        lambda folder: rewrite(folder, [a for a, _ in tiny.PAIRS][:-1] + [["v9"]], symbols=SYMBOLS["en"]),
        r"train.de-en.de.bin: expected the 15 symbols of its dictionary, found the number 20; .*--srcdict",
    ),
    "no end of sentences": (
        unended,
        rf"train.de-en.de.bin: expected {COUNT} sentences with an end-of-sentence.*none in {COUNT};",
    ),
    "the index of other sentences": (another_split, "de.bin: expected 2 sentences with an end-of-sentence.*none in 1;"),
    "an empty text": (lambda folder: rewrite(folder, []), "train.de-en.de: contains no sentences"),
    "a folder in place of a file": (
        lambda folder: ((folder / "train.de-en.de.bin").unlink(), (folder / "train.de-en.de.bin").mkdir()),
        "de",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pairs_are_named(folder, damage):
    check(folder)
    make, message = DAMAGES[damage]
    make(folder)
    with pytest.raises(BadInput, match=message) as caught:
        check(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("split, generating", [("train", False), ("valid", False), ("valid", True)])
@pytest.mark.parametrize("damage", ["one side longer", "a cut .bin", "an empty .idx"])
def test_of_any_split_and_also_at_generation(folder, damage, split, generating):
    make, message = DAMAGES[damage]
    make(folder)
    for path in folder.glob("train.*") if split == "valid" else ():
        path.rename(path.with_name(path.name.replace("train", "valid")))
    task = tasks.setup_task(tiny.pair_config(folder).task)
    task.criterion = None if generating else object()
    with pytest.raises(BadInput, match=message.replace("train", split)):
        task.load_dataset(split)


def test_all_shards_are_checked_before_the_first_is_trained_on(data, folder):
    DAMAGES["a cut .bin"][0](folder)
    task = tasks.setup_task(tiny.pair_config(f"{data}:{folder}").task)
    with pytest.raises(BadInput, match=f"{folder}.*expected"):
        task.load_dataset("train", epoch=1)


def test_the_parts_of_a_split_are_checked_when_they_are_read(folder):
    for path in folder.glob("train.*"):
        shutil.copy(path, folder / path.name.replace("train", "train1").replace("de-en", "en-de"))
    check(folder, combine=True)
    edit(folder / "train1.en-de.en.bin", lambda content: content[:-2])
    check(folder, combine=False)
    with pytest.raises(BadInput, match="train1.en-de.en.bin: expected"):
        check(folder, combine=True)


@pytest.mark.parametrize("impl", ["raw", "lazy", "cached"])
def test_other_formats_are_counted_too(folder, impl):
    """Whether the flag names them or not."""
    for language, sentences in zip(SYMBOLS, zip(*tiny.PAIRS)):
        prefix, symbols = folder / f"train.de-en.{language}", SYMBOLS[language]
        sentences = [*sentences, sentences[0]] if language == "en" else sentences
        for ending in (".idx", ".bin"):
            (folder / f"{prefix.name}{ending}").unlink()
        if impl == "raw":
            prefix.write_text("".join(" ".join(words) + "\n" for words in sentences))
        else:
            builder = tiny.indexed_dataset.make_builder(f"{prefix}.bin", impl="cached")
            for words in sentences:
                builder.add_item(tiny.encode(words, symbols).int())
            builder.finalize(f"{prefix}.idx")
    for given in (impl, None):
        with pytest.raises(BadInput, match=f"found {COUNT} de sentences and {COUNT + 1} en sentences"):
            check(folder, impl=given)


DICTIONARIES = {
    "a duplicate": ("w1 3\nw1 2\n".encode(), "Duplicate word"),
    "not UTF-8": ("größe 3\n".encode("latin-1"), "Incorrect encoding"),
    "no counts": (b"w1\nw2\n", "dict.de.txt: not a dictionary"),
    "a special symbol": (b"<pad> 3\n", "Duplicate word.*<pad>"),
    "no words": (b"", "dict.de.txt: contains no word"),
    "UTF-16": ("w1 3\nw2 2\n".encode("utf-16"), "dict.de.txt: not a dictionary"),
}


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_damaged_dictionaries_are_named(folder, kind):
    content, message = DICTIONARIES[kind]
    (folder / "dict.de.txt").write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        tasks.setup_task(tiny.pair_config(folder).task)
    assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["cut", "dictionary"])
def test_damaged_monolingual_text_is_named_with_its_flag(folder, split):
    tiny.write_monolingual(folder / "mono", [["w1"], ["w2"]], SYMBOLS["de"])
    if split == "cut":
        edit(folder / "mono" / "train.bin", lambda content: content[:-1])
    else:
        (folder / "mono" / "dict.txt").write_text("w1 1\nw1 1\n")
    with pytest.raises(
        BadInput, match=f"mono/{'train.bin: expected' if split == 'cut' else 'dict.txt: not a dictionary'}"
    ):
        MonolingualData(str(folder / "mono"), "--source-mono", "de", SYMBOLS["de"], 10, 1.0, 1)


def test_shards_of_another_vocabulary_are_refused(data, folder):
    (folder / "dict.en.txt").write_text("v1 1\nv0 1\n")
    cfg = tiny.pair_config(f"{data}:{folder}").task
    with pytest.raises(BadInput, match=f"{folder}: .*another vocabulary: symbol 4 is 'v1' there and 'v0'"):
        check_data_folders(cfg)
    (folder / "dict.en.txt").unlink()
    check_data_folders(cfg)


def test_a_folder_without_a_language_pair_is_refused(tmp_path):
    cfg = tiny.pair_config(tmp_path).task
    cfg.source_lang = None
    with pytest.raises(BadInput, match=f"{tmp_path}: contains no file of a language pair"):
        check_data_folders(cfg)


def test_a_good_dictionary_is_loaded(data):
    assert load_dictionary(os.path.join(data, "dict.de.txt")).symbols == SYMBOLS["de"].symbols
