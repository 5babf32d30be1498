"""What a recipe leaves behind, and what another run of it makes again."""

import gzip
import re
import shutil
import unicodedata

import pytest
import sentencepiece
from recipes import DE, file_contents, options, prepare, run_local, run_prepare, write

from fairseq_dsl_cli.preparing import binarize
from fairseq_dsl_cli.preparing.options import RecipeError
from fairseq_dsl_cli.preparing.text import SPLITS


def test_text_survives_sentencepiece(prepared):
    folder, _ = prepared
    text = folder / "data" / "x-text"
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "data" / "x" / "sentencepiece.bpe.model"))
    for split in SPLITS:
        for lang in ("ko", "en"):
            lines = (text / f"{split}.{lang}").read_text().splitlines()
            pieces = (text / "spm" / f"{split}.{lang}").read_text().splitlines()
            assert model.encode(lines, out_type=str) == [line.split(" ") for line in pieces]
            # fairseq's --remove-bpe sentencepiece
            assert [line.replace(" ", "").replace("▁", " ").strip() for line in pieces] == lines
    assert (text / "test.ko").read_text().startswith("집에 갑니다.\n")
    assert (text / "test.en").read_text().startswith("This is a house.…\n")


def test_language_models_have_the_translation_dictionary_and_sentences(prepared):
    from fairseq.data import Dictionary, data_utils

    folder, _ = prepared
    data = folder / "data"
    joint = Dictionary.load(str(data / "x" / "dict.ko.txt"))
    assert len(joint) > 30
    for lang in ("ko", "en"):
        dictionaries = [data / "x" / f"dict.{lang}.txt", data / f"x-lm.{lang}" / "dict.txt"]
        assert [Dictionary.load(str(path)).symbols for path in dictionaries] == [joint.symbols] * 2
        for split, pairs in (("train", 100), ("valid", 5), ("test", 5)):
            translation = data_utils.load_indexed_dataset(str(data / "x" / f"{split}.ko-en.{lang}"), joint)
            lm = data_utils.load_indexed_dataset(str(data / f"x-lm.{lang}" / split), joint)
            assert len(translation) == len(lm) == pairs
            assert all(a.tolist() == b.tolist() for a, b in zip(translation, lm))
            assert not any((sentence == joint.unk()).any() for sentence in lm)


def test_commands_are_shown_as_one_would_type_them(prepared):
    folder, output = prepared
    commands = re.findall(r"^cd data && (fairseq-preprocess .*)$", output, re.MULTILINE)
    assert len(commands) == 3 and "--joined-dictionary" in commands[0] and "--srcdict x/dict.ko.txt" in commands[1]
    for path in re.findall(r"--(?:\w+pref|srcdict) (\S+)", " ".join(commands)):
        assert list((folder / "data").glob(f"{path}*")), path


def test_training_text_that_holds_test_sentences_is_said(prepared):
    assert "are also in training: 5 of 5 in ko and 5 of 5 in en" in prepared[1]


