"""Every number that is a flag of ours has a range, and what is outside of it is refused by name."""

import dataclasses
import math
import re
from typing import Optional

import pytest
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.tasks.translation import TranslationConfig
from omegaconf import OmegaConf

from fairseq_dsl.criterions import METHODS
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.dual_translation import DualTranslationModelConfig
from fairseq_dsl.ranges import POSITIVE, WEIGHT, at_least, check_numbers
from fairseq_dsl.tasks.config import DualTranslationTaskConfig

NUMBERS = (int, float, Optional[int], Optional[float])
CONFIGS = [DualTranslationTaskConfig, DualTranslationModelConfig]
CONFIGS += [CRITERION_DATACLASS_REGISTRY[name] for name in METHODS]
FLAGS = [
    (config, field)
    for config in CONFIGS
    for field in dataclasses.fields(config)
    if field.type in NUMBERS
    and field.name not in TranslationConfig.__dataclass_fields__
    and "${" not in str(field.default)  # values of other parts of the configuration
]
BAD = (math.inf, -math.inf, math.nan, 1e200, -1e-40, -1)


def named(flag):
    config, field = flag
    return f"{config.__name__}.{field.name}"


def test_the_numbers_of_all_configurations_are_found():
    assert {field.name for _, field in FLAGS} >= {
        "dsl_lambda", "dsl_gap_clip", "label_smoothing", "mono_ratio", "num_samples", "risk_weight", "sharpness",
        "reward_alpha", "marginal_lambda", "per_model_clip_norm", "sample_temperature", "dsl_ramp_updates",
    }  # fmt: skip
    assert all("range" in field.metadata for _, field in FLAGS)


def allows_0(field):
    return field.metadata["range"].low <= 0


@pytest.mark.parametrize("flag", FLAGS, ids=named)
def test_values_that_make_no_sense_are_refused_by_name(flag):
    config, field = flag
    bad = [*BAD, *(() if allows_0(field) else (0, 1e-40))]
    for value in bad:
        if field.default != field.default and value != value:
            continue  # nan stands for what is not given
        cfg = config()
        setattr(cfg, field.name, value)
        name = f"--{field.name.replace('_', '-')} {value}: expected "
        with pytest.raises(BadInput, match="^" + re.escape(name)):
            check_numbers(cfg)


@pytest.mark.parametrize("flag", FLAGS, ids=named)
def test_the_default_and_small_values_are_accepted(flag):
    config, field = flag
    for value in [field.default, *((0, 1e-40) if allows_0(field) and field.type is not int else ())]:
        cfg = config()
        setattr(cfg, field.name, value)
        check_numbers(cfg)


def test_configurations_of_omegaconf_are_checked_too():
    cfg = OmegaConf.structured(DualTranslationTaskConfig)
    check_numbers(cfg)
    cfg.mono_ratio = 1e9
    with pytest.raises(BadInput, match="--mono-ratio 1000000000.0: expected a number above 0 .from 1e-06 to 1000.$"):
        check_numbers(cfg)


@pytest.mark.parametrize("within, value, message", [
    (WEIGHT, -3.0, "a number of 0 or more"),
    (WEIGHT, math.nan, "a number of 0 or more"),
    (WEIGHT, 1e9, "a number of at most 1e+06"),
    (POSITIVE, 0, "a number above 0 (from 1e-06 to 1e+06)"),
    (at_least(1, 10**4), 1000000, "a number of at most 10000"),
])  # fmt: skip
def test_the_message_says_which_bound_is_missed(within, value, message):
    with pytest.raises(BadInput) as caught:
        within.check("--flag", value)
    assert str(caught.value) == f"--flag {value}: expected {message}"
