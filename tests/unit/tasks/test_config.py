"""The flags of the task: those of each direction, and what version 0.3 wrote into configuration files."""

import pytest
import tiny
from omegaconf import OmegaConf

from fairseq_dsl.tasks.config import DualTranslationTaskConfig, mirrored, one_direction, take_mono_weight
from fairseq_dsl.terms import BackTranslationConfig, DSLConfig

SCHEDULE = "0:0,100:1"


class TestMonoWeightOfVersion03:
    """It stood in the task's configuration; the criterion has it now."""

    @pytest.fixture(params=[lambda cfg: cfg, OmegaConf.structured], ids=["a dataclass", "of OmegaConf"])
    def configured(self, request):
        return lambda **settings: request.param(BackTranslationConfig(sentence_avg=False, **settings))

    def taken(self, criterion_cfg, caplog, **task_settings):
        """The criterion's value, and whether there is a warning."""
        caplog.clear()
        with caplog.at_level("WARNING", logger="fairseq_dsl"):
            take_mono_weight(criterion_cfg, DualTranslationTaskConfig(**task_settings))
        return criterion_cfg.mono_weight, "task.mono_weight: deprecated; set criterion.mono_weight" in caplog.text

    def test_is_taken_over_with_a_warning(self, configured, caplog):
        assert self.taken(configured(), caplog, mono_weight=SCHEDULE) == (SCHEDULE, True)

    def test_leaves_what_the_criterion_is_given(self, configured, caplog):
        assert self.taken(configured(mono_weight="0.5"), caplog, mono_weight=SCHEDULE) == ("0.5", False)

    def test_says_nothing_where_it_is_not_set(self, configured, caplog):
        assert self.taken(configured(), caplog) == ("1", False)
        assert self.taken(configured(mono_weight="0.5"), caplog) == ("0.5", False)

    def test_a_criterion_of_a_checkpoint_of_0_3_has_no_such_value_yet(self, caplog):
        """As the configuration that is read from a checkpoint, whose criterion was made without it."""
        cfg = OmegaConf.create({"_name": "back_translation_cross_entropy"})
        OmegaConf.set_struct(cfg, True)
        assert self.taken(cfg, caplog, mono_weight=SCHEDULE) == (SCHEDULE, True)

    def test_counts_in_training(self, data, tmp_path):
        symbols = tiny.dictionary(tiny.WORDS["de"])
        mono = tiny.write_monolingual(tmp_path, [["w1", "w2"], ["w3"]], symbols)
        made = tiny.pair(data, source_mono=mono, mono_weight=SCHEDULE)
        criterion = tiny.learns_by(made, "back_translation_cross_entropy")
        assert [criterion.terms[-1].weight(update) for update in (0, 50, 100)] == [0, 0.5, 1]

    def test_the_flag_of_the_command_line_sets_the_criterion_s(self, data):
        command = ["--task", "dual_translation", "--arch", "transformer", "--criterion", "dual_learning"]
        cfg = tiny.configure(data, *command, "--mono-weight", SCHEDULE)
        assert cfg.criterion.mono_weight == SCHEDULE


def test_each_direction_has_the_flags_of_a_translation_task():
    cfg = DualTranslationTaskConfig(
        source_lang="de", target_lang="en", max_source_positions=30, max_target_positions=50
    )
    cfg.eval_bleu_tokenize, cfg.source_lm = "char", "lm.pt"
    primal = one_direction(cfg)
    dual = mirrored(primal)
    assert [(c.source_lang, c.target_lang) for c in (primal, dual)] == [("de", "en"), ("en", "de")]
    assert [(c.max_source_positions, c.max_target_positions) for c in (primal, dual)] == [(30, 50), (50, 30)]
    assert primal.eval_bleu_tokenize == dual.eval_bleu_tokenize == "char"
    assert not hasattr(primal, "source_lm")
    assert mirrored(dual) == primal


def test_no_flag_of_the_task_is_one_of_the_criterion_but_mono_weight():
    """Of two fields of one name, the command line's flag would set both."""
    of_task, of_criterion = DualTranslationTaskConfig.__dataclass_fields__, BackTranslationConfig.__dataclass_fields__
    assert set(DSLConfig.__dataclass_fields__) < set(of_criterion)
    assert {name for name in set(of_task) & set(of_criterion) if name != "_name"} == {"mono_weight"}


@pytest.mark.parametrize("flag", ["--eval-bleu-tokenizer", "--eval-bleu-tokenize"])
def test_the_tokenizer_has_its_name_of_0_3_too(data, flag):
    cfg = tiny.configure(data, "--task", "dual_translation", "--arch", "transformer", flag, "de=intl,en=13a")
    assert cfg.task.eval_bleu_tokenize == "de=intl,en=13a"
