"""The parts of the scripts that compute something: averaging, evaluation, logs, and steps that can be repeated."""

import argparse
import doctest
import importlib
import json
import math
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import average_checkpoints  # noqa: E402
import benchmark  # noqa: E402
import evaluate  # noqa: E402
import inputs  # noqa: E402
import models  # noqa: E402
import parallel  # noqa: E402
import report  # noqa: E402
import step  # noqa: E402
import trainlog  # noqa: E402

from fairseq_dsl.vocabulary import carried_by, dictionary_of, encode  # noqa: E402


@pytest.mark.parametrize(
    "name",
    [
        "average_checkpoints", "commandline", "evaluate", "parallel", "progress", "report", "significance", "step",
        "trainlog",
    ],
)  # fmt: skip
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


def save_model(path, task, model=None, parameters=None, **settings):
    """The checkpoint of a model, with what tells it from other models."""
    history = {"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 1}
    state = {
        "args": None,
        "cfg": {"model": model or {"_name": "transformer"}, "task": {"_name": task, **settings}},
        "model": parameters or {"w": torch.zeros(2), "steps": torch.tensor(1)},
        "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None},
        "task_state": {},
    }
    torch.save(state, path)
    return str(path)


def save_translation(path, source, target, **settings):
    return save_model(path, "translation", source_lang=source, target_lang=target, **settings)


def save_pair(path, source, target, arch="transformer", **settings):
    pair = {f"{source}-{target}": {"_name": arch}, f"{target}-{source}": {"_name": arch}}
    model = {"_name": "dual_translation", "pair": pair}
    return save_model(path, "dual_translation", model, source_lang=source, target_lang=target, **settings)


class TestKindsOfModels:
    """What averaging and evaluation refuse by what the checkpoints say of themselves."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("models")
        save_translation(folder / "de-en.pt", "de", "en")
        save_translation(folder / "de-en-2.pt", "de", "en")
        save_translation(folder / "en-de.pt", "en", "de")
        save_translation(folder / "lstm.pt", "de", "en", model={"_name": "lstm"})
        save_translation(folder / "wide.pt", "de", "en", parameters={"w": torch.zeros(3), "steps": torch.tensor(1)})
        for name, value in (("nan", math.nan), ("inf", math.inf), ("-inf", -math.inf)):
            save_translation(folder / f"{name}.pt", "de", "en", parameters={"w": torch.tensor([0, value])})
        save_pair(folder / "pair.pt", "de", "en")
        save_pair(folder / "turned.pt", "en", "de")
        save_pair(folder / "lstms.pt", "de", "en", arch="lstm")
        save_pair(folder / "fr.pt", "de", "fr")
        save_model(folder / "lm.de.pt", "language_modeling", data="data/lm.de")
        save_model(folder / "lm.en.pt", "language_modeling", data="data/lm.en")
        save_model(folder / "lm.moved.pt", "language_modeling", data="/gone/lm.de")
        return folder

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ("de-en en-de", "translation model for de-en and a translation model for en-de"),
            ("lm.de lm.en", "a language model of data/lm.de and a language model of data/lm.en"),
            ("lm.de de-en", "a language model of data/lm.de and a translation model for de-en"),
            ("pair de-en", "a pair for de-en and en-de and a translation model for de-en"),
            ("de-en pair", "a translation model for de-en and a pair for de-en and en-de"),
            ("pair fr", "a pair for de-en and en-de and a pair for de-fr and fr-de"),
            ("pair lstms", "found transformer and transformer and lstm and lstm"),
            ("de-en lstm", "found transformer and lstm"),
            ("de-en de-en-2 wide", r"w \[\d\] is not in both"),
            ("de-en nan", "the parameter w contains (nan|inf)"),
            ("inf de-en", "the parameter w contains (nan|inf)"),
            ("de-en -inf", "the parameter w contains (nan|inf)"),
        ],
    )
    def test_of_averaging_are_one(self, folder, tmp_path, names, message):
        paths = [str(folder / f"{name}.pt") for name in names.split()]
        bad = next((path for path in paths if "inf" in path or "nan" in path), paths[-1])
        with pytest.raises(BadInput, match=f"{re.escape(bad)}.*{message}") as refused:
            average_checkpoints.main(["--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "out.pt").exists()

    @pytest.mark.parametrize("names", ["de-en de-en-2", "pair turned", "lm.de lm.moved"])
    def test_that_are_one_are_averaged(self, folder, tmp_path, names):
        paths = [str(folder / f"{name}.pt") for name in names.split()]
        average_checkpoints.main(["--inputs", *paths, "--output", str(tmp_path / "out.pt")])
        assert (tmp_path / "out.pt").exists()

    @pytest.mark.parametrize(
        ("name", "expected", "found"),
        [
            ("en-de", ["de-en"], "a translation model for en-de"),
            ("pair", ["de-en"], "a pair for de-en and en-de"),
            ("lm.de", ["de-en"], "a language model of data/lm.de"),
            ("de-en", ["de-en", "en-de"], "a translation model for de-en"),
            ("fr", ["de-en", "en-de"], "a pair for de-fr and fr-de"),
        ],
    )
    def test_of_evaluation_are_what_their_place_says(self, folder, name, expected, found):
        path = str(folder / f"{name}.pt")
        with pytest.raises(BadInput, match=f"--system x: {path}: expected .*{expected[0]}.*, found {found}"):
            models.check_translates(path, "--system x:", expected, pair=len(expected) == 2)

    def test_of_evaluation_pass_where_they_fit(self, folder):
        assert models.check_translates(str(folder / "en-de.pt"), "--system", ["en-de"], pair=False) is None
        for name, source in (("pair", "de"), ("turned", "en")):
            trained = models.check_translates(str(folder / f"{name}.pt"), "--system", ["de-en", "en-de"], pair=True)
            assert trained.source == source

    def test_of_a_pair_name_its_language_models_that_are_there(self, folder, tmp_path):
        lm = str(folder / "lm.de.pt")
        path = save_pair(tmp_path / "pair.pt", "de", "en", source_lm=lm, target_lm="gone.pt")
        assert models.check_translates(path, "--system", ["de-en"], pair=True).language_models == [lm]

    def test_of_the_gap_are_two_language_models(self, folder, tmp_path):
        lm, copy = folder / "lm.de.pt", tmp_path / "copy.pt"
        copy.write_bytes(lm.read_bytes())
        models.check_language_models({"--source-lm": str(lm), "--target-lm": str(folder / "lm.en.pt")})
        with pytest.raises(BadInput, match="found the same for both"):
            models.check_language_models({"--source-lm": str(lm), "--target-lm": str(copy)})
        with pytest.raises(BadInput, match="--target-lm .*expected a language model, found a translation model"):
            models.check_language_models({"--source-lm": str(lm), "--target-lm": str(folder / "de-en.pt")})


def test_a_swapped_order_is_refused_before_any_translation(tmp_path, data, monkeypatch):
    """A whole command line with real data; no command of fairseq may start."""
    for lang in ("de", "en"):
        (tmp_path / f"text.{lang}").write_text("x\n" * len(tiny.PAIRS))
    (tmp_path / "data").symlink_to(data)
    paths = [save_translation(tmp_path / f"{pair}.pt", *pair.split("-")) for pair in ("en-de", "de-en")]
    words = ["--data-bin", data, "-s", "de", "-t", "en", "--text", str(tmp_path / "text"), "--subset", "valid"]
    words += ["--user-dir", str(SCRIPTS.parent / "fairseq_dsl"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *words, "--baseline", f"warm={','.join(paths)}"])
    monkeypatch.setattr(evaluate.children, "start", None)
    with pytest.raises(BadInput, match="--baseline warm: .*en-de.pt: expected a translation model for de-en"):
        evaluate.main()
    assert not (tmp_path / "out").exists()


class TestFilesOfACommand:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("data/train.bin", "data/train.idx", "data/notes", "data/preprocess.log", "data/cache/scores.npz"):
            Path(name).parent.mkdir(exist_ok=True, parents=True)
            Path(name).write_text(name)
        names = ("a.pt", "b.pt", "c d.pt", "lr=1.pt", "it's.pt", "x:y.pt")
        for name in (*names, "save/train.log", "de/raw", "plugin/x.py"):
            Path(name).parent.mkdir(exist_ok=True, parents=True)
            Path(name).write_text(name)
        return tmp_path

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["data"], "data/notes data/train.bin data/train.idx"),
            (["--path", "a.pt:b.pt"], "a.pt b.pt"),
            (["--path=a.pt:b.pt"], "a.pt b.pt"),
            (["--path=a.pt"], "a.pt"),
            (["data:de"], "data/notes data/train.bin data/train.idx de/raw"),
            (["--system", "name=a.pt,b.pt"], "a.pt b.pt"),
            (["--primal-args=--embed a.pt --other b.pt:data"], "a.pt b.pt data/notes data/train.bin data/train.idx"),
            (["--x", '{"file": "a.pt"}'], "a.pt"),
            (["--x", "{'file': ['a.pt', 'b.pt']}"], "a.pt b.pt"),
            (["--x", "lr=1.pt", "--y=lr=1.pt:a.pt"], "lr=1.pt a.pt"),
            (["--x", "x:y.pt"], "x:y.pt"),
            (["a.pt", "--x", "a.pt"], "a.pt"),
            (["-s", "de", "--user-dir", "plugin", "--save-dir=de", "--tensorboard-logdir", "plugin"], ""),
            (["save", "--log-file", "a.pt", "nowhere", "", ":", "--"], ""),
        ],
    )
    def test_are_all_that_its_words_name(self, folder, words, expected):
        found = [str(path) for path in inputs.files_of(["train", *words], besides="save")]
        assert found == expected.split()

    def test_may_have_spaces_and_quotes(self, folder):
        words = ["c d.pt", "--x=c d.pt:it's.pt"]
        assert [str(path) for path in inputs.files_of(words)] == ["c d.pt", "it's.pt"]


class TestJob:
    @pytest.fixture
    def job(self, tmp_path):
        for name in ("a.pt", "b.pt"):
            (tmp_path / name).write_text(name)

        def make(*more, inputs=("a.pt", "b.pt")):
            inputs_checksums_forgotten()
            command = [sys.executable, "-c", "print('D-0'); print('ran')", *more]
            return evaluate.Job("job", command, tmp_path / "job.log", [str(tmp_path / name) for name in inputs])

        return make

    def test_is_kept_while_its_command_and_files_are_the_same(self, job):
        assert job().kept() is None
        assert job().run(print, []) == ["D-0", "ran"]
        assert job().kept() == ["D-0", "ran"]
        assert job("--beam", "9").kept() is None
        assert job(inputs=["a.pt"]).kept() is None

    @pytest.mark.parametrize("seconds", [-1000, 0, 1000])
    def test_is_stale_when_a_file_has_other_content_of_whatever_age(self, job, tmp_path, seconds):
        job().run(print, [])
        made = (tmp_path / "job.log").stat().st_mtime
        (tmp_path / "b.pt").write_text("c.pt")  # of the same size
        os.utime(tmp_path / "b.pt", (made + seconds, made + seconds))
        assert job().kept() is None

    def test_is_kept_when_a_file_is_only_newer(self, job, tmp_path):
        job().run(print, [])
        os.utime(tmp_path / "a.pt", (2**31, 2**31))
        assert job().kept() == ["D-0", "ran"]

    @pytest.mark.parametrize("text", ["", "\n", "$ cut"])
    def test_is_run_again_after_a_log_that_a_full_disk_cut(self, job, tmp_path, text):
        (tmp_path / "job.log").write_text(text)
        assert job().kept() is None

    def test_writes_to_no_file_that_a_link_leads_to(self, job, tmp_path):
        (tmp_path / "elsewhere").write_text("mine")
        for name in ("job.log", "job.tmp", "job.log.tmp"):
            (tmp_path / name).symlink_to("elsewhere")
        job().run(print, [])
        assert (tmp_path / "elsewhere").read_text() == "mine"
        assert not (tmp_path / "job.log").is_symlink()


def inputs_checksums_forgotten():
    """A process reads a file once; here several processes are meant."""
    inputs.checksum.cache_clear()


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

    @pytest.mark.parametrize(("trained", "models"), [(None, "x y"), ("de", "x y"), ("en", "y x")])
    def test_are_given_in_the_order_of_each_pair(self, arguments, trained, models):
        args = evaluate.make_parser().parse_args([*arguments, "--source-lm", "x", "--target-lm", "y"])
        command = evaluate.validate_command(args, "dual.pt", trained)
        source, target = models.split()
        assert shlex.join(["--source-lm", source, "--target-lm", target]) in shlex.join(command)

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

    @pytest.mark.parametrize("name", ["train.bin", "train.idx", "dict.txt", "anything"])
    @pytest.mark.parametrize("words", ["{0}", "--data={0}", "x:{0}", "--flags=--data {0}"])
    def test_compares_all_of_a_data_folder_by_content(self, command, tmp_path, name, words):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / name).write_text("one")
        words = words.format(tmp_path / "data")
        made = (tmp_path / "data" / name).stat().st_mtime
        subprocess.run(command(words), check=True, capture_output=True)
        (tmp_path / "data" / name).write_text("two")
        os.utime(tmp_path / "data" / name, (made, made))
        other = subprocess.run(command(words), capture_output=True, text=True)
        assert other.returncode != 0
        assert f"have changed since: {tmp_path / 'data' / name}" in other.stderr

    def test_goes_on_in_a_folder_that_version_0_2_began(self, command, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "run").mkdir()
        for name in ("train.bin", "train.idx"):
            (tmp_path / "data" / name).write_text(name)
        words = command(tmp_path / "data")
        lines = step.identity(words[4:], tmp_path / "run").splitlines(keepends=True)
        old = "".join(line for line in lines if ".bin " not in line)
        assert old != "".join(lines)
        for name in ("begun.txt", "done.txt"):
            (tmp_path / "run" / name).write_text(old)
        assert "already done" in subprocess.run(words, capture_output=True, text=True).stdout
        (tmp_path / "data" / "train.idx").write_text("other")
        assert "was begun differently" in subprocess.run(words, capture_output=True, text=True).stderr

    @pytest.mark.parametrize("text", ["", "python3 trai", "'"])
    def test_begins_anew_after_notes_that_a_full_disk_cut(self, command, tmp_path, text):
        (tmp_path / "run").mkdir()
        for name in ("begun.txt", "done.txt"):
            (tmp_path / "run" / name).write_text(text)
        done = subprocess.run(command(), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert self.times_run(tmp_path) == 1
        assert "already done" in subprocess.run(command(), capture_output=True, text=True).stdout

    def test_a_full_disk_is_told_in_one_line_and_the_next_run_works(self, command, tmp_path):
        def full():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))

        failed = subprocess.run(command(), capture_output=True, text=True, preexec_fn=full)
        assert (failed.returncode, failed.stderr) == (1, f"step.py: error: {tmp_path}/run/begun.txt: File too large\n")
        assert subprocess.run(command(), capture_output=True).returncode == 0
        assert self.times_run(tmp_path) == 1

    def test_writes_to_no_file_that_a_link_leads_to(self, command, tmp_path):
        (tmp_path / "elsewhere").write_text("mine")
        (tmp_path / "run").mkdir()
        for name in ("done.tmp", "done.txt.tmp", "begun.tmp", "begun.txt.tmp"):
            (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
        assert subprocess.run(command(), capture_output=True).returncode == 0
        (tmp_path / "run" / ".lock").unlink()
        (tmp_path / "run" / ".lock").symlink_to(tmp_path / "elsewhere")
        refused = subprocess.run(command(), capture_output=True, text=True)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert (tmp_path / "elsewhere").read_text() == "mine"

    @pytest.mark.parametrize("name", ["a b", "it's", 'a"b', "a:b", "ä", "$HOME", "a=b,c"])
    def test_save_folders_have_any_name(self, tmp_path, name):
        words = [sys.executable, str(SCRIPTS / "step.py"), str(tmp_path / name), "--", "true"]
        for _ in range(2):
            done = subprocess.run(words, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
        assert "already done" in done.stdout

    @pytest.mark.parametrize("flags", [["--max-update", "many"], ["--max-update", "0"], ["--max-epoch", "0"]])
    def test_leaves_bad_numbers_to_fairseq(self, command, flags):
        assert subprocess.run(command(*flags), capture_output=True).returncode == 0

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

    @pytest.mark.parametrize("command", [["nosuch"], ["/dev/null"], [str(SCRIPTS)]])
    def test_starts_nothing_where_one_is_no_command(self, command, tmp_path):
        words = ["touch", str(tmp_path / "started"), parallel.SEPARATOR, *command]
        done = subprocess.run([*self.SCRIPT, *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert not (tmp_path / "started").exists()


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
