"""The parts of the scripts that compute something: averaging, evaluation, logs, and steps that can be repeated."""

import argparse
import doctest
import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import average_checkpoints  # noqa: E402
import benchmark  # noqa: E402
import evaluate  # noqa: E402
import parallel  # noqa: E402
import report  # noqa: E402
import step  # noqa: E402
import trainlog  # noqa: E402

from fairseq_dsl.vocabulary import carried_by, dictionary_of, encode  # noqa: E402


@pytest.mark.parametrize(
    "name", ["average_checkpoints", "evaluate", "parallel", "progress", "report", "step", "trainlog"]
)
def test_examples_in_docstrings(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


class TestAverage:
    def test_equals_mean_by_hand(self):
        models = [
            {"a": torch.tensor([[1.0, -2.0]]), "b": torch.tensor(3.0), "steps": torch.tensor(10)},
            {"a": torch.tensor([[3.0, 4.0]]), "b": torch.tensor(5.0), "steps": torch.tensor(20)},
            {"a": torch.tensor([[8.0, 1.0]]), "b": torch.tensor(1.0), "steps": torch.tensor(30)},
        ]
        averaged = average_checkpoints.average(models)
        assert averaged["a"].tolist() == [[4.0, 1.0]]
        assert averaged["b"].item() == 3.0
        assert averaged["steps"].item() == 30  # a counter: that of the last model

    def test_sums_half_precision_in_float32(self):
        # in float16 the sum 2048 + 1 + 1 + ... stays at 2048
        values = [2048.0] + [1.0] * 7
        averaged = average_checkpoints.average([{"w": torch.tensor([v], dtype=torch.float16)} for v in values])
        assert averaged["w"].dtype == torch.float16
        assert averaged["w"].item() == torch.tensor(2055 / 8, dtype=torch.float16).item()

    def test_leaves_the_models_alone(self):
        first, second = {"w": torch.tensor([1.0])}, {"w": torch.tensor([2.0])}
        average_checkpoints.average([first, second])
        assert (first["w"].item(), second["w"].item()) == (1.0, 2.0)

    @pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"v": torch.zeros(2)}, {}])
    def test_refuses_different_models(self, other):
        with pytest.raises(ValueError, match=r"w \[2\]|w \[3\]|v \[2\]"):
            average_checkpoints.average([{"w": torch.zeros(2)}, other])

    def test_picks_the_last_checkpoints_by_number(self, tmp_path):
        for name in (
            "checkpoint9.pt",
            "checkpoint10.pt",
            "checkpoint11.pt",
            "checkpoint_2_300.pt",
            "checkpoint_1_1000.pt",
            "checkpoint_best.pt",
        ):
            (tmp_path / name).touch()

        def pick(*arguments):
            return [path.name for path in average_checkpoints.last_checkpoints(tmp_path, *arguments)]

        assert pick(average_checkpoints.EPOCH, 2) == ["checkpoint10.pt", "checkpoint11.pt"]
        assert pick(average_checkpoints.EPOCH, 2, 10) == ["checkpoint9.pt", "checkpoint10.pt"]
        assert pick(average_checkpoints.UPDATE, 2) == ["checkpoint_2_300.pt", "checkpoint_1_1000.pt"]
        with pytest.raises(ValueError, match="4 checkpoints .* found checkpoint9.pt, checkpoint10.pt, checkpoint11.pt"):
            pick(average_checkpoints.EPOCH, 4)

    def test_keeps_the_configuration_of_the_last(self, tmp_path):
        paths = []
        for number in (1, 2):
            state = {
                "args": None,
                "cfg": {"model": {"_name": "transformer"}, "task": {"number": number}},
                "model": {"w": torch.full((2,), float(number))},
                "last_optimizer_state": {"state": {}},
                "optimizer_history": [
                    {"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": number}
                ],
                "extra_state": {"train_iterator": {"epoch": number, "iterations_in_epoch": 0}, "val_loss": None},
                "task_state": {},
            }
            paths.append(str(tmp_path / f"checkpoint{number}.pt"))
            torch.save(state, paths[-1])
        average_checkpoints.main(["--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        averaged = torch.load(tmp_path / "out.pt", weights_only=False)
        assert averaged["model"]["w"].tolist() == [1.5, 1.5]
        assert averaged["cfg"]["task"]["number"] == 2
        assert averaged["optimizer_history"][-1]["num_updates"] == 2
        assert "last_optimizer_state" not in averaged

    @pytest.mark.parametrize("exported", [False, True])
    def test_compares_the_dictionaries_that_checkpoints_carry(self, tmp_path, exported):
        symbols = ["<s>", "<pad>", "</s>", "<unk>", "a", "b"]

        def write(name, value, words):
            state = {"args": None, "cfg": {"model": {"_name": "m"}}, "model": {"models.w": torch.tensor([value])}}
            state["optimizer_history"] = [{"optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 1}]
            state["extra_state"] = {"train_iterator": {"epoch": 1}, "val_loss": None}
            if words and exported:
                state["dictionaries"] = {"de": words}
            elif words:
                state["model"]["dictionaries.de"] = encode(dictionary_of(words))
            torch.save(state, tmp_path / name)
            return str(tmp_path / name)

        def average(*paths):
            average_checkpoints.main(["--inputs", *paths, "--output", str(tmp_path / "out.pt")])
            return torch.load(tmp_path / "out.pt")

        first, last, old = write("first", 1.0, symbols), write("last", 2.0, symbols), write("old", 4.0, None)
        for paths, wanted in (((first, last), 1.5), ((old, last), 3.0)):  # version 0.2 wrote none
            averaged = average(*paths)
            assert averaged["model"]["models.w"].item() == wanted
            assert carried_by(averaged)["de"].symbols == symbols
        other = write("other", 1.0, [*symbols[:4], "b", "a"])
        with pytest.raises(ValueError, match="other: has another de dictionary than .*last: symbol 4 is 'b' there and 'a'"):
            average(other, last)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--inputs", "FOLDER"], "wants one of the --num-"),
            (["--inputs", "a.pt", "--num-epoch-checkpoints", "2"], "wants one folder"),
            (["--inputs", "FOLDER", "--num-epoch-checkpoints", "0"], "at least 1"),
            (["--inputs", "a.pt", "--checkpoint-upper-bound", "2"], "wants one of the --num-"),
        ],
    )
    def test_refuses_senseless_options(self, arguments, message, tmp_path, capsys):
        arguments = [str(tmp_path) if word == "FOLDER" else word for word in arguments]
        with pytest.raises(SystemExit):
            average_checkpoints.main([*arguments, "--output", str(tmp_path / "out.pt")])
        assert message in capsys.readouterr().err


class TestHypotheses:
    def test_are_put_in_the_order_of_the_test_set(self):
        lines = ["2024 | INFO | x | loading", "S-2\tdrei", "T-2\tthree", "H-2\t-0.3\tthr@@ ee", "D-2\t-0.3\tthree"]
        lines += ["D-0\t-0.1\tone", "P-0\t-0.1", "D-10\t-1.0\televen"] + [
            f"D-{n}\t-1\tword {n}" for n in (1, *range(3, 10))
        ]
        assert evaluate.hypotheses(lines, 11)[:4] == ["one", "word 1", "three", "word 3"]
        assert evaluate.hypotheses(lines, 11)[10] == "eleven"

    def test_may_be_empty_or_hold_tabs(self):
        assert evaluate.hypotheses(["D-0\t-0.1\t", "D-1\t-0.1\ta\tb"], 2) == ["", "a\tb"]

    @pytest.mark.parametrize("count", [1, 3])
    def test_must_be_as_many_as_the_references(self, count):
        with pytest.raises(ValueError, match=f"2 hypotheses for {count} references"):
            evaluate.hypotheses(["D-0\t-0.1\ta", "D-1\t-0.1\tb"], count)


class TestCompare:
    REFERENCES = [f"the {word} of number {n} is here today" for n in range(40) for word in ("cat", "dog", "bird")]

    def test_finds_the_better_system(self):
        worse = [line.replace("today", "now") if n % 2 else line for n, line in enumerate(self.REFERENCES)]
        result = evaluate.compare([("control", worse), ("dsl", self.REFERENCES)], self.REFERENCES, "13a", 200)
        bleu = result["BLEU"]["systems"]
        assert bleu["dsl"]["score"] == pytest.approx(100)
        assert bleu["control"]["score"] < 95
        assert bleu["dsl"]["p_value"] < 0.05
        assert bleu["control"]["p_value"] is None
        assert json.loads(json.dumps(result)) == result
        assert "tok:13a" in result["BLEU"]["signature"]
        assert "bs:200" in result["BLEU"]["signature"]
        assert result["chrF2"]["systems"]["dsl"]["score"] == pytest.approx(100)

    def test_holds_each_of_several_systems_against_the_control(self):
        control = [line.replace("today", "now") if n % 2 else line for n, line in enumerate(self.REFERENCES)]
        worse = [line.replace("is", "was") for line in control]
        systems = [("control", control), ("dsl", self.REFERENCES), ("same", list(control)), ("worse", worse)]
        bleu = evaluate.compare(systems, self.REFERENCES, "13a", 200)["BLEU"]["systems"]
        assert list(bleu) == ["control", "dsl", "same", "worse"]
        assert bleu["dsl"]["p_value"] < 0.05 and bleu["worse"]["p_value"] < 0.05
        assert bleu["same"]["p_value"] == 1
        assert bleu["worse"]["score"] < bleu["control"]["score"] == bleu["same"]["score"] < bleu["dsl"]["score"]

    def test_says_that_equal_systems_do_not_differ(self):
        noisy = [line.replace("is", "was") if n % 3 else line for n, line in enumerate(self.REFERENCES)]
        result = evaluate.compare([("control", noisy), ("same", list(noisy))], self.REFERENCES, "13a", 200)
        assert result["BLEU"]["systems"]["same"]["p_value"] == 1
        assert result["chrF2"]["systems"]["same"]["p_value"] == 1

    def test_tokenizer_follows_the_language_unless_chosen(self):
        assert [evaluate.tokenizer(lang, None) for lang in ("de", "zh_Hans", "ja")] == ["13a", "zh", "char"]
        assert evaluate.tokenizer("zh", "intl") == "intl"


class TestSystem:
    def test_of_a_dual_and_of_two_plain_checkpoints(self, tmp_path):
        for name in ("dual.pt", "a.pt", "b.pt"):
            (tmp_path / name).touch()
        dual = evaluate.System.parse(f"dsl={tmp_path}/dual.pt")
        assert dual.is_pair and dual.path(True) == dual.path(False) == f"{tmp_path}/dual.pt"
        plain = evaluate.System.parse(f"warm={tmp_path}/a.pt,{tmp_path}/b.pt")
        assert not plain.is_pair
        assert (plain.path(True), plain.path(False)) == (f"{tmp_path}/a.pt", f"{tmp_path}/b.pt")
        ensemble = evaluate.System.parse(f"both={tmp_path}/a.pt:{tmp_path}/b.pt")
        assert ensemble.is_pair

    @pytest.mark.parametrize("text", ["dual.pt", "x=", "=dual.pt", "x=/nowhere.pt", "x=a,b,c"])
    def test_refuses_other_forms(self, text):
        with pytest.raises(argparse.ArgumentTypeError):
            evaluate.System.parse(text)


class TestLanguageModelsOfEvaluation:
    WORDS = "--data-bin d -s de -t en --baseline".split()

    @pytest.fixture
    def arguments(self, tmp_path):
        (tmp_path / "dual.pt").touch()
        return [*self.WORDS, f"control={tmp_path}/dual.pt"]

    def test_give_the_gap_of_pairs_that_were_trained_without(self, arguments):
        given = ["--source-lm", "x.pt", "--target-lm", "y.pt"]
        args = evaluate.make_parser().parse_args([*arguments, *given])
        command = evaluate.validate_command(args, "dual.pt")
        assert shlex.join(given) in shlex.join(command)
        args = evaluate.make_parser().parse_args(arguments)
        assert not {"--source-lm", "--target-lm"} & set(evaluate.validate_command(args, "dual.pt"))

    @pytest.mark.parametrize("flag", ["--source-lm", "--target-lm"])
    def test_are_two(self, arguments, flag, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments, flag, "x.pt"])
        with pytest.raises(SystemExit):
            evaluate.main()
        assert "the duality gap takes both" in capsys.readouterr().err


def test_duality_gap_is_read_from_the_subset_asked_for():
    def line(tag, gap):
        statistics = {
            f"{tag}_duality_gap": gap,
            f"{tag}_duality_gap_signed": "-1.5",
            f"{tag}_duality_loss": "40",
            f"{tag}_ppl": "7",
        }
        return f"2024-01-01 00:00:00 | INFO | {tag} | {json.dumps(statistics)}"

    lines = [line("valid", "9"), line("test", "5.25"), "noise"]
    assert evaluate.duality_gap(lines, "test") == {
        "duality_gap": 5.25,
        "duality_gap_signed": -1.5,
        "duality_loss": 40.0,
    }
    with pytest.raises(ValueError, match="'train'"):
        evaluate.duality_gap(lines, "train")


class TestTable:
    RESULT = {
        "subset": "test",
        "sentences": 3,
        "baseline": "control",
        "systems": {"control": "c.pt", "dsl": "d.pt"},
        "directions": {
            "de-en": {
                "BLEU": {
                    "signature": "nrefs:1|tok:13a",
                    "systems": {
                        "control": {"score": 20.0, "mean": 20.1, "ci": 1.5, "p_value": None},
                        "dsl": {"score": 21.25, "mean": 21.2, "ci": 1.25, "p_value": 0.0125},
                    },
                }
            }
        },
        "duality_gap": {"control": {"duality_gap": 5.0, "duality_gap_signed": -1.0, "duality_loss": 46.0}, "dsl": {}},
    }

    def test_as_text(self):
        lines = evaluate.table(self.RESULT).split("\n")
        assert lines[0] == "de-en, 3 sentences of test"
        assert lines[3].split() == ["dsl", "21.25", "21.20", "±", "1.25", "+1.25", "(p", "=", "0.013)"]
        assert lines[2].split() == ["control", "20.00", "20.10", "±", "1.50"]
        assert "  BLEU: nrefs:1|tok:13a" in lines
        assert lines[-1].split() == ["control", "5.00", "-1.00", "46.00"]

    def test_as_markdown(self):
        text = report.scores(self.RESULT)
        assert "| dsl | 21.25 | 21.20 ± 1.25 | +1.25 (p = 0.013) |" in text
        assert "| control | 5.00 | -1.00 | 46.00 |" in text


def log_line(tag, **statistics):
    """A line of fairseq-train's --log-file."""
    prefix = "" if tag == "train_inner" else f"{tag}_"
    return json.dumps({f"{prefix}{key}": str(value) for key, value in statistics.items()}) + "\n"


class TestTrainLog:
    def test_reads_each_kind_of_line(self, tmp_path):
        log = tmp_path / "train.log"
        log.write_text(
            "2024-01-01 00:00:00 | INFO | fairseq_cli.train | Namespace(...)\n"
            + log_line("train_inner", num_updates=10, loss=9.5)
            + log_line("valid", num_updates=10, ppl=50)
            + log_line("train", num_updates=12, loss=9)
        )
        logs = trainlog.read(log)
        assert logs["train_inner"] == {10: {"num_updates": 10, "loss": 9.5}}
        assert logs["valid"][10]["ppl"] == 50
        assert logs["train"][12]["loss"] == 9

    def test_of_a_run_that_was_interrupted(self, tmp_path):
        log = tmp_path / "train.log"
        first = log_line("train_inner", num_updates=10, loss=9) + log_line("train_inner", num_updates=20, loss=8)
        cut = log_line("train_inner", num_updates=30, loss=7)[:30] + "\n"
        log.write_text(first + cut + log_line("train_inner", num_updates=20, loss=7.5))
        assert trainlog.series(trainlog.read(log)["train_inner"], "loss") == ([10, 20], [9, 7.5])

    def test_drops_what_fairseq_does_not_know(self):
        assert trainlog.parse_line(log_line("valid", num_updates=10, duality_gap=float("nan")))[1] == {
            "num_updates": 10
        }

    def test_series_skips_where_a_statistic_is_missing(self):
        assert trainlog.series({1: {"a": 5.0}, 2: {}, 3: {"a": 6.0}}, "a") == ([1, 3], [5.0, 6.0])


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
        runs = [report.parse_run(f"dsl={dual}"), report.parse_run(f"lm={plain}")]
        assert runs[0].directions == ["de-en", "en-de"]
        args = argparse.Namespace(output=str(tmp_path / "report" / "report.md"), title="T", note="N", samples=2)
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
            runs.append(report.parse_run(f"{name}={tmp_path / name}"))
        assert report.method_statistics(runs[:1]) == []
        assert report.method_statistics(runs) == ["risk", "bound_gap"]
        args = argparse.Namespace(output=str(tmp_path / "report.md"), title="T", note=None, samples=2)
        report.write(args, runs, None)
        text = (tmp_path / "report.md").read_text()
        assert "(methods.png)" in text
        assert (tmp_path / "methods.png").read_bytes().startswith(b"\x89PNG")
        assert "duality.png" not in text  # no run logged a gap

    def test_refuses_a_folder_without_a_log(self, tmp_path):
        with pytest.raises(argparse.ArgumentTypeError, match="--log-file"):
            report.parse_run(f"dsl={tmp_path}")


METHODS = {
    "control": "dsl_cross_entropy --dsl-lambda 0",
    "dsl": "dsl_cross_entropy --dsl-lambda 0.01",
    "minimum-risk": "minimum_risk --num-samples 20 --parallel-weight 0 --risk-weight 200",
    "dual-learning": "dual_learning --num-samples 2 --reward-per-token",
    "marginal-regularization": "marginal_regularized_cross_entropy --num-samples 5",
    "back-translation": "back_translation_cross_entropy --num-samples 1 --sample-temperature 0.5",
}


class TestTrain:
    """train.sh with a stand-in for Python, which prints the command that it would run."""

    STARTS = ["--primal-checkpoint", "de-en.pt", "--dual-checkpoint", "en-de.pt"]
    MODELS = ["--source-lm", "lm.de.pt", "--target-lm", "lm.en.pt"]
    TEXT = ["--source-mono", "mono.de", "--target-mono", "mono.en"]

    @pytest.fixture
    def train(self, tmp_path):
        python = tmp_path / "python"
        python.write_text('#!/bin/sh\necho "$@"\n')
        python.chmod(0o755)
        names = ["dict.de.txt", "dict.en.txt"]
        names += [word for word in (*self.STARTS, *self.MODELS, *self.TEXT) if not word.startswith("-")]
        for name in names:
            (tmp_path / name).touch()

        def run(method, *flags):
            words = ["bash", str(SCRIPTS / "train.sh"), "--method", method, ".", "de", "en", "run", *flags]
            environment = {**os.environ, "PYTHON": str(python)}
            return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)

        return run

    @pytest.mark.parametrize(("method", "criterion"), METHODS.items())
    def test_methods_differ_by_their_criterion_alone(self, train, method, criterion):
        def command(method):
            done = train(method, *self.STARTS, *self.MODELS, *self.TEXT)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert f"--criterion {criterion} --optimizer" in command(method)
        assert command(method).replace(criterion, METHODS["control"]) == command("control")

    @pytest.mark.parametrize(
        ("method", "flags", "message"),
        [
            ("dsl", STARTS, "--method dsl wants --source-lm"),
            ("dsl", [*STARTS, "--source-lm=lm.de.pt"], "--method dsl wants --target-lm"),
            ("dual-learning", [*STARTS, *MODELS], "wants --source-mono, --target-mono or both"),
            ("dual-learning", [*STARTS, *TEXT], "wants --source-lm"),
            ("marginal-regularization", [*STARTS, *MODELS], "wants --source-mono, --target-mono or both"),
            ("marginal-regularization", [*STARTS, *TEXT], "wants --source-lm"),
            ("back-translation", STARTS, "wants --source-mono, --target-mono or both"),
            ("minimum-risk", STARTS[:2], "wants --dual-checkpoint"),
            ("control", STARTS[2:], "wants --primal-checkpoint"),
            ("control", [*STARTS, "--source-mono", "nowhere"], "--source-mono nowhere: nothing of this name"),
            ("DSL", STARTS, "--method DSL: one of control, dsl, minimum-risk"),
        ],
    )  # fmt: skip
    def test_refuses_what_its_method_lacks_before_it_starts(self, train, method, flags, message):
        done = train(method, *flags)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr

    @pytest.mark.parametrize(
        ("method", "flags"),
        [
            ("control", []),
            ("minimum-risk", []),
            ("back-translation", ["--target-mono=mono.en"]),
            ("dual-learning", ["--source-mono", "mono.de", "--reward-alpha", "0"]),
        ],
    )
    def test_wants_no_more_than_its_method_needs(self, train, method, flags):
        done = train(method, *self.STARTS, *flags)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("--criterion") == 1

    def test_chooses_the_best_checkpoint_by_bleu_unless_told(self, train):
        best = "--best-checkpoint-metric bleu --maximize-best-checkpoint-metric"
        assert best in train("control", *self.STARTS).stdout
        told = train("control", *self.STARTS, "--best-checkpoint-metric", "nll_loss").stdout
        assert "--maximize-best-checkpoint-metric" not in told


