"""What each model of a pair is built from: flags or checkpoints."""

import pytest
import tiny
from fairseq import tasks

from fairseq_dsl.checkpoints import build_config
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.architecture import Architecture, architectures


class TestArchitectureFromFlags:
    def build(self, data, arch, text, role="primal"):
        task_cfg = tiny.pair_config(data).task
        return Architecture.from_flags(arch, text, role, task_cfg).cfg

    def test_takes_the_values_of_the_flags_and_else_of_the_architecture(self, data):
        cfg = self.build(data, "transformer_iwslt_de_en", "--encoder-layers 2 --dropout 0.35 --share-all-embeddings")
        assert (cfg["encoder_layers"], cfg["dropout"], cfg["share_all_embeddings"]) == (2, 0.35, True)
        assert (cfg["decoder_layers"], cfg["encoder_ffn_embed_dim"]) == (6, 1024)  # those of transformer_iwslt_de_en

    @pytest.mark.parametrize("arch", ["transformer", "lstm"])
    def test_takes_the_limits_of_the_task(self, data, arch):
        cfg = tiny.pair_config(data).task
        cfg.max_source_positions, cfg.max_target_positions = 3000, 60
        task = tasks.setup_task(cfg)
        for direction, wanted in ((tiny.DE_EN, (3000, 60)), (tiny.EN_DE, (60, 3000))):
            part = task.tasks[direction]
            found = Architecture.from_flags(arch, tiny.FLAGS[arch], "primal", part.cfg)
            assert part.build_model(build_config(found.cfg)).max_positions() == wanted

    def test_takes_quoted_values(self, data):
        cfg = self.build(data, "fconv", '--encoder-layers "[(8, 3)] * 2" --dropout 0.2')
        assert cfg["encoder_layers"] == "[(8, 3)] * 2"

    @pytest.mark.parametrize(
        "arch, text, message",
        [
            (
                "transformer",
                "--no-such-flag 3",
                "--dual-args: --no-such-flag is not a flag of the architecture transformer",
            ),
            ("lstm", "--encoder-attention-heads 2", "--encoder-attention-heads is not a flag of the architecture lstm"),
            ("transformer", "--lr 0.1", "--lr is not a flag of the architecture transformer"),
            ("transformer", "--dropout 0.1 --max-tokens 10", "--max-tokens is not a flag of"),
            ("transformer", "--encoder-layer 2", "--encoder-layer is not a flag of"),  # no abbreviations
            ("transformer", "surplus", "surplus is not a flag of"),
            ("transformer", "--encoder-layers two", "--dual-args, for --dual-arch transformer: .*--encoder-layers"),
            ("transformer", "--dropout '0.1", "--dual-args .*quotation"),
            ("no_such_arch", "", "--dual-arch no_such_arch: not the name of an architecture"),
            ("dual_translation", "", "--dual-arch dual_translation: "),
            ("transformer_lm", "", "--dual-arch transformer_lm: .* no encoder-decoder"),
        ],
        ids=[
            "no flag",
            "another architecture's flag",
            "a flag of training",
            "a flag of the data",
            "an abbreviation",
            "no dashes",
            "no number",
            "an open quotation",
            "no architecture",
            "a pair",
            "a language model",
        ],
    )
    def test_refuses_by_name(self, data, arch, text, message):
        with pytest.raises(BadInput, match=message):
            self.build(data, arch, text, role="dual")


class TestArchitectures:
    def ask(self, data, **settings):
        cfg = tiny.pair_config(data)
        task = tasks.setup_task(cfg.task)
        for name, value in settings.items():
            cfg.model[name] = value
        return architectures(cfg.model, {direction: task.tasks[direction].cfg for direction in task.directions})

    def test_of_checkpoints_are_theirs(self, data, starts):
        found = self.ask(data, primal_checkpoint=starts["de-en"][0], dual_checkpoint=starts["en-de"][0])
        assert [a.cfg.get("_name") or a.cfg["arch"] for a in found.values()] == ["transformer", "lstm"]

    @pytest.mark.parametrize(
        "settings, message",
        [
            ({"primal_checkpoint": "en-de", "dual_checkpoint": "de-en"}, "translates en-de; .*de-en .*swapped"),
            ({"primal_checkpoint": "de-en"}, "the dual model .en-de. is missing"),
            ({"primal_checkpoint": "de-en", "primal_arch": "lstm"}, "without --primal-arch and --primal-args"),
            ({}, "the primal model .de-en. is missing"),
        ],
    )
    def test_wrong_combinations_are_refused(self, data, starts, settings, message):
        given = {name: starts[value][0] if "checkpoint" in name else value for name, value in settings.items()}
        with pytest.raises(BadInput, match=message):
            self.ask(data, **given)

    def test_a_language_model_is_no_warm_start(self, data, tmp_path):
        path, _ = tiny.language_model(tmp_path, tiny.dictionary(tiny.WORDS["de"]))
        with pytest.raises(BadInput, match=f"--primal-checkpoint {path}: .*expected a translation model"):
            self.ask(data, primal_checkpoint=path)
