"""Pieces of sentencepiece, joined again, are the text, and no piece is a symbol of fairseq."""

import random

import pytest
import sentencepiece
from recipes import write

from fairseq_dsl_cli.preparing import pieces
from fairseq_dsl_cli.preparing.options import RecipeError
from fairseq_dsl_cli.preparing.text import clean


def through_sentencepiece(train, test, folder):
    """The pieces of both, as files hold them, from a model of `train`."""
    folder.mkdir(exist_ok=True)
    write(folder / "train.de", train)
    write(folder / "test.de", test)
    model = folder / "model"
    pieces.train([folder / "train.de"], model, 20000, 1.0, folder)
    for split in ("train", "test"):
        pieces.encode(model, folder / f"{split}.de", folder / split)
    return [(folder / split).read_text(encoding="utf-8").split("\n")[:-1] for split in ("train", "test")]


def test_text_of_any_characters_comes_back_sign_for_sign(tmp_path):
    from fairseq.data import Dictionary

    rng = random.Random(1)
    characters = [chr(code) for code in [*range(0x3000), *rng.sample(range(0x3000, 0x110000), 3000)]
                  if not 0xD800 <= code < 0xE000]  # fmt: skip
    rng.shuffle(characters)
    special = [
        "<s>",
        "</s>",
        "<unk>",
        "<pad>",
        "<mask>",
        "madeupword0000",
        "#fairseq:overwrite",
        "\u2581",
        "\u2585",
        "@@",
    ]
    lines = [f"a{one}b {two} {three}{three} {one}{two}{three}" for one, two, three in zip(*[iter(characters)] * 3)]
    lines += [f"{one}{two} x{one}y {two}" for one in special for two in special]
    lines = [line for line in map(clean, lines) if line]
    half = len(lines) // 2
    for encoded, text in zip(through_sentencepiece(lines[:half], lines[half:], tmp_path), (lines[:half], lines[half:])):
        dictionary = Dictionary()
        for line in encoded:
            dictionary.encode_line(line)
        dictionary.finalize()
        dictionary.save(str(tmp_path / "dict.txt"))
        dictionary = Dictionary.load(str(tmp_path / "dict.txt"))
        ids = [dictionary.encode_line(line, add_if_not_exist=False) for line in encoded]
        assert [dictionary.string(line, "sentencepiece") for line in ids] == text
        assert not any((line[:-1] < dictionary.nspecial).any() for line in ids)


def test_unknown_characters_do_not_become_symbols_of_fairseq(tmp_path):
    text = ["\uc9d1 <s> </s> <unk> <pad>", "<s>\uc9d1</s>"]  # none of the Latin characters stands in training
    _, encoded = through_sentencepiece(["\uc9d1\uc5d0 \uac11\ub2c8\ub2e4"] * 9, text, tmp_path)
    assert not {"<s>", "</s>", "<unk>", "<pad>"} & set(" ".join(encoded).split(" "))
    assert [line.replace(" ", "").replace("\u2581", " ").strip() for line in encoded] == text


def test_text_that_sentencepiece_would_not_give_back_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sentencepiece.SentencePieceProcessor, "encode", lambda *_, **__: ["\u2581ein"])
    with pytest.raises(RecipeError, match="do not give back this sentence of train.de: 'ein Haus'"):
        through_sentencepiece(["ein Haus"], ["ein Haus"], tmp_path)
