"""The data recipes: what they refuse, what they keep apart, and that what they leave behind is whole and consistent."""

import argparse
import contextlib
import errno
import gzip
import http.server
import importlib.util
import io
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest
import sentencepiece

RECIPES = Path(__file__).resolve().parents[2] / "data-bin-recipes"
DE = ["Das ist ein Haus.", "Der Hund bellt laut.", "Wir gehen nach Hause.", "Ein Vogel singt.", "Die Katze schläft."]
EN = ["This is a house.", "The dog barks loudly.", "We go home.", "A bird sings.", "The cat sleeps."]


def load(path):
    spec = importlib.util.spec_from_file_location(f"recipe_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


toy = load(RECIPES / "toy" / "prepare.py")  # puts the recipes' folder on the path
homeassistant = load(RECIPES / "homeassistant" / "prepare.py")
multi30k = load(RECIPES / "multi30k" / "prepare.py")
import binarize  # noqa: E402
from options import run_main  # noqa: E402

RECIPE_MAINS = {"toy": toy.main, "homeassistant": homeassistant.main, "multi30k": multi30k.main,
                "local": load(RECIPES / "local" / "prepare.py").main}  # fmt: skip


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def raw(tmp_path):
    """A folder with a small aligned de-en corpus under the usual names."""
    folder = tmp_path / "raw"
    for split, repeat in (("train", 20), ("valid", 1), ("test", 1)):
        write(folder / f"{split}.de", DE * repeat)
        write(folder / f"{split}.en", EN * repeat)
    return folder


def recipe(name, *arguments, cwd, **environment):
    return subprocess.run([str(RECIPES / name / "prepare.sh"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHON": sys.executable, **environment})  # fmt: skip


def local(cwd, *arguments):
    return recipe("local", "-s", "de", "-t", "en", *arguments, cwd=cwd)


# --- what is refused: one message, exit code 1, nothing left behind ---


def break_alignment(raw):
    with open(raw / "train.en", "a") as file:
        file.write("one too many\n")
    return [r"raw/train\.de has 100 lines", r"raw/train\.en has 101"]


def break_alignment_by_two_on_the_left(raw):
    write(raw / "test.de", DE + DE[:2])
    return [r"raw/test\.de has 7 lines", r"raw/test\.en has 5"]


def break_encoding(raw):
    (raw / "valid.de").write_bytes("Haus\nTür\n".encode("latin-1") + b"a\nb\nc\n")
    return [r"raw/valid\.de, line 2: not UTF-8", "byte 2 of the line"]


def remove_a_file(raw):
    (raw / "test.en").unlink()
    return ["no test text in 'en'", r"test\.en, test\.en\.gz, test_2016_flickr\.en"]


def empty_a_split(raw):
    write(raw / "valid.de", [""] * 5)
    return ["the valid split has no sentence pairs"]


def cut_a_gzip_file(raw):
    (raw / "train.de.gz").write_bytes(gzip.compress((raw / "train.de").read_bytes())[:-12])
    (raw / "train.de").unlink()
    return [r"raw/train\.de\.gz, after line \d+: damaged gzip file"]


@pytest.mark.parametrize("spoil", [break_alignment, break_alignment_by_two_on_the_left, break_encoding, remove_a_file,
                                   empty_a_split, cut_a_gzip_file])  # fmt: skip
def test_bad_text_is_refused(raw, tmp_path, spoil):
    messages = spoil(raw)
    done = local(tmp_path, "--raw", raw, "--out", "data/x")
    assert done.returncode == 1
    for message in messages:
        assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("data/*")) and not list(tmp_path.glob("data/.*"))


@pytest.mark.parametrize("arguments, message", [
    (["--hold-out", "60"], "cannot hold out 2 x 60 of 5 distinct"),
    (["--hold-out", "1", "--test", "t"], "leave --valid and --test out"),
    (["--vocab-size", "10"], "--vocab-size 10"),
])  # fmt: skip
def test_bad_settings_are_refused(raw, tmp_path, arguments, message):
    done = local(tmp_path, "--raw", raw, *arguments)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


LOCAL = ["-s", "de", "-t", "en", "--raw", "raw"]


@pytest.mark.parametrize("name, arguments, message", [
    ("local", [*LOCAL, "--workers", "0"], "--workers: expected a whole number from 1 to 256, found '0'"),
    ("local", [*LOCAL, "--workers", "100000"], "--workers: expected"),
    ("local", [*LOCAL, "--vocab-size", "0"], "--vocab-size: expected a whole number from 1"),
    ("local", [*LOCAL, "--vocab-size", str(2**31)], "--vocab-size: expected"),
    ("local", [*LOCAL, "--vocab-size", "1e3"], "--vocab-size: expected"),
    ("local", [*LOCAL, "--character-coverage", "0"], "--character-coverage: expected a number from 0.98 to 1, found '0'"),
    ("local", [*LOCAL, "--character-coverage", "2"], "--character-coverage: expected"),
    ("local", [*LOCAL, "--character-coverage", "nan"], "--character-coverage: expected"),
    ("local", [*LOCAL, "--hold-out", "-1"], "--hold-out: expected a whole number of at least 0, found '-1'"),
    ("local", ["-s", "de", "-t", "a/b", "--raw", "raw"], "--target-lang/-t: expected a language code"),
    ("local", ["-s", "zh-Hans", "-t", "en", "--raw", "raw"], "--source-lang/-s: expected a language code"),
    ("local", ["-s", "", "-t", "en", "--raw", "raw"], "--source-lang/-s: expected a language code"),
    ("local", ["-s", "de", "-t", "en", "--raw", "raw/train.de"], "--raw: expected a folder, found a file: 'raw/train.de'"),
    ("local", ["-s", "de", "-t", "en", "--raw", ""], "--raw: expected a folder, found none: ''"),
    ("local", [*LOCAL, "--mono", "nowhere"], "--mono: expected a folder, found none: 'nowhere'"),
    ("local", [*LOCAL, "--train", "nowhere"], "nowhere.de"),
    ("local", [*LOCAL, "--out", "."], "--out: expected the name of a new folder"),
    ("local", [*LOCAL, "--out", ""], "--out: expected the name of a new folder"),
    ("local", [*LOCAL, "--out", "a:b/x"], "--out: expected a name that fairseq can read, found ':'"),
    ("local", [*LOCAL, "--out", "a,b"], "--out: expected a name that fairseq can read, found ','"),
    ("local", [*LOCAL, "--out", "${HOME}/x"], "--out: expected a name that fairseq can read, found '${'"),
    ("local", [*LOCAL, "--out", "x\n"], "--out: expected a name that fairseq can read"),
    ("local", [*LOCAL, "--out", "x" * 300], "File name too long"),
    ("local", [*LOCAL, "--out", "raw/train.de"], "raw/train.de exists and no recipe made it"),
    ("local", [*LOCAL, "--out", "raw/train.de/x"], "raw/train.de/x cannot be made"),
    ("local", [*LOCAL, "--out", "dangling"], "dangling exists and no recipe made it"),
    ("local", [*LOCAL, "--out", "linked"], "linked exists and no recipe made it"),
    ("local", [*LOCAL, "--no-such\noption"], "--no-such option"),
    ("toy", ["--seed", "-1"], "--seed: expected a whole number of at least 0, found '-1'"),
    ("toy", ["--lang", "xx"], "--lang: invalid choice"),
    ("homeassistant", ["--lang", "a/b"], "--lang: expected a language code"),
    ("homeassistant", ["--workers", "0"], "--workers: expected"),
    ("multi30k", ["--workers", "-1"], "--workers: expected"),
])  # fmt: skip
def test_bad_options_end_in_one_line(raw, tmp_path, monkeypatch, name, arguments, message):
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to("empty")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py", *arguments])
    with pytest.raises(SystemExit) as end:
        run_main(RECIPE_MAINS[name])
    assert end.value.code.startswith("error: ") and message in end.value.code and "\n" not in end.value.code
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_no_recipe_made_is_not_overwritten(raw, tmp_path):
    write(tmp_path / "precious" / "thesis.txt", ["mine"])
    done = local(tmp_path, "--raw", raw, "--out", "precious")
    assert done.returncode == 1 and "precious exists and no recipe made it" in done.stderr
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "mine\n"


def test_a_missing_fairseq_is_said_before_the_work(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(binarize.RecipeError, match="python.* has no fairseq-preprocess: install fairseq_dsl"):
        binarize.prepare(options(tmp_path / "x"), ("de", "en"), [], lambda: pytest.fail("the text was read"))


def test_failed_download_names_the_way_round_it(tmp_path):
    done = recipe("multi30k", cwd=tmp_path, https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1 and "--raw DIR" in done.stderr and "train.de.gz" in done.stderr
    assert not list(tmp_path.glob("data-bin/download/multi30k/*"))


@pytest.mark.parametrize("announced, whole", [(4, True), (5, False)])
def test_a_download_is_complete_or_not_there(tmp_path, monkeypatch, announced, whole):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(b"text")

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(multi30k, "URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        if whole:
            multi30k.download("train.de.gz", tmp_path)
            assert (tmp_path / "train.de.gz").read_bytes() == b"text"
        else:
            with pytest.raises(binarize.RecipeError, match="--raw DIR"):
                multi30k.download("train.de.gz", tmp_path)
            assert not (tmp_path / "train.de.gz").exists()
        server.shutdown()
    if whole:
        multi30k.download("train.de.gz", tmp_path)  # what is there is not fetched again: the server is gone


def test_another_wheel_is_refused(tmp_path):
    (tmp_path / homeassistant.WHEEL).write_bytes(b"something else")
    done = recipe("homeassistant", "--raw", ".", cwd=tmp_path)
    assert done.returncode == 1 and f"not {homeassistant.SHA256}" in done.stderr


# --- reading text ---


def test_only_a_newline_ends_a_line(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffone\u2028still one\r\ntwo\x0bstill\rtwo\n\nlast".encode())
    assert list(binarize.read_lines(path)) == ["one still one", "two still two", "", "last"]


def test_changed_characters_are_counted_and_said(tmp_path, capsys):
    write(tmp_path / "text", ["a \u2581 b\u2581c", "e\u0301  f ", "  plain\ttext", "zero\u200bwidth"])
    assert list(binarize.read_lines(tmp_path / "text")) == ["a _ b_c", "\u00e9 f", "plain text", "zero width"]
    output = capsys.readouterr().out
    assert f"{tmp_path}/text: changed characters in 3 of 4 lines" in output
    assert f"note: {tmp_path}/text had 2 times U+2581" in output
    write(tmp_path / "plain", ["a _ b"] * 3)
    list(binarize.read_lines(tmp_path / "plain"))
    assert not capsys.readouterr().out


def through_sentencepiece(train, test, folder):
    """The pieces of both, as files hold them, from a model of `train`."""
    folder.mkdir(exist_ok=True)
    write(folder / "train.de", train)
    write(folder / "test.de", test)
    model = folder / "model"
    binarize._train_sentencepiece([folder / "train.de"], model, 20000, 1.0, folder)
    for split in ("train", "test"):
        binarize._encode(model, folder / f"{split}.de", folder / split)
    return [(folder / split).read_text(encoding="utf-8").split("\n")[:-1] for split in ("train", "test")]


def test_text_of_any_characters_comes_back_sign_for_sign(tmp_path):
    from fairseq.data import Dictionary

    rng = random.Random(1)
    characters = [chr(code) for code in [*range(0x3000), *rng.sample(range(0x3000, 0x110000), 3000)]
                  if not 0xD800 <= code < 0xE000]  # fmt: skip
    rng.shuffle(characters)
    special = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "madeupword0000", "#fairseq:overwrite", "\u2581", "\u2585", "@@"]
    lines = [f"a{one}b {two} {three}{three} {one}{two}{three}" for one, two, three in zip(*[iter(characters)] * 3)]
    lines += [f"{one}{two} x{one}y {two}" for one in special for two in special]
    lines = [line for line in map(binarize.clean, lines) if line]
    half = len(lines) // 2
    for pieces, text in zip(through_sentencepiece(lines[:half], lines[half:], tmp_path), (lines[:half], lines[half:])):
        dictionary = Dictionary()
        for line in pieces:
            dictionary.encode_line(line)
        dictionary.finalize()
        dictionary.save(str(tmp_path / "dict.txt"))
        dictionary = Dictionary.load(str(tmp_path / "dict.txt"))
        ids = [dictionary.encode_line(line, add_if_not_exist=False) for line in pieces]
        assert [dictionary.string(line, "sentencepiece") for line in ids] == text
        assert not any((line[:-1] < dictionary.nspecial).any() for line in ids)


def test_unknown_characters_do_not_become_symbols_of_fairseq(tmp_path):
    text = ["\uc9d1 <s> </s> <unk> <pad>", "<s>\uc9d1</s>"]  # none of the Latin characters stands in training
    _, pieces = through_sentencepiece(["\uc9d1\uc5d0 \uac11\ub2c8\ub2e4"] * 9, text, tmp_path)
    assert not {"<s>", "</s>", "<unk>", "<pad>"} & set(" ".join(pieces).split(" "))
    assert [line.replace(" ", "").replace("\u2581", " ").strip() for line in pieces] == text


def test_text_that_sentencepiece_would_not_give_back_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sentencepiece.SentencePieceProcessor, "encode", lambda *_, **__: ["\u2581ein"])
    with pytest.raises(binarize.RecipeError, match="do not give this sentence of train.de back: 'ein Haus'"):
        through_sentencepiece(["ein Haus"], ["ein Haus"], tmp_path)


def test_pairs_with_an_empty_side_are_dropped_and_counted(tmp_path, capsys):
    write(tmp_path / "a.de", ["eins", "", "drei", "\u200b ", "fünf"])
    write(tmp_path / "a.en", ["one", "two", "three", "four", ""])
    assert list(binarize.read_parallel(tmp_path / "a.de", tmp_path / "a.en")) == [("eins", "one"), ("drei", "three")]
    assert "dropped 3 of 5 pairs" in capsys.readouterr().out


def test_hold_out_keeps_sentences_apart():
    # Sentences are used again in other pairs and in another case, as in real text.
    pairs = [(f"Quelle {n % 70}", f"{'target' if n % 2 else 'TARGET'} {n % 90}") for n in range(600)]
    splits = binarize.hold_out(pairs, 10, key=str.casefold)
    assert [len(splits[split]) for split in ("valid", "test")] == [10, 10] and splits["train"]
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        for side in (0, 1):
            assert not {pair[side].casefold() for pair in splits[one]} & {pair[side].casefold() for pair in splits[other]}
    # Every pair a new object, in another order: only its text may matter.
    again = binarize.hold_out([tuple("\t".join(pair).split("\t")) for pair in reversed(pairs)], 10, key=str.casefold)
    assert again["test"] == splits["test"] and again["valid"] == splits["valid"]


# --- what is left behind ---


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The local recipe, run once for real on Korean-English text with decomposed and invisible characters.

    It is far too small for the default --vocab-size.
    """
    folder = tmp_path_factory.mktemp("recipes")
    korean = ["집에 갑니다.", "개가 크게 짖습니다.", "새가 노래합니다.", "고양이가 잠을 잡니다.", "이것은 집입니다."]
    for split, repeat in (("training", 20), ("dev", 1), ("test", 1)):
        write(folder / "raw" / f"{split}.ko", [unicodedata.normalize("NFD", line) for line in korean] * repeat)
        write(folder / "raw" / f"{split}.en", [line.replace(" ", "\u00a0 ") + "…" for line in EN] * repeat)
    done = recipe("local", "-s", "ko", "-t", "en", "--raw", "raw", "--out", "data/x", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_text_survives_sentencepiece(prepared):
    folder, _ = prepared
    text = folder / "data" / "x-text"
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "data" / "x" / "sentencepiece.bpe.model"))
    for split in binarize.SPLITS:
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
    assert "also stand in training: 5 of 5 in ko and 5 of 5 in en" in prepared[1]


def file_contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_monolingual_text_is_added_to_finished_data(prepared):
    from fairseq.data import Dictionary, data_utils

    folder, _ = prepared
    data, mono = folder / "data", folder / "mono" / "mono.ko.gz"
    new = ["새가 집에 갑니다.", "고양이가 노래합니다."]
    lines = [new[0], "", unicodedata.normalize("NFD", "집에  갑니다."), new[1], "\u200b", unicodedata.normalize("NFD", new[0])]
    mono.parent.mkdir()
    mono.write_bytes(gzip.compress("\n".join(lines).encode()))
    before = file_contents(data)
    arguments = ["-s", "ko", "-t", "en", "--raw", "raw", "--out", "data/x", "--mono", "mono"]
    done = recipe("local", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "note: --mono mono has no mono.en or mono.en.gz: no monolingual data are made in 'en'" in done.stdout
    assert "2 sentences, 5 words; dropped 2 empty lines, 1 lines that stand in valid or test, 1 duplicates" in done.stdout
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
    assert [sentence.tolist() for sentence in valid] == [sentence.tolist() for sentence in lm_valid]
    [command] = re.findall(r"^cd data && (fairseq-preprocess .*)$", done.stdout, re.MULTILINE)
    for path in re.findall(r"--(?:\w+pref|srcdict|destdir) (\S+)", command):
        assert (data / path).exists(), path

    again = recipe("local", *arguments, cwd=folder)
    assert "finished already" in again.stdout and file_contents(data) == after


# --- running again ---


@pytest.fixture
def preprocess_calls(monkeypatch):
    """Stands in for the slow fairseq-preprocess; the destinations it was asked for."""
    calls = []

    def stand_in(arguments, folder, shown_folder):
        destination = arguments[arguments.index("--destdir") + 1]
        (folder / destination).mkdir(exist_ok=True)
        calls.append(destination)
        return ""

    monkeypatch.setattr(binarize, "_fairseq_preprocess", stand_in)
    return calls


def options(out, **changes):
    args = dict(out=out, vocab_size=100, character_coverage=1.0, separate=False, workers=1)
    return argparse.Namespace(**{**args, **changes})


def prepare(raw, args, mono=None):
    files = {split: [raw / f"{split}.de", raw / f"{split}.en"] for split in binarize.SPLITS}
    binarize.prepare(args, ("de", "en"), sum(files.values(), []),
                     lambda: {split: binarize.read_parallel(*pair) for split, pair in files.items()},
                     binarize.find_mono(mono, ("de", "en")))  # fmt: skip


def test_a_second_run_works_only_where_something_changed(raw, tmp_path, preprocess_calls):
    out = tmp_path / "data" / "x"
    first = ["x", "x-lm.de", "x-lm.en"]
    prepare(raw, options(out))
    assert preprocess_calls == first
    prepare(raw, options(out, workers=2))
    assert preprocess_calls == first
    prepare(raw, options(out, separate=True))
    assert preprocess_calls == first * 2
    assert sorted(path.name for path in out.glob("*.model")) == ["sentencepiece.bpe.de.model", "sentencepiece.bpe.en.model"]
    (raw / "test.en").write_text((raw / "test.en").read_text().replace("dog", "cat"))
    prepare(raw, options(out, separate=True))
    assert preprocess_calls == first * 3
    assert "The cat barks loudly." in (tmp_path / "data" / "x-text" / "test.en").read_text()
    (tmp_path / "data" / "x-lm.en" / "recipe.json").unlink()
    (tmp_path / "data" / "x-lm.en").rmdir()
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
        lines, pieces = (path.read_text().splitlines() for path in (made / f"train.{lang}", made / "spm" / f"train.{lang}"))
        assert model.encode(lines, out_type=str) == [line.split(" ") for line in pieces]
    (mono / "mono.en").unlink()
    assert calls(options(out), mono) == [*parallel, "x-mono.de"]
    assert not (out.parent / "x-mono.en").exists()
    write(out.parent / "x-mono.en" / "thesis.txt", ["mine"])
    assert calls(options(out, vocab_size=90)) == parallel
    assert sorted(path.name for path in out.parent.glob("x-mono.*")) == ["x-mono.en"]  # no recipe made it


def name_a_folder_without_text(mono):
    (mono / "mono.de").rename(mono / "mono.fr")
    return f"--mono {mono}: no text there, looked for mono.de, mono.de.gz, mono.en, mono.en.gz"


def break_monolingual_encoding(mono):
    (mono / "mono.de").write_bytes("Haus\nTür\n".encode("latin-1"))
    return f"{mono}/mono.de, line 2: not UTF-8"


def name_plain_text_gz(mono):
    (mono / "mono.de").rename(mono / "mono.de.gz")
    return f"{mono}/mono.de.gz, after line 0: damaged gzip file"


def leave_no_sentence(mono):
    write(mono.parent / "raw" / "valid.de", ["Nur zur Auswahl."] * 5)
    write(mono / "mono.de", ["", DE[0], "Nur zur Auswahl."])
    return f"--mono: no sentence of {mono}/mono.de is left"


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
    with pytest.raises(binarize.RecipeError, match=re.escape(message)):
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
        raise binarize.RecipeError("fairseq-preprocess ended with exit code 1")

    monkeypatch.setattr(binarize, "_fairseq_preprocess", fail)
    with pytest.raises(binarize.RecipeError):
        prepare(raw, options(out, vocab_size=90))
    assert {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()} == before


# --- killed, interrupted, out of space ---


@pytest.fixture
def endless(tmp_path):
    """Starts the local recipe with a fairseq-preprocess whose workers write for ever; in their folder are their names."""
    write(tmp_path / "fake" / "fairseq_cli" / "__init__.py", [])
    write(tmp_path / "fake" / "fairseq_cli" / "preprocess.py", [
        "import multiprocessing, os, sys, time",
        "def work(number):",
        "    open(f'{os.getpid()}.worker', 'w').close()",
        "    while True:",
        "        open('growing', 'a').write('x')",
        "        time.sleep(0.01)",
        "def cli_main():",
        "    open(f'{os.getpid()}.worker', 'w').close()",
        "    with multiprocessing.Pool(2) as pool:",
        "        pool.map(work, range(2))",
    ])  # fmt: skip
    started = []

    def start():
        environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(tmp_path / "fake")}
        command = [RECIPES / "local" / "prepare.sh", "-s", "de", "-t", "en", "--raw", tmp_path / "raw", "--out", "data/x",
                   "--vocab-size", "100"]  # fmt: skip
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True))  # fmt: skip
        wait_until(lambda: len(workers(tmp_path)) == 3)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(holds, seconds=60):
    deadline = time.time() + seconds
    while not holds():
        assert time.time() < deadline
        time.sleep(0.02)


def workers(folder):
    return [int(path.stem) for path in folder.glob("data/.x.*.partial/*.worker")]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes die with their parent on Linux only")


@linux_only
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_killed_run_lives_on(raw, tmp_path, endless, signal_):
    running = endless()
    pids = workers(tmp_path)
    os.kill(running.pid, signal_)
    running.wait()
    wait_until(lambda: not any(map(is_alive, pids)), seconds=5)
    assert [path.suffix for path in sorted((tmp_path / "data").iterdir())] == [".partial", ".lock"]  # what is left of it
    done = local(tmp_path, "--raw", raw, "--out", "data/x", "--vocab-size", "10")
    assert "--vocab-size 10" in done.stderr
    assert not list((tmp_path / "data").iterdir())


def test_a_live_run_is_not_disturbed(raw, tmp_path, endless):
    running = endless()
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    second = local(tmp_path, "--raw", raw, "--out", "data/x", "--vocab-size", "100")
    assert second.returncode == 1 and second.stderr == "error: another run is preparing data/x: wait for it to end\n"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before and running.poll() is None


@linux_only
def test_an_interrupted_run_clears_up(raw, tmp_path, endless):
    running = endless()
    pids = workers(tmp_path)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(20) == 130 and running.stderr.read() == "interrupted; run the same command again\n"
    wait_until(lambda: not any(map(is_alive, pids)), seconds=5)


def test_a_run_writes_nowhere_that_could_be_prepared(raw, tmp_path, preprocess_calls):
    data, precious = tmp_path / "data", tmp_path / "precious"
    write(precious / "thesis.txt", ["mine"])
    data.mkdir()
    for name in (".x.partial", f".x.{'0' * 32}.partial", ".x-text.partial"):
        (data / name).symlink_to(precious)
    prepare(raw, options(data / "x"))
    assert file_contents(precious) == {Path("thesis.txt"): b"mine\n"}
    assert {path.name for path in data.iterdir() if not path.is_symlink()} == {"x", "x-text", "x-lm.de", "x-lm.en"}


def test_a_lock_that_is_a_link_is_refused(raw, tmp_path, preprocess_calls):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".x.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(binarize.RecipeError, match="x cannot be made: .*x.lock"):
        prepare(raw, options(tmp_path / "data" / "x"))
    assert not (tmp_path / "precious").exists()


def test_a_download_writes_nowhere_that_could_be_prepared(tmp_path, monkeypatch):
    (tmp_path / "train.de.gz").symlink_to(tmp_path / "precious")
    (tmp_path / "train.de.gz.partial").symlink_to(tmp_path / "precious")
    monkeypatch.setattr(multi30k.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"text"))
    multi30k.download("train.de.gz", tmp_path)
    assert (tmp_path / "train.de.gz").read_bytes() == b"text" and not (tmp_path / "train.de.gz").is_symlink()
    assert not (tmp_path / "precious").exists()


def test_a_full_disk_is_said_in_one_line(raw, tmp_path):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [RECIPES / "local" / "prepare.sh", "-s", "de", "-t", "en", "--raw", raw, "--out", tmp_path / "data" / "x"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable},
                          preexec_fn=limit_files)  # fmt: skip
    assert done.returncode == 1 and done.stderr == f"error: {tmp_path}/data/x cannot be made: [Errno 27] File too large\n"
    assert not list((tmp_path / "data").iterdir())


def test_folders_take_their_places_together_or_not_at_all(raw, tmp_path, preprocess_calls, monkeypatch):
    out = tmp_path / "data" / "x"
    prepare(raw, options(out))
    before = file_contents(out.parent)
    rename = Path.rename

    def full_disk(source, target):
        if target == out and "replaced" not in source.parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(binarize.RecipeError, match="x cannot be made: .*No space left on device"):
        prepare(raw, options(out, vocab_size=90))
    assert file_contents(out.parent) == before


def test_text_of_a_folder_that_would_be_replaced_is_refused(raw, tmp_path, preprocess_calls):
    out = tmp_path / "data" / "x"
    prepare(raw, options(out))
    before = file_contents(out.parent)
    with pytest.raises(binarize.RecipeError, match="x-text/train.de is in a folder that this run would replace"):
        prepare(out.parent / "x-text", options(out, vocab_size=90))
    assert file_contents(out.parent) == before


@pytest.mark.parametrize("printed, message", [
    ("INFO:fairseq_cli.preprocess:[de] x] y/train.de: 5 sents, 20 tokens", None),
    ("INFO:fairseq_cli.preprocess:[de] x] y/train.de: 6 sents, 20 tokens", "made 6 sentences of the 5 lines in x. y/train.de"),
    ("", "did not say how many sentences"),
])  # fmt: skip
def test_sentences_that_fairseq_preprocess_lost_are_noticed(tmp_path, monkeypatch, printed, message):
    write(tmp_path / "x] y" / "train.de", DE)
    monkeypatch.setattr(binarize, "run", lambda command, **options: (0, printed))
    with pytest.raises(binarize.RecipeError, match=message) if message else contextlib.nullcontext():
        binarize._fairseq_preprocess([], tmp_path, tmp_path)


def test_the_last_line_of_a_failing_fairseq_preprocess_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(binarize, "run", lambda command, **options: (1, "Traceback:\n  ...\nOSError: full\n"))
    with pytest.raises(binarize.RecipeError, match="^fairseq-preprocess ended with exit code 1: OSError: full$"):
        binarize._fairseq_preprocess([], tmp_path, tmp_path)
    assert "Traceback:" in capsys.readouterr().out


# --- the recipes' own text ---


@pytest.mark.parametrize("lang", ["fr", "cs"])
def test_multi30k_takes_the_published_names(tmp_path, lang):
    for split in ("train", "val", "test_2016_flickr"):
        for language, lines in ((lang, DE), ("en", EN[:-1] if split == "val" else EN)):
            file = tmp_path / "raw" / f"{split}.{language}.gz"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.compress("\n".join(lines).encode()))
    # The shorter val.en is found out after the names are: no need to wait for fairseq.
    done = recipe("multi30k", "--lang", lang, "--raw", "raw", cwd=tmp_path)
    assert done.returncode == 1 and f"raw/val.{lang}.gz has 5 lines and raw/val.en.gz has 4" in done.stderr


def test_multi30k_takes_monolingual_text_too(tmp_path):
    (tmp_path / "raw").mkdir()
    done = recipe("multi30k", "--raw", "raw", "--mono", "raw", cwd=tmp_path)
    assert done.returncode == 1 and "--mono raw: no text there, looked for mono.de, mono.de.gz, mono.en" in done.stderr


@pytest.mark.parametrize("number, german, english", [
    (2, "zwei", "two"),
    (16, "sechzehn", "sixteen"),
    (20, "zwanzig", "twenty"),
    (31, "einunddreißig", "thirty-one"),
    (101, "einhunderteins", "one hundred and one"),
    (342, "dreihundertzweiundvierzig", "three hundred and forty-two"),
    (900, "neunhundert", "nine hundred"),
])  # fmt: skip
def test_numbers_are_spelled(number, german, english):
    assert (toy.german_number(number), toy.english_number(number)) == (german, english)


def test_toy_corpus_depends_on_its_seed_and_repeats_no_sentence():
    splits = toy.generate(seed=3)
    assert splits == toy.generate(seed=3) != toy.generate(seed=4)
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 4000, "valid": 200, "test": 200}
    for side in (0, 1):
        sentences = [pair[side] for pairs in splits.values() for pair in pairs]
        assert len(set(sentences)) == len(sentences)
        assert all(binarize.clean(sentence) == sentence for sentence in sentences)


def wheel_of(path, texts):
    """A wheel with one component for each (German, English) pair of `texts`."""
    with zipfile.ZipFile(path, "w") as wheel:
        for number, pair in enumerate(texts):
            for lang, text in zip(("de", "en"), pair):
                name = f"homeassistant/components/c{number:04}/translations/{lang}.json"
                wheel.writestr(name, json.dumps({"config": {"step": {"title": text}}}))
        wheel.writestr("homeassistant/components/c0000/translations/fr.json", json.dumps({"other": "Autre"}))
        # The same path of keys in two components is not the same text.
        wheel.writestr("homeassistant/components/only/translations/en.json", json.dumps({"config": {"step": {"title": "x"}}}))
    return path


def test_homeassistant_drops_what_teaches_nothing(capsys):
    pairs = [("Batterie {n} leer", "Battery {n} low"), ("Gerät **hier** suchen", "Find the device **here**"),
             ("Siehe [hier](x)", "See [here](x)"), ("Phase L1", "phase L 1"), ("Zeile\nzwei", "line\ntwo"), ("12 %", "12%"),
             ("lang " * 61, "long"), ("Alarm 1 scharf", "Alarm 1 armed"), ("Alarm 2 scharf.", "Alarm 2 armed."),
             ("Alarm 1 scharf", "Alarm 1 on"), (" Tür  offen\n", "Door open")]  # fmt: skip
    assert homeassistant.select_pairs(pairs) == [("Alarm 1 scharf", "Alarm 1 armed"), ("Alarm 1 scharf", "Alarm 1 on"),
                                                 ("Tür offen", "Door open")]  # fmt: skip
    assert "kept 3 of 11 distinct pairs; dropped: placeholder 1, markup or address 2, not translated 1, several lines 1, " \
           "empty or no letters 1, over 60 words 1, near-duplicate 1" in capsys.readouterr().out  # fmt: skip


def test_homeassistant_holds_out_sentences_that_training_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(homeassistant, "MIN_PAIRS", 100)
    words = [(a + b, c + d) for a, c in zip("KLMN", "klmn") for b, d in zip(["und", "ant", "eber"], ["ot", "ap", "ist"])]
    texts = [(f"{x[0]} ist {n} mal {y[0]}", f"{x[1]} is {n} times {y[1]}") for x in words for y in words for n in (1, 2)]
    texts += [(f"{x[0]} Mal, {y[0]} 7 ist", f"{x[1]} is times: {y[1]} 3") for x in words for y in words]  # same English letters
    texts += [("Kurz " + x[0], "Short " + x[1]) for x in words]
    splits = homeassistant.make_splits(wheel_of(tmp_path / "w.zip", texts), "de")
    assert len(splits["valid"]) == len(splits["test"]) == (2 * 144 + 12) // 20
    assert all(len(english.split()) >= 4 for split in ("valid", "test") for _, english in splits[split])
    assert {"short kot"} < {homeassistant.letters(english) for _, english in splits["train"]}
    for side in (0, 1):
        train, valid, test = ({homeassistant.letters(p[side]) for p in splits[s]} for s in binarize.SPLITS)
        assert not test & (train | valid) and not valid & train


@pytest.mark.parametrize("lang, message", [("xx", "Home Assistant has de, fr"), ("fr", "0 sentence pairs are too few")])
def test_homeassistant_says_which_languages_there_are(tmp_path, lang, message):
    with pytest.raises(binarize.RecipeError, match=message):
        homeassistant.make_splits(wheel_of(tmp_path / "w.zip", [("Tür", "Door")]), lang)
