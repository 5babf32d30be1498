"""The report of runs and an evaluation."""

import argparse

import pytest
from saved import EVALUATION, log_line

from fairseq_dsl_cli import report
from fairseq_dsl_cli.reporting import markdown, plots
from fairseq_dsl_cli.reporting.runs import parse_run


class TestReport:
    def test_draws_and_tells_what_the_logs_hold(self, tmp_path):
        dual, plain = tmp_path / "dsl", tmp_path / "lm"
        for folder in (dual, plain):
            folder.mkdir()
        pair = {"nll_loss_en-de": 4, "ppl_de-en": 8, "ppl_en-de": 16, "bleu": 5, "bleu_de-en": 5, "bleu_en-de": 6}
        gap = {"duality_gap": 5, "duality_gap_signed": 1, "unlearnt": 0}
        lines = [
            log_line(tag, num_updates=n, **pair, **gap, **{"nll_loss_de-en": 3 - n / 20})
            for n in (10, 20)
            for tag in ("train_inner", "valid")
        ]
        (dual / "train.log").write_text("".join(lines))
        (dual / "begun.txt").write_text("fairseq-train data --task dual_translation\n")
        lines = [log_line("train_inner", num_updates=10, loss=6), log_line("valid", num_updates=10, loss=5)]
        (plain / "train.log").write_text("".join(lines))
        runs = [parse_run(f"dsl={dual}"), parse_run(f"lm={plain}")]
        assert runs[0].directions == ["de-en", "en-de"]
        args = argparse.Namespace(
            output=str(tmp_path / "report" / "report.md"), title="T", note="N", samples=2, warm_start="x"
        )
        report.write(args, runs, None)
        text = (tmp_path / "report" / "report.md").read_text()
        assert "| dsl | 20 | de-en 4.00, en-de 16.00 |" in text
        assert "| lm | 10 | 32.00 |" in text
        assert "fairseq-train data --task dual_translation" in text
        for picture in ("learning", "duality", "bleu", "models"):
            assert f"({picture}.png)" in text
            assert (tmp_path / "report" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")

    def test_draws_what_each_method_logs(self, tmp_path):
        runs = []
        for name, own in (("control", {}), ("risk", {"risk": 0.5}), ("bt", {"bound_gap": 9})):
            pair = {f"{key}_{d}": 1 for d in ("de-en", "en-de") for key in ("ppl", "nll_loss", *own)}
            (tmp_path / name).mkdir()
            lines = [log_line(tag, num_updates=10, **pair) for tag in ("train_inner", "valid")]
            (tmp_path / name / "train.log").write_text("".join(lines))
            runs.append(parse_run(f"{name}={tmp_path / name}"))
        assert plots.method_statistics(runs[:1]) == []
        assert plots.method_statistics(runs) == ["risk", "bound_gap"]
        args = argparse.Namespace(output=str(tmp_path / "report.md"), title="T", note=None, samples=2, warm_start="x")
        report.write(args, runs, None)
        text = (tmp_path / "report.md").read_text()
        assert "(methods.png)" in text
        assert (tmp_path / "methods.png").read_bytes().startswith(b"\x89PNG")
        assert "duality.png" not in text  # no run logged a gap

    def test_draws_the_warm_start_as_a_line_and_no_small_difference_large(self, tmp_path, monkeypatch):
        runs = []
        for name, direction, bleu in (("control", None, 25.0), ("dsl", None, 25.4), ("warm", "de-en", 24.0)):
            (tmp_path / name).mkdir()
            own = {f"{key}_{d}": bleu for key in ("ppl", "bleu") for d in ("de-en", "en-de")}
            logged = [{"loss": 2, "bleu": bleu}, {"loss": 3, "bleu": 99}] if direction else [{**own, "bleu": bleu}]
            lines = [log_line("valid", num_updates=n, **each) for n, each in enumerate(logged, 10)]
            (tmp_path / name / "train.log").write_text("".join(lines))
            command = "fairseq-train data --task translation -s de -t en\n" if direction else "fairseq-train data\n"
            (tmp_path / name / "begun.txt").write_text(command)
            runs.append(parse_run(f"{name}={tmp_path / name}"))
        assert [run.direction for run in runs] == [None, None, "de-en"]
        figures = []
        monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure))
        plots.plot_bleu(runs[:2], "x.png", warm_starts=runs[2:])
        known, unknown = figures[0].axes
        assert [line.get_ydata()[0] for line in known.lines if line.get_linestyle() == "--"] == [
            24.0
        ]  # at its best loss
        assert not [line for line in unknown.lines if line.get_linestyle() == "--"]
        for panel in figures[0].axes:
            low, high = panel.get_ylim()
            assert high - low == pytest.approx(5) and low < 24 < 25.4 < high

    def test_refuses_a_folder_without_a_log(self, tmp_path):
        with pytest.raises(argparse.ArgumentTypeError, match="--log-file"):
            parse_run(f"dsl={tmp_path}")


def test_an_evaluation_as_markdown():
    text = markdown.scores(EVALUATION)
    assert "| dsl | 21.25 | 21.20 ± 1.25 | +1.25 (p = 0.013) |" in text
    assert "| control | 5.00 | -1.00 | 46.00 |" in text
