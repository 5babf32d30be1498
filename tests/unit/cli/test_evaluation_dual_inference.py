"""The systems that an evaluation translates with dual inference too, and the flags for it."""

import pytest
from saved import save_translation

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl_cli import evaluate
from fairseq_dsl_cli.arguments import Parser
from fairseq_dsl_cli.evaluation import commands, dual_inference, gaps
from fairseq_dsl_cli.evaluation.systems import System
from fairseq_dsl_cli.kinds import Trained

TUNED = Trained("de", tuned={"en-de": Weights(0.25, 1)})
OWN = Trained("en", {"--source-lm": "lm.en.pt", "--target-lm": "lm.de.pt"})


@pytest.fixture
def parse(tmp_path):
    """The arguments of an evaluation, with a pair for its control unless another is given."""
    for name in ("dual.pt", "a.pt", "b.pt"):
        (tmp_path / name).touch()

    def parse(*words, control="dual.pt"):
        parser = Parser(None)
        evaluate.add_arguments(parser)
        paths = ",".join(f"{tmp_path}/{name}" for name in control.split(","))
        required = ["--data-bin", "d", "-s", "de", "-t", "en", "--baseline", f"control={paths}"]
        args = parser.parse_args([*required, "--output", str(tmp_path / "out"), *words])
        args.user_dir = "fairseq_dsl"
        args.weights = dual_inference.Weights.parse(args)
        return args

    return parse


class TestSystems:
    def test_are_the_control_and_all_pairs(self, parse, tmp_path):
        args = parse("--dual-inference", control="a.pt,b.pt")
        systems = [args.baseline, System("dsl", ("dual.pt",)), System("plain", ("a.pt", "b.pt"))]
        found = dual_inference.systems_of(args, systems)
        assert [(one.name, one.base) for one in found] == [
            ("control + dual inference", systems[0]),
            ("dsl + dual inference", systems[1]),
        ]

    def test_are_none_unless_asked_for(self, parse):
        args = parse()
        assert dual_inference.systems_of(args, [args.baseline]) == dual_inference.notes(args, [], {}) == []


class TestWeights:
    @pytest.mark.parametrize("words, direction, trained, flags", [
        ([], "de-en", TUNED, ["--reverse-weight", "0.5"]),
        ([], "en-de", TUNED, []),
        (["--reverse-weight", "0.3"], "en-de", TUNED, ["--reverse-weight", "0.3"]),
        (["--reverse-weight", "en-de=0.3"], "de-en", TUNED, ["--reverse-weight", "0.5"]),
        (["--lm-weight", "de-en=1"], "de-en", TUNED, ["--reverse-weight", "0.5", "--lm-weight", "1"]),
        (["--lm-weight", "2"], "en-de", TUNED, ["--lm-weight", "2"]),
    ])  # fmt: skip
    def test_are_those_given_else_the_checkpoints_else_a_half(self, parse, words, direction, trained, flags):
        assert parse("--dual-inference", *words).weights.flags(direction, trained) == flags

    @pytest.mark.parametrize("words, message", [
        (["--reverse-weight", "0.5"], "--reverse-weight 0.5: has no effect without --dual-inference"),
        (["--dual-inference", "--reverse-weight", "1.5"], "--reverse-weight 1.5: expected a number from 0 to 1"),
        (["--dual-inference", "--reverse-weight", "nan"], "--reverse-weight nan: expected a number from 0 to 1"),
        (["--dual-inference", "--reverse-weight", "half"], ".*expected a number from 0 to 1, found 'half'"),
        (["--dual-inference", "--reverse-weight", "de-fr=1"], ".*expected .* of de-en and en-de, found 'de-fr=1'"),
        (["--dual-inference", "--lm-weight=-1"], "--lm-weight -1.0: expected a number of 0 or more"),
    ])  # fmt: skip
    def test_that_cannot_be_are_named(self, parse, words, message):
        with pytest.raises(BadInput, match=f"^{message}$"):
            parse(*words)


