"""Bad options end in one line, and nothing is written."""

import sys

import pytest
from recipes import homeassistant, local, multi30k, toy

from fairseq_dsl_cli.preparing.options import run_main

MAINS = {"toy": toy.main, "homeassistant": homeassistant.main, "multi30k": multi30k.main, "local": local.main}


LOCAL = ["-s", "de", "-t", "en", "--raw", "raw"]


@pytest.mark.parametrize("name, arguments, message", [
    ("local", [*LOCAL, "--workers", "0"], "--workers: expected a whole number from 1 to 256, found '0'"),
    ("local", [*LOCAL, "--workers", "100000"], "--workers: expected"),
    ("local", [*LOCAL, "--vocab-size", "0"], "--vocab-size: expected a whole number from 1"),
    ("local", [*LOCAL, "--vocab-size", str(2**31)], "--vocab-size: expected"),
    ("local", [*LOCAL, "--vocab-size", "1e3"], "--vocab-size: expected"),
    ("local", [*LOCAL, "--character-coverage", "0"], "--character-coverage: expected a number from 0.98 to 1"),
    ("local", [*LOCAL, "--character-coverage", "2"], "--character-coverage: expected"),
    ("local", [*LOCAL, "--character-coverage", "nan"], "--character-coverage: expected"),
    ("local", [*LOCAL, "--hold-out", "-1"], "--hold-out: expected a whole number of at least 0, found '-1'"),
    ("local", ["-s", "de", "-t", "a/b", "--raw", "raw"], "--target-lang/-t: expected a language code"),
    ("local", ["-s", "zh-Hans", "-t", "en", "--raw", "raw"], "--source-lang/-s: expected a language code"),
    ("local", ["-s", "", "-t", "en", "--raw", "raw"], "--source-lang/-s: expected a language code"),
    ("local", ["-s", "de", "-t", "en", "--raw", "raw/train.de"], "--raw: expected a folder, found a file: 'raw/"),
    ("local", ["-s", "de", "-t", "en", "--raw", ""], "--raw: expected a folder, found none: ''"),
    ("local", [*LOCAL, "--mono", "nowhere"], "--mono: expected a folder, found none: 'nowhere'"),
    ("local", [*LOCAL, "--train", "nowhere"], "--train nowhere: expected the files nowhere.de and nowhere.en, found"),
    ("local", [*LOCAL, "--out", "."], "--out: expected the name of a new folder"),
    ("local", [*LOCAL, "--out", ""], "--out: expected the name of a new folder"),
    ("local", [*LOCAL, "--out", "a:b/x"], "--out: expected a name that fairseq can read, found ':'"),
    ("local", [*LOCAL, "--out", "a,b"], "--out: expected a name that fairseq can read, found ','"),
    ("local", [*LOCAL, "--out", "${HOME}/x"], "--out: expected a name that fairseq can read, found '${'"),
    ("local", [*LOCAL, "--out", "x\n"], "--out: expected a name that fairseq can read"),
    ("local", [*LOCAL, "--out", "x" * 300], "File name too long"),
    ("local", [*LOCAL, "--out", "raw/train.de"], "raw/train.de exists and no recipe made it"),
    ("local", [*LOCAL, "--out", "raw/train.de/x"], "raw/train.de/x cannot be created"),
    ("local", [*LOCAL, "--out", "dangling"], "dangling exists and no recipe made it"),
    ("local", [*LOCAL, "--out", "linked"], "linked exists and no recipe made it"),
    ("local", [*LOCAL, "--no-such\noption"], "--no-such option"),
    ("toy", ["--seed", "-1"], "--seed: expected a whole number of at least 0, found '-1'"),
    ("toy", ["--lang", "xx"], "--lang: invalid choice"),
    ("homeassistant", ["--lang", "a/b"], "--lang: expected a language code"),
    ("homeassistant", ["--workers", "0"], "--workers: expected"),
    ("multi30k", ["--workers", "-1"], "--workers: expected"),
], ids=lambda value: " ".join(value[-2:])[:40] if isinstance(value, list) else value[:20])  # fmt: skip
def test_bad_options_end_in_one_line(raw, tmp_path, monkeypatch, name, arguments, message):
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to("empty")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py", *arguments])
    with pytest.raises(SystemExit) as end:
        run_main(MAINS[name])
    assert end.value.code.startswith("error: ") and message in end.value.code and "\n" not in end.value.code
    assert sorted(tmp_path.rglob("*")) == before
