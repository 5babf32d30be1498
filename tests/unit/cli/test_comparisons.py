"""What several runs of an experiment gained, in a report."""

import json

import pytest

from fairseq_dsl_cli.main import run
from fairseq_dsl_cli.reporting import comparison_plots, comparisons

CONTROL = {"score": 30.0, "p_value": None, "scores": [29.0, 31.0]}


def gained(difference, *of_runs):
    return {
        "score": 30 + difference, "difference": difference, "interval": [difference - 0.5, difference + 0.7],
        "p_value": 0.004, "scores": [29 + of_runs[0], 31 + of_runs[1]], "differences": list(of_runs),
    }  # fmt: skip


def made(**more):
    systems = {"control": CONTROL, "dsl": gained(1.5, 1.0, 2.0)}
    metrics = {"BLEU": {"signature": "nrefs:1", "systems": systems}}
    gaps = {name: [{"duality_gap": gap}, {"duality_gap": gap + 1}] for name, gap in (("control", 4), ("dsl", 2))}
    return {
        "subset": "test", "languages": ["de", "en"], "baseline": "control", "systems": ["control", "dsl"],
        "directions": {"de-en": metrics, "en-de": metrics}, "duality_gap": gaps, **more,
    }  # fmt: skip


def log(seconds, gap, unlearnt):
    return {
        "seconds": seconds,
        "train": {"duality_gap": [9, gap], "unlearnt": [0.5, unlearnt]},
        "valid": {"duality_gap": [9, gap + 1]},
    }


def test_a_section_tells_scores_and_gaps():
    text = comparisons.section(made())
    assert "| dsl | 31.50 | +1.50 [+1.00, +2.20] | 0.004 | +1.0, +2.0 |" in text
    assert text.endswith("|  | mean abs. gap, test |\n|---|---|\n| control | 4.50 |\n| dsl | 2.50 |")


def test_it_tells_what_training_logged_where_that_is_kept():
    logs = {"control": [log(10, 3, 0), log(20, 5, 0)], "dsl": [log(30, 1, 0.1), log(30, 2, 0.2)]}
    rows = comparisons.properties(made(logs=logs)).splitlines()
    assert (
        rows[0] == "|  | mean abs. gap, test | validation | training | un-learnt in training (%) | time ÷ control's |"
    )
    assert rows[2:] == ["| control | 4.50 | 5.00 | 4.00 | 0.00 | 1.00 |", "| dsl | 2.50 | 2.50 | 1.50 | 15.00 | 2.00 |"]


def test_gains_are_drawn_with_their_interval_and_runs(axes):
    comparison_plots.plot_gains(made(), "x.png")
    panel = axes()[0]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["dsl"]
    assert [list(line.get_xdata()) for line in panel.lines if line.get_label() == "each run"] == [[1.0, 2.0]]
    assert [segment[:, 0].tolist() for segment in panel.collections[0].get_segments()] == [pytest.approx([1.0, 2.2])]


def test_a_report_of_comparisons_has_their_tables_and_plots(tmp_path):
    flags = []
    for name in ("3,000 pairs", "6,000 pairs"):
        (tmp_path / f"{name}.json").write_text(json.dumps(made()))
        flags += ["--comparison", f"{name}={tmp_path / name}.json"]
    run(["report", "--output", str(tmp_path / "results.md"), "--title", "T", *flags])
    text = (tmp_path / "results.md").read_text()
    assert text.startswith("# T\n") and text.index("## 3,000 pairs") < text.index("## 6,000 pairs")
    for picture in ("gains-1.png", "gains-2.png", "curve-de-en.png"):
        assert f"({picture})" in text and (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert "Commands" not in text and "lowest validation perplexity" not in text


def test_what_is_no_comparison_is_refused(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    for flags, message in (
        (["--comparison", f"a={tmp_path}/x.json"], "expected what fairseq-dsl compare --output writes"),
        (["--comparison", "x.json"], "'x.json' is not NAME=FILE"),
        ([], "expected --run NAME=DIR or --comparison NAME=FILE"),
    ):
        with pytest.raises(SystemExit):
            run(["report", "--output", str(tmp_path / "r.md"), *flags])
        assert message in capsys.readouterr().err
