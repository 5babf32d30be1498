"""Which part of the gap is the language models', and which the translations'."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS / "experiments"))

import gap  # noqa: E402


def line(number, models, translations):
    scores = dict(source_lm=-9 + models, target_lm=-9, forward=-5, reverse=-5 - translations, gap=models + translations)
    return {**{key: str(value) for key, value in scores.items()}, "source_length": str(number), "target_length": "1"}


def test_the_parts_of_the_gap():
    lines = [line(n, models=n % 5 - 2, translations=(n % 2) / 10) for n in range(40)]
    pairs, mean, sd, low, high, of_models, r, of_translations, little, _ = gap.row(lines)
    assert (pairs, mean, low, high) == ("40", "0.05", "-2.00", "2.10")
    assert (sd, of_models, of_translations) == ("1.42", "1.41", "0.05")
    assert float(r) > 0.99 and abs(float(little)) < 0.05


def test_the_gap_by_length():
    lines = [line(n, models=-(n // 10), translations=1e-3 * (n % 2)) for n in range(40)]
    assert gap.row(lines[::-1])[-1] == "0.0, 1.0, 2.0, 3.0"


def test_without_language_models_there_is_no_gap(tmp_path, monkeypatch, capsys):
    (tmp_path / "scores.tsv").write_text("forward\tgap\n-1\t\n")
    monkeypatch.setattr(sys, "argv", ["gap.py", str(tmp_path / "scores.tsv")])
    with pytest.raises(SystemExit):
        gap.run()
    assert "expected the duality gaps of 20 pairs or more, found 0" in capsys.readouterr().err
