"""Where the weights of dual inference come from, and what is refused there."""

import re
from types import SimpleNamespace

import pytest
import tiny

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl.tasks.config import DualTranslationTaskConfig


def stored(weights):
    return Weights.stored(SimpleNamespace(dual_inference=weights), tiny.DE_EN)


@pytest.mark.parametrize("weights", [None, {}, {"de-en": None}, {"en-de": {"reverse": 0.5}}])
def test_a_direction_may_have_none(weights):
    assert stored(weights) == Weights(None, None)


@pytest.mark.parametrize("weights", ["text", 7, [0.5], {"de-en": [0.5]}, {"de-en": "text"}, {"de-en": {"other": 0.5}}])
def test_what_is_no_table_of_weights_is_refused(weights):
    with pytest.raises(BadInput, match="the checkpoint's weights of dual inference of de-en: expected .*, found"):
        stored(weights)


@pytest.mark.parametrize("value", ["0.5", [0.5], True, float("nan"), 7])
@pytest.mark.parametrize("name", ["reverse", "lm"])
def test_what_is_no_weight_is_refused(name, value):
    if (name, value) == ("lm", 7):
        value = -7
    expected = f"the checkpoint's {name}_weight of de-en {value}: expected a number "
    with pytest.raises(BadInput, match="^" + re.escape(expected)):
        stored({"de-en": {name: value}})


@pytest.mark.parametrize("weights", [Weights(0.5, 0.1), Weights(0.5), Weights()])
def test_what_is_stored_is_read_again(weights):
    assert stored({"de-en": weights.as_stored()}) == weights


def test_stored_weights_have_no_names_of_flags():
    """fairseq's `from_pretrained` would write the flags' values into them."""
    assert not set(Weights(0.5, 0.1).as_stored()) & set(DualTranslationTaskConfig.__dataclass_fields__)
