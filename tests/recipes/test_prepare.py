"""`fairseq-dsl prepare`, for text of one's own: bad text and settings are refused in one line."""

import gzip
import re

import pytest
from recipes import DE, run_local, run_recipe, write


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
    return ["the valid split contains no sentence pairs"]


def cut_a_gzip_file(raw):
    (raw / "train.de.gz").write_bytes(gzip.compress((raw / "train.de").read_bytes())[:-12])
    (raw / "train.de").unlink()
    return [r"raw/train\.de\.gz, after line \d+: damaged gzip file"]


@pytest.mark.parametrize("spoil", [break_alignment, break_alignment_by_two_on_the_left, break_encoding, remove_a_file,
                                   empty_a_split, cut_a_gzip_file])  # fmt: skip
def test_bad_text_is_refused(raw, tmp_path, spoil):
    messages = spoil(raw)
    done = run_local(tmp_path, "--raw", raw, "--out", "data/x")
    assert done.returncode == 1
    for message in messages:
        assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("data/*")) and not list(tmp_path.glob("data/.*"))


@pytest.mark.parametrize("arguments, message", [
    (["--hold-out", "60"], "cannot hold out 2 x 60 of 5 distinct"),
    (["--hold-out", "1", "--test", "t"], "leave out --valid and --test"),
    (["--vocab-size", "10"], "--vocab-size 10"),
])  # fmt: skip
def test_bad_settings_are_refused(raw, tmp_path, arguments, message):
    done = run_local(tmp_path, "--raw", raw, *arguments)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_the_old_name_says_so_and_does_the_same(tmp_path):
    done = run_recipe("local", "-s", "de", "-t", "de", "--raw", tmp_path, cwd=tmp_path)
    warning, error = done.stderr.splitlines()
    assert warning == "local/prepare.sh is now `fairseq-dsl prepare`; this name goes with the next version"
    assert done.returncode == 1 and error.startswith("error: --source-lang and --target-lang: expected two languages")