class TestNotes:
    @pytest.mark.parametrize("words, trained, note", [
        ([], TUNED, "de-en A = 0.5, B = 0, en-de A = 0.25, B = 0; without language models."),
        (["--source-lm", "x.pt", "--target-lm", "y.pt"], TUNED,
         "de-en A = 0.5, B = 0.5, en-de A = 0.25, B = 1; by the language models x.pt and y.pt."),
        (["--reverse-weight", "en-de=0.3", "--lm-weight", "2"], OWN,
         "de-en A = 0.5, B = 2, en-de A = 0.3, B = 2; by the language models lm.en.pt and lm.de.pt."),
    ])  # fmt: skip
    def test_say_by_what_each_system_chooses(self, parse, words, trained, note):
        args = parse("--dual-inference", *words)
        systems = dual_inference.systems_of(args, [args.baseline])
        found = dual_inference.notes(args, systems, {"control": ("dual.pt", trained)})
        assert found[1:] == [f"control + dual inference: {note}"]

    def test_name_the_systems_without_a_gap(self, parse):
        args = parse()
        systems = [
            args.baseline,
            System("dsl", ("own.pt",)),
            System("plain", ("a.pt", "b.pt")),
            System("many", ("a:b",)),
        ]
        assert gaps.notes(args, systems, {"control": ("dual.pt", TUNED), "dsl": ("own.pt", OWN)}) == [
            "No duality gap of many: ensembles have none.",
            "No duality gap of control and plain: no language models; give --source-lm and --target-lm.",
        ]
        args.source_lm = "x.pt"
        assert gaps.notes(args, systems[:3], {}) == []


class TestCommands:
    def jobs(self, args, pairs, *systems):
        systems = [args.baseline, *systems]
        systems += dual_inference.systems_of(args, systems)
        generations, validations = commands.make_jobs(args, systems, pairs, 3)
        return {" ".join(key): " ".join(job.command) for key, job in generations.items()}, validations

    def test_choose_from_a_wider_beam_by_both_directions(self, parse):
        args = parse("--dual-inference", "--source-lm", "x.pt", "--target-lm", "y.pt")
        generations, validations = self.jobs(args, {"control": ("dual.pt", OWN)})
        assert "--beam 5 " in generations["control de-en"] and "--reverse-weight" not in generations["control de-en"]
        found = generations["control + dual inference en-de"]
        assert "--task dual_translation -s en -t de --path dual.pt" in found
        # the pair was trained as en-de: its --source-lm is English
        assert "--beam 10 --reverse-weight 0.5 --source-lm y.pt --target-lm x.pt " in found
        assert list(validations) == ["control"]  # the gap is the models', whatever chooses the translation

    def test_have_the_language_models_of_the_training(self, parse):
        generations, _ = self.jobs(parse("--dual-inference", "--beam", "20"), {"control": ("dual.pt", OWN)})
        found = generations["control + dual inference de-en"]
        assert "--beam 20 --reverse-weight 0.5 --source-lm lm.en.pt --target-lm lm.de.pt " in found

    def test_of_one_direction_alone_turn_off_the_weights_of_the_checkpoint(self, parse):
        generations, _ = self.jobs(parse(), {"control": ("dual.pt", TUNED)})
        assert "--reverse-weight 0 " in generations["control en-de"]
        assert "--reverse-weight" not in generations["control de-en"]

    def test_of_two_plain_models_need_them_joined(self, parse, tmp_path):
        args = parse("--dual-inference", control="a.pt,b.pt")
        generations, validations = self.jobs(args, {"control": ("joined.pt", Trained("de"))})
        assert f"--task translation -s en -t de --path {tmp_path}/b.pt" in generations["control en-de"]
        assert "--task dual_translation -s en -t de --path joined.pt" in generations["control + dual inference en-de"]
        assert validations == {}  # without language models


class TestJoining:
    def test_overwrites_no_input(self, parse, tmp_path, capsys):
        folder = tmp_path / "out"
        folder.mkdir()
        paths = [
            save_translation(folder / f"{name}.pt", *pair)
            for name, *pair in (("c.joined", "de", "en"), ("b", "en", "de"))
        ]
        with pytest.raises(SystemExit):
            dual_inference.join(Parser(None, "evaluate"), parse(), System("c", tuple(paths)))
        assert "expected another file to write than the input" in capsys.readouterr().err

    @pytest.mark.parametrize("words, is_required", [([], False), (["--dual-inference"], True)])
    def test_that_fails_is_an_error_only_where_it_is_required(self, parse, words, is_required, monkeypatch):
        def fails(*_):
            raise BadInput("no dictionary")

        monkeypatch.setattr(dual_inference, "join", fails)
        args = parse(*words, "--source-lm", "x", "--target-lm", "y", control="a.pt,b.pt")
        args.notes = []
        if is_required:
            with pytest.raises(BadInput, match="no dictionary"):
                evaluate.pairs_of(None, args, [args.baseline], {})
        else:
            assert evaluate.pairs_of(None, args, [args.baseline], {}) == {}
            assert args.notes == ["No duality gap of control: no dictionary"]
