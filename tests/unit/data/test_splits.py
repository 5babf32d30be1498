"""Reading splits: in the order of the active direction, each shard checked before any is read."""

import os

import pytest
import tiny
import torch
from fairseq.tasks.translation import TranslationTask

from fairseq_dsl.data import PairDataset, Splits, splits
from fairseq_dsl.errors import BadInput


def splits_of(*folders, source="de", target="en"):
    cfg = tiny.translation_config(":".join(map(str, folders)), source=source, target=target).task
    return Splits(TranslationTask.setup_task(cfg))


@pytest.fixture
def shards(tmp_path):
    """Two shards of 5 and of 8 pairs."""
    tiny.write_data(tmp_path / "a", tiny.PAIRS[:5])
    tiny.write_data(tmp_path / "b", tiny.PAIRS[5:], splits=["train"])
    return [tmp_path / "a", tmp_path / "b"]


@pytest.mark.parametrize("source, target", [("de", "en"), ("en", "de")])
def test_pairs_are_read_in_the_order_of_the_direction(data, source, target):
    """Whichever direction the files are named by."""
    pairs = splits_of(data, source=source, target=target).read("train", 0, combine=False)
    assert type(pairs) is PairDataset and str(pairs.direction) == f"{source}-{target}"
    assert len(pairs) == len(tiny.PAIRS) and list(pairs.sides) == [source, target]
    symbols = {language: tiny.dictionary(words) for language, words in tiny.WORDS.items()}
    for language, (sentences, sizes) in pairs.sides.items():
        for i, pair in enumerate(tiny.PAIRS):
            wanted = tiny.encode(pair[language == "en"], symbols[language])
            assert torch.equal(sentences[i], wanted) and sizes[i] == len(wanted)


def test_training_has_a_shard_in_each_folder_and_validation_one(shards):
    made = splits_of(*shards)
    assert made.shards("train") == 2 and made.shards("valid") == 1
    assert [len(pairs) for pairs in made.read_all("train", combine=False)] == [5, 8]
    assert [len(pairs) for pairs in made.read_all("valid", combine=False)] == [5]


def test_the_files_of_a_side_are_those_of_its_shard_and_language(shards):
    found = splits_of(*shards, source="en", target="de").files("train", 1, "de", combine=False)
    assert found == [str(shards[1] / f"train.de-en.de.{ending}") for ending in ("bin", "idx")]


def test_a_missing_split_is_named_with_both_directions(data):
    with pytest.raises(BadInput, match=f"^{data}: has no split test of de-en or en-de$"):
        splits_of(data).read("test", 0, combine=False)


def test_a_damaged_shard_is_refused_before_the_first_is_read(shards):
    os.truncate(shards[1] / "train.de-en.en.bin", 6)
    with pytest.raises(BadInput, match=f"^{shards[1]}/train.de-en.en.bin: expected .* found 6"):
        splits_of(*shards).read("train", 0, combine=False)


def test_each_shard_is_checked_once(shards, monkeypatch):
    checked, check = [], splits.check_pairs
    monkeypatch.setattr(
        splits,
        "check_pairs",
        lambda folder, split, *args: (checked.append((folder, split)), check(folder, split, *args)),
    )
    made = splits_of(*shards)
    for _ in range(2):
        made.read("train", 1, combine=False)
        made.read_all("train", combine=False)
        made.read("valid", 0, combine=False)
    assert checked == [(str(shards[0]), "train"), (str(shards[1]), "train"), (str(shards[0]), "valid")]
