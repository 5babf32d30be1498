"""The command that compares systems: what it refuses before anything is translated."""

import pytest
import tiny
from saved import save_pair, save_translation

import fairseq_dsl
from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli import children
from fairseq_dsl_cli.main import run


def test_a_swapped_order_is_refused_before_any_translation(tmp_path, data, monkeypatch):
    """A whole command line with real data; no command of fairseq may start."""
    for lang in ("de", "en"):
        (tmp_path / f"text.{lang}").write_text("x\n" * len(tiny.PAIRS))
    (tmp_path / "data").symlink_to(data)
    paths = [save_translation(tmp_path / f"{pair}.pt", *pair.split("-")) for pair in ("en-de", "de-en")]
    words = ["--data-bin", data, "-s", "de", "-t", "en", "--text", str(tmp_path / "text"), "--subset", "valid"]
    words += ["--user-dir", fairseq_dsl.__path__[0], "--output", str(tmp_path / "out")]
    monkeypatch.setattr(children, "start", None)
    with pytest.raises(BadInput, match="--baseline warm: .*en-de.pt: expected a translation model for de-en"):
        run(["evaluate", *words, "--baseline", f"warm={','.join(paths)}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--source-lm", "--target-lm"])
def test_one_language_model_is_refused(tmp_path, flag, capsys):
    (tmp_path / "dual.pt").touch()
    words = ["--data-bin", "d", "-s", "de", "-t", "en", "--baseline", f"control={tmp_path}/dual.pt"]
    with pytest.raises(SystemExit):
        run(["evaluate", *words, flag, "x.pt"])
    assert "the duality gap requires both" in capsys.readouterr().err


@pytest.fixture
def words(tmp_path, data):
    """A command line of a pair, de-en, whose files are all there."""
    for lang in ("de", "en"):
        (tmp_path / f"text.{lang}").write_text("x\n" * len(tiny.PAIRS))
    words = ["--data-bin", data, "-s", "de", "-t", "en", "--text", str(tmp_path / "text"), "--subset", "valid"]
    words += ["--user-dir", fairseq_dsl.__path__[0], "--output", str(tmp_path / "out")]
    return ["evaluate", *words, "--baseline", f"control={save_pair(tmp_path / 'dual.pt', 'de', 'en')}"]


@pytest.mark.parametrize("flags, message", [
    (["--tokenize", "fr=13a"], "--tokenize fr=13a: expected VALUE or NAME=VALUE,... of de and en, found 'fr=13a'"),
    (["--tokenize", "de=13b"], "--tokenize: expected one of none, zh, 13a,"),
    (["--reverse-weight", "0.5"], "--reverse-weight 0.5: has no effect without --dual-inference"),
    (["--dual-inference", "--lm-weight", "1"], "--lm-weight 1: requires language models, and control has none"),
    (["--dual-inference", "--reverse-weight", "2"], "--reverse-weight 2.0: expected a number from 0 to 1"),
])  # fmt: skip
def test_flags_that_cannot_be_are_refused_in_one_line(tmp_path, words, flags, message, capsys, monkeypatch):
    monkeypatch.setattr(children, "start", None)
    with pytest.raises(SystemExit) as caught:
        run([*words, *flags])
    printed = capsys.readouterr().err
    assert caught.value.code == 2 and message in printed and printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_scores_of_the_data_are_no_language_models_of_dual_inference(tmp_path, words, monkeypatch):
    monkeypatch.setattr(children, "start", None)
    scores = ["--source-lm", f"scores:{tmp_path}", "--target-lm", f"scores:{tmp_path}"]
    with pytest.raises(BadInput, match="--source-lm scores:.*; --dual-inference, unless with --lm-weight 0, requires"):
        run([*words, *scores, "--dual-inference"])
    assert not (tmp_path / "out").exists()
    for flags in ([], ["--dual-inference", "--lm-weight", "0"]):  # of the gap they are
        with pytest.raises(TypeError, match="NoneType"):  # what would be the first command
            run([*words, *scores, *flags])


def test_a_name_of_dual_inference_is_taken_once(words, tmp_path, capsys):
    other = ["--system", f"control + dual inference={tmp_path}/dual.pt"]
    with pytest.raises(SystemExit):
        run([*words, *other, "--dual-inference"])
    assert "--system: each name once" in capsys.readouterr().err
