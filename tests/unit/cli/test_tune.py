"""The command that chooses the weights of dual inference: its words, and what it prints, draws and stores."""

import re

import pytest
import torch
from saved import save_pair
from score_lines import REFERENCES, drawn, hypothesis, line, save

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli import tune
from fairseq_dsl_cli.main import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    save(tmp_path / "scores.jsonl", drawn())
    save(tmp_path / "without.jsonl", drawn(lm=False))
    (tmp_path / "ref.en").write_text("\n".join(REFERENCES) + "\n")
    (tmp_path / "empty.en").write_text("")
    save_pair(tmp_path / "dual.pt", "de", "en")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tuned(capsys, *words):
    assert not run(["tune", *words, "--reference", "ref.en", "--resamples", "50", "--tokenize", "none"])
    return capsys.readouterr().out


def test_prints_the_surface_the_flags_and_the_gain(folder, capsys):
    text = tuned(capsys, "scores.jsonl")
    table = [row.split() for row in text.split("\n")[1:13]]
    assert [float(weight) for weight in table[0]] == tune.LM_WEIGHTS
    assert [float(row[0]) for row in table[1:]] == tune.REVERSE_WEIGHTS
    assert len({*table[1][1:]}) == 1  # A = 0: the forward model's order, whatever B is
    assert re.search(r"^best: --reverse-weight 0\.\d+ --lm-weight [\d.]+$", text, re.M)
    gains = r"BLEU ([\d.]+), ([\d.]+) in the forward .*: ([+\d.]+) \[.*\] \(p = "
    best, forward, gain = re.search(gains, text).groups()
    assert table[1][1] == forward
    assert float(best) - float(forward) == pytest.approx(float(gain), abs=0.02) and float(gain) > 3
    assert "tune on validation data, and report on test data" in text
    assert "model: 1 of 40\n" in text
    assert "tok:none" in text


def test_without_a_language_model_there_is_one_column_and_one_flag(folder, capsys):
    text = tuned(capsys, "without.jsonl")
    assert re.search(r"^best: --reverse-weight 0\.\d+$", text, re.M)
    assert text.split("\n")[1].split() == ["0"]


def test_chrf_can_be_tuned_for(folder, capsys):
    assert not run(["tune", "scores.jsonl", "--reference", "ref.en", "--resamples", "50", "--chrf"])
    assert capsys.readouterr().out.startswith("chrF2 of de-en, 40 sentences")


def test_weights_can_be_given(folder, capsys):
    text = tuned(capsys, "scores.jsonl", "--reverse-weights", "0.25,0.75", "--lm-weights", "0.3")
    assert re.search(r"^best: --reverse-weight 0\.[27]5 --lm-weight 0\.3$", text, re.M)


def test_says_so_where_no_weights_gain_anything(folder, capsys):
    lines = [line(n, [hypothesis(reference, -1.0, -1.0, -1.0)]) for n, reference in enumerate(REFERENCES)]
    save(folder / "scores.jsonl", lines)
    text = tuned(capsys, "scores.jsonl")
    assert "best: --reverse-weight 0 --lm-weight 0\n" in text
    assert "on which no plateau of weights improves" in text


def test_the_weights_are_stored_and_the_surface_drawn(folder, capsys):
    text = tuned(capsys, "scores.jsonl", "--store", "dual.pt", "--plot", "new/surface.png")
    reverse_weight, lm_weight = re.search(r"--reverse-weight (\S+) --lm-weight (\S+)$", text, re.M).groups()
    stored = torch.load("dual.pt")["cfg"]["model"]["dual_inference"]
    assert stored == {"de-en": {"reverse": float(reverse_weight), "lm": float(lm_weight)}}
    assert (folder / "new" / "surface.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.jsonl"], "expected a file, found"),
        (["scores.jsonl", "--reverse-weights", "0.5,1.5"], "expected numbers from 0 to 1 with commas"),
        (["scores.jsonl", "--lm-weights", "nan"], "expected numbers from 0 to 1000 with commas"),
        (["without.jsonl", "--lm-weights", "0,1"], "--lm-weights: without.jsonl: no scores of a language model"),
        (["scores.jsonl", "--plot", "scores.jsonl"], "expected another file to write than the input"),
        (["scores.jsonl", "--plot", "dual.pt", "--store", "dual.pt"], "expected another file to write than the input"),
        (["scores.jsonl", "--chrf", "--tokenize", "zh"], "not allowed with argument"),
    ],
)
def test_refuses_words_that_make_no_sense(folder, capsys, words, message):
    with pytest.raises(SystemExit):
        run(["tune", *words, "--reference", "ref.en"])
    assert message in capsys.readouterr().err


def test_refuses_an_empty_reference(folder, capsys):
    with pytest.raises(SystemExit):
        run(["tune", "scores.jsonl", "--reference", "empty.en"])
    assert "--reference empty.en: empty; expected one sentence a line" in capsys.readouterr().err


def test_refuses_to_store_in_another_checkpoint_before_it_tunes(folder, capsys):
    save_pair(folder / "other.pt", "de", "fr")
    with pytest.raises(BadInput, match="--store other.pt"):
        tuned(capsys, "scores.jsonl", "--store", "other.pt")
    assert capsys.readouterr().out == ""


def test_a_plot_requires_matplotlib(folder, capsys, monkeypatch):
    monkeypatch.setattr(tune, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        run(["tune", "scores.jsonl", "--reference", "ref.en", "--plot", "a.png"])
    assert "--plot: requires matplotlib: pip install matplotlib" in capsys.readouterr().err
