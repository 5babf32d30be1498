"""The commands of fairseq that an evaluation runs, and what it reads of their output."""

import json
import shlex

import pytest

from fairseq_dsl_cli import evaluate
from fairseq_dsl_cli.arguments import Parser
from fairseq_dsl_cli.evaluation import commands
from fairseq_dsl_cli.kinds import Trained


def parse(words):
    parser = Parser(None)
    evaluate.add_arguments(parser)
    return parser.parse_args(words)


class TestHypotheses:
    def test_are_put_in_the_order_of_the_test_set(self):
        lines = ["2024 | INFO | x | loading", "S-2\tdrei", "T-2\tthree", "H-2\t-0.3\tthr@@ ee", "D-2\t-0.3\tthree"]
        lines += ["D-0\t-0.1\tone", "P-0\t-0.1", "D-10\t-1.0\televen"] + [
            f"D-{n}\t-1\tword {n}" for n in (1, *range(3, 10))
        ]
        assert commands.hypotheses(lines, 11)[:4] == ["one", "word 1", "three", "word 3"]
        assert commands.hypotheses(lines, 11)[10] == "eleven"

    def test_may_be_empty_or_hold_tabs(self):
        assert commands.hypotheses(["D-0\t-0.1\t", "D-1\t-0.1\ta\tb"], 2) == ["", "a\tb"]

    @pytest.mark.parametrize("count", [1, 3])
    def test_must_be_as_many_as_the_references(self, count):
        with pytest.raises(ValueError, match=f"2 hypotheses for {count} references"):
            commands.hypotheses(["D-0\t-0.1\ta", "D-1\t-0.1\tb"], count)


class TestLanguageModelsOfEvaluation:
    WORDS = "--data-bin d -s de -t en --baseline".split()

    @pytest.fixture
    def arguments(self, tmp_path):
        (tmp_path / "dual.pt").touch()
        return [*self.WORDS, f"control={tmp_path}/dual.pt"]

    def test_give_the_gap_of_pairs_that_were_trained_without(self, arguments):
        given = ["--source-lm", "x.pt", "--target-lm", "y.pt"]
        args = parse([*arguments, *given, "--user-dir", "fairseq_dsl"])
        command = commands.validate_command(args, "dual.pt")
        assert shlex.join(given) in shlex.join(command)
        args = parse([*arguments, "--user-dir", "fairseq_dsl"])
        assert not {"--source-lm", "--target-lm"} & set(commands.validate_command(args, "dual.pt"))

    @pytest.mark.parametrize(("source", "models"), [(None, "x y"), ("de", "x y"), ("en", "y x")])
    def test_are_given_in_the_order_of_each_pair(self, arguments, source, models):
        args = parse([*arguments, "--source-lm", "x", "--target-lm", "y"])
        command = commands.validate_command(args, "dual.pt", source and Trained(source))
        source, target = models.split()
        assert shlex.join(["--source-lm", source, "--target-lm", target]) in shlex.join(command)


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
    assert commands.duality_gap(lines, "test") == {
        "duality_gap": 5.25,
        "duality_gap_signed": -1.5,
        "duality_loss": 40.0,
    }
    with pytest.raises(ValueError, match="'train'"):
        commands.duality_gap(lines, "train")