TRAINER = """
import json, os, sys, time
save_dir, wait = sys.argv[1], float(sys.argv[2])
open(save_dir + "/pid.txt", "w").write(str(os.getpid()))
open(save_dir + "/ran.txt", "a").write("x")
for n in range(1, 4):
    statistics = json.dumps({"update": 1, "num_updates": str(n), "ppl": "9"})
    print("2024-01-01 00:00:00 | INFO | train_inner | " + statistics, flush=True)
time.sleep(wait)
sys.exit(int(sys.argv[3]))
"""


class TestStep:
    """step.py with a stand-in for fairseq-train."""

    @pytest.fixture
    def command(self, tmp_path):
        trainer = tmp_path / "trainer.py"
        trainer.write_text(TRAINER)

        def make(*more, wait=0, code=0):
            words = [sys.executable, trainer, tmp_path / "run", wait, code, *more]
            return [sys.executable, str(SCRIPTS / "step.py"), str(tmp_path / "run"), "--", *map(str, words)]

        return make

    @staticmethod
    def times_run(tmp_path):
        return len((tmp_path / "run" / "ran.txt").read_text())

    def test_runs_once_and_prints_the_command(self, command, tmp_path):
        first = subprocess.run(command(), capture_output=True, text=True)
        second = subprocess.run(command(), capture_output=True, text=True)
        assert (first.returncode, second.returncode) == (0, 0)
        assert f"$ {shlex.join(command()[4:])}" in first.stdout
        assert "already done" in second.stdout
        assert self.times_run(tmp_path) == 1

    def test_runs_again_after_a_failure_and_shows_its_last_lines(self, command, tmp_path):
        failed = subprocess.run(command(code=3), capture_output=True, text=True)
        assert failed.returncode == 3
        assert '"num_updates": "3"' in failed.stdout
        assert subprocess.run(command(code=3), capture_output=True, text=True).returncode == 3
        assert self.times_run(tmp_path) == 2

    def test_refuses_a_folder_of_another_command(self, command):
        subprocess.run(command("--lr", "0.1"), check=True, capture_output=True)
        other = subprocess.run(command("--lr", "0.2"), capture_output=True, text=True)
        assert other.returncode != 0
        assert "its command had 0.1 where this one has 0.2" in other.stderr

    def test_refuses_a_folder_of_other_input_files(self, command, tmp_path):
        data = tmp_path / "input.pt"
        data.write_text("one")
        subprocess.run(command(data), check=True, capture_output=True)
        data.write_text("two")
        other = subprocess.run(command(data), capture_output=True, text=True)
        assert other.returncode != 0
        assert f"have changed since: {data}" in other.stderr

    def test_takes_a_corrected_command_after_one_that_failed_before_its_first_checkpoint(self, command, tmp_path):
        for expected in (1, 0):
            done = subprocess.run(command(code=expected), capture_output=True, text=True)
            assert done.returncode == expected, done.stderr

    def test_takes_no_other_command_after_one_that_failed_later(self, command, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "checkpoint_last.pt").touch()
        assert subprocess.run(command(code=1), capture_output=True).returncode == 1
        other = subprocess.run(command(code=0), capture_output=True, text=True)
        assert "was begun differently" in other.stderr

    def test_takes_its_trainer_with_it_when_killed(self, command, tmp_path):
        if sys.platform != "linux":
            pytest.skip("only Linux ends the children of a killed process")
        process = subprocess.Popen(command(wait=60), stdout=subprocess.PIPE, text=True)
        while not (tmp_path / "run" / "ran.txt").exists():
            time.sleep(0.05)
        trainer = int((tmp_path / "run" / "pid.txt").read_text())
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while _runs(trainer) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(trainer)
        assert not (tmp_path / "run" / "done.txt").exists()

    def test_is_interrupted_by_ctrl_c(self, command, tmp_path):
        process = subprocess.Popen(
            command(wait=60), stdout=subprocess.PIPE, text=True, start_new_session=True,
            # a shell's background job ignores Ctrl-C, and so would all that the tests start in it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        while not (tmp_path / "run" / "ran.txt").exists():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "goes on from the last checkpoint" in output
        assert not (tmp_path / "run" / "done.txt").exists()


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


class TestParallel:
    SCRIPT = [sys.executable, str(SCRIPTS / "parallel.py")]

    def test_runs_commands_at_the_same_time_and_passes_on_what_they_print(self):
        begin = time.monotonic()
        words = ["sh", "-c", "sleep 1; echo one", parallel.SEPARATOR, "sh", "-c", "sleep 1; echo two >&2"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert done.returncode == 0
        assert sorted(done.stdout.split()) == ["one", "two"]
        assert time.monotonic() - begin < 1.9

    def test_ends_with_the_code_of_the_failure(self):
        words = ["sh", "-c", "exit 7", parallel.SEPARATOR, "sh", "-c", "sleep 0.3; echo kept"]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert done.returncode == 7
        assert "kept" in done.stdout


@pytest.mark.parametrize("flags", [["--max-update", "5", "--max-update", "9"], ["--max-update=5", "--max-update=9"]])
def test_the_last_of_a_repeated_flag_counts(flags):
    command = step.without_overridden(["train", "data", *flags, "--min-loss-scale", "-1", "--cpu"])
    assert command[:2] == ["train", "data"] and command[-3:] == ["--min-loss-scale", "-1", "--cpu"]
    assert "5" not in " ".join(command)
    assert step.Progress("x", command, None).total == 9


class TestBenchmark:
    def test_ratio_is_the_median_of_the_turns(self):
        seconds = {
            "dual": [(2, 3), (8, 3), (3, 3)],
            "primal": [(1, 1), (1, 1), (1, 2)],
            "reverse": [(1, 1), (1, 1), (2, 2)],
        }
        on_gpu = benchmark.ratio(seconds, "dual", ["primal", "reverse"], cuda=True)
        assert on_gpu["wall_ratios"] == [1, 4, 1]
        assert on_gpu["wall_seconds"] == [3, 2]
        assert on_gpu["ratio"] == 1  # of wall-clock time; of the medians it would be 1.5
        assert benchmark.ratio(seconds, "dual", ["primal", "reverse"], cuda=False)["ratio"] == 1.5

    def test_the_sides_take_turns(self):
        calls = []
        sides = {
            name: lambda name=name: calls.append(f"prepare {name}") or (lambda: calls.append(name)) for name in "ab"
        }
        seconds = benchmark.take_turns(sides, 2, cuda=False)
        assert calls == ["prepare a", "a", "prepare b", "b", "prepare b", "b", "prepare a", "a"]
        assert [len(turns) for turns in seconds.values()] == [2, 2]

    def test_a_turn_has_the_cpu_time_of_a_child_that_ends_with_the_last_reference_to_it(self):
        class Batches:
            def __init__(self):
                self.itself = self  # garbage that the collector alone finds, as fairseq's iterators are
                self.process = subprocess.Popen([sys.executable, "-c", "sum(range(2 * 10**7))"])

            def __del__(self):
                self.process.wait()

        def make_batches():
            Batches()

        [(_, cpu)] = benchmark.take_turns({"a": lambda: make_batches}, 1, cuda=False)["a"]
        assert cpu > 0.1

    def test_synthetic_pairs_train_the_direction_that_did_not_sample_them(self):
        def batch(*rows):
            return {"net_input": {"src_tokens": torch.tensor(rows)}}

        def sampling(first):
            return lambda batch: [[{"tokens": torch.tensor([first, 2])}] for _ in batch["net_input"]["src_tokens"]]

        args = SimpleNamespace(cpu=True, fp16=False, source_lang="de", target_lang="en", max_tokens=9)
        task = SimpleNamespace(target_dictionary=SimpleNamespace(pad=lambda: 1))
        common = SimpleNamespace(seed=1)
        trainer = SimpleNamespace(cfg=SimpleNamespace(common=common), get_num_updates=lambda: 0, task=task)
        sentences = {"primal": batch([1, 10, 2], [11, 12, 2]), "reverse": batch([20, 21, 2])}
        found = benchmark.Benchmark(args, "").synthetic_pairs(
            {"primal": sampling(30), "reverse": sampling(40)}, sentences, trainer
        )
        pairs = {
            name: [(pair["source"].tolist(), pair["target"].tolist()) for pair in found[name]] for name in found
        }
        assert pairs == {"reverse": [([30, 2], [10, 2]), ([30, 2], [11, 12, 2])], "primal": [([40, 2], [20, 21, 2])]}

    def test_an_update_takes_the_synthetic_pairs_as_a_second_batch(self):
        updates = []

        class Dataset(list):
            collater = staticmethod(list)

        task = SimpleNamespace(dataset=lambda name: Dataset("abcd"))
        trainer = SimpleNamespace(task=task, train_step=updates.append)
        benchmark.train(trainer, [[0, 2], [3]], ["x"])
        benchmark.train(trainer, [[1]])
        assert updates == [[["a", "c"], ["x"]], [["d"], ["x"]], [["b"]]]

    FILES = ["--primal-checkpoint", "a", "--dual-checkpoint", "b", "--source-lm", "c", "--target-lm", "d"]

    @pytest.mark.parametrize("part", benchmark.MONOLINGUAL_PARTS)
    def test_some_parts_want_monolingual_text(self, part, monkeypatch, capsys):
        words = ["--data-bin", "x", "--lm-data-bin", "y", "-s", "de", "-t", "en", *self.FILES, "--parts", part]
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words, "--source-mono", "mono.de"])
        with pytest.raises(SystemExit):
            benchmark.main()
        assert f"--parts {part}: give --source-mono and --target-mono" in capsys.readouterr().err

    def test_table(self):
        seconds = {"cpu_seconds": [3, 2], "ratio": 1.5}
        sampling = {**seconds, "num_samples": 5, "samples": 1200, "same_samples": 0.996}
        lines = benchmark.table({"clock": "cpu", "sampling": sampling, "back-translation": seconds}).split("\n")
        assert lines[2].split() == ["back-translation", "1.500", "3.00", "s", "2.00", "s"]
        assert lines[3] == "sampling: 99.6% of 1,200 samples are the same, 5 of each sentence"


def test_difference_names_what_changed():
    assert step.difference("run --lr 1\n", "run --lr 2\n") == "its command had 1 where this one has 2"
