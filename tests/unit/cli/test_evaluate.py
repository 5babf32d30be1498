"""The command that compares systems: what it refuses before anything is translated."""

import pytest
import tiny
from saved import save_translation

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