def test_monolingual_text_is_added_to_finished_data(prepared):
    from fairseq.data import Dictionary, data_utils

    folder, _ = prepared
    data, mono = folder / "data", folder / "mono" / "mono.ko.gz"
    new = ["새가 집에 갑니다.", "고양이가 노래합니다."]
    lines = [
        new[0],
        "",
        unicodedata.normalize("NFD", "집에  갑니다."),
        new[1],
        "\u200b",
        unicodedata.normalize("NFD", new[0]),
    ]
    mono.parent.mkdir()
    mono.write_bytes(gzip.compress("\n".join(lines).encode()))
    before = file_contents(data)
    arguments = ["-s", "ko", "-t", "en", "--raw", "raw", "--out", "data/x", "--mono", "mono"]
    done = run_prepare(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "note: --mono mono has no mono.en or mono.en.gz: no monolingual data in 'en'" in done.stdout
    assert "2 sentences, 5 words; dropped 2 empty lines, 1 lines that are in valid or test, 1 duplicates" in done.stdout
    assert re.search(r"x-mono.ko/spm/train.ko: 2 sents, \d+ tokens, 0.0% replaced \(by <unk>\)", done.stdout)
    assert "wrote data/x-mono.ko\n" in done.stdout
    after = file_contents(data)
    assert {path: after[path] for path in before} == before
    assert {path.parts[0] for path in after.keys() - before.keys()} == {"x-mono.ko"}

    made = data / "x-mono.ko"
    assert (made / "train.ko").read_text().splitlines() == new
    assert (made / "dict.txt").read_bytes() == (data / "x-lm.ko" / "dict.txt").read_bytes()
    dictionary = Dictionary.load(str(made / "dict.txt"))
    train, valid, lm_valid = (data_utils.load_indexed_dataset(str(path), dictionary)
                              for path in (made / "train", made / "valid", data / "x-lm.ko" / "valid"))  # fmt: skip
    assert [dictionary.string(sentence, "sentencepiece") for sentence in train] == new
    # a language model is trained on all text, as fairseq combines train, train1, ...
    combined = data_utils.load_indexed_dataset(str(made / "train"), dictionary, combine=True)
    parallel = data_utils.load_indexed_dataset(str(data / "x-lm.ko" / "train"), dictionary)
    assert [sentence.tolist() for sentence in combined] == [
        sentence.tolist() for each in (train, parallel) for sentence in each
    ]
    assert [sentence.tolist() for sentence in valid] == [sentence.tolist() for sentence in lm_valid]
    [command] = re.findall(r"^cd data && (fairseq-preprocess .*)$", done.stdout, re.MULTILINE)
    for path in re.findall(r"--(?:\w+pref|srcdict|destdir) (\S+)", command):
        assert (data / path).exists(), path

    again = run_prepare(*arguments, cwd=folder)
    assert "finished already" in again.stdout and file_contents(data) == after


def test_a_second_run_works_only_where_something_changed(raw, tmp_path, preprocess_calls):
    out = tmp_path / "data" / "x"
    first = ["x", "x-lm.de", "x-lm.en"]
    prepare(raw, options(out))
    assert preprocess_calls == first
    prepare(raw, options(out, workers=2))
    assert preprocess_calls == first
    prepare(raw, options(out, separate=True))
    assert preprocess_calls == first * 2
    assert sorted(path.name for path in out.glob("*.model")) == [
        "sentencepiece.bpe.de.model",
        "sentencepiece.bpe.en.model",
    ]
    (raw / "test.en").write_text((raw / "test.en").read_text().replace("dog", "cat"))
    prepare(raw, options(out, separate=True))
    assert preprocess_calls == first * 3
    assert "The cat barks loudly." in (tmp_path / "data" / "x-text" / "test.en").read_text()
    shutil.rmtree(tmp_path / "data" / "x-lm.en")
    prepare(raw, options(out, separate=True))
    assert preprocess_calls == first * 4


def test_monolingual_data_are_made_where_they_changed(raw, tmp_path, preprocess_calls):
    mono, out = tmp_path / "mono", tmp_path / "data" / "x"
    write(mono / "mono.de", ["Die Katze bellt.", "Ein Hund singt."])
    write(mono / "mono.en", ["The cat barks."])
    parallel, monolingual = ["x", "x-lm.de", "x-lm.en"], ["x-mono.de", "x-mono.en"]

    def calls(*arguments):
        preprocess_calls.clear()
        prepare(raw, *arguments)
        return preprocess_calls

    assert calls(options(tmp_path / "without" / "x")) == parallel
    assert calls(options(out), mono) == parallel + monolingual
    without, with_mono = file_contents(tmp_path / "without"), file_contents(out.parent)
    assert {path: with_mono[path] for path in without} == without
    assert calls(options(out), mono) == calls(options(out)) == []
    write(mono / "mono.en", ["The dog sings."])
    assert calls(options(out), mono) == ["x-mono.en"]
    assert (out.parent / "x-mono.en" / "train.en").read_text() == "The dog sings.\n"

    # A new vocabulary: each language's own model, and nothing of the earlier one is left.
    assert calls(options(out, separate=True), mono) == parallel + monolingual
    for lang in ("de", "en"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(out / f"sentencepiece.bpe.{lang}.model"))
        made = out.parent / f"x-mono.{lang}"
        lines, pieces = (
            path.read_text().splitlines() for path in (made / f"train.{lang}", made / "spm" / f"train.{lang}")
        )
        assert model.encode(lines, out_type=str) == [line.split(" ") for line in pieces]
    (mono / "mono.en").unlink()
    assert calls(options(out), mono) == [*parallel, "x-mono.de"]
    assert not (out.parent / "x-mono.en").exists()
    write(out.parent / "x-mono.en" / "thesis.txt", ["mine"])
    assert calls(options(out, vocab_size=90)) == parallel
    assert sorted(path.name for path in out.parent.glob("x-mono.*")) == ["x-mono.en"]  # no recipe made it


def name_a_folder_without_text(mono):
    (mono / "mono.de").rename(mono / "mono.fr")
    return f"--mono {mono}: expected one of mono.de, mono.de.gz, mono.en, mono.en.gz, found none"


def break_monolingual_encoding(mono):
    (mono / "mono.de").write_bytes("Haus\nTür\n".encode("latin-1"))
    return f"{mono}/mono.de, line 2: not UTF-8"


def name_plain_text_gz(mono):
    (mono / "mono.de").rename(mono / "mono.de.gz")
    return f"{mono}/mono.de.gz, after line 0: damaged gzip file"


def leave_no_sentence(mono):
    write(mono.parent / "raw" / "valid.de", ["Nur zur Auswahl."] * 5)
    write(mono / "mono.de", ["", DE[0], "Nur zur Auswahl."])
    return f"--mono: {mono}/mono.de contains no sentence to train on"


def put_something_in_the_way(mono):
    write(mono.parent / "data" / "x-mono.de" / "thesis.txt", ["mine"])
    return f"{mono.parent}/data/x-mono.de exists and no recipe made it"


@pytest.mark.parametrize("spoil", [name_a_folder_without_text, break_monolingual_encoding, name_plain_text_gz,
                                   leave_no_sentence, put_something_in_the_way])  # fmt: skip
def test_bad_monolingual_text_is_refused(raw, tmp_path, preprocess_calls, spoil):
    mono = tmp_path / "mono"
    write(mono / "mono.de", ["Noch ein Satz."])
    message = spoil(mono)
    before = sorted(tmp_path.glob("data/**/*"))
    with pytest.raises(RecipeError, match=re.escape(message)):
        prepare(raw, options(tmp_path / "data" / "x"), mono)
    assert sorted(tmp_path.glob("data/**/*")) == before


def test_what_a_killed_monolingual_run_left_is_cleared_away(raw, tmp_path, preprocess_calls):
    out, leftover = tmp_path / "data" / "x", tmp_path / "data" / f".x.{'0' * 32}.partial"
    write(tmp_path / "mono" / "mono.de", ["Die Katze bellt."])
    prepare(raw, options(out))
    before = file_contents(out.parent)
    leftover.mkdir()
    (leftover / "x").symlink_to(out)
    (leftover / "x-mono.de").mkdir()
    prepare(raw, options(out), tmp_path / "mono")
    after = file_contents(out.parent)
    assert {path: after[path] for path in before} == before
    assert not leftover.exists() and (out.parent / "x-mono.de" / "train.de").read_text() == "Die Katze bellt.\n"


def test_a_failing_run_leaves_the_earlier_data_alone(raw, tmp_path, preprocess_calls, monkeypatch):
    out = tmp_path / "data" / "x"
    prepare(raw, options(out))
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}

    def fail(*arguments):
        raise RecipeError("fairseq-preprocess ended with exit code 1")

    monkeypatch.setattr(binarize, "fairseq_preprocess", fail)
    with pytest.raises(RecipeError):
        prepare(raw, options(out, vocab_size=90))
    assert {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()} == before


def test_a_folder_that_no_recipe_made_is_not_overwritten(raw, tmp_path):
    write(tmp_path / "precious" / "thesis.txt", ["mine"])
    done = run_local(tmp_path, "--raw", raw, "--out", "precious")
    assert done.returncode == 1 and "precious exists and no recipe made it" in done.stderr
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "mine\n"


def test_text_of_a_folder_that_would_be_replaced_is_refused(raw, tmp_path, preprocess_calls):
    out = tmp_path / "data" / "x"
    prepare(raw, options(out))
    before = file_contents(out.parent)
    with pytest.raises(RecipeError, match="x-text/train.de is in a folder that this run would replace"):
        prepare(out.parent / "x-text", options(out, vocab_size=90))
    assert file_contents(out.parent) == before
