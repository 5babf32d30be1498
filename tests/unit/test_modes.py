"""A model in evaluation mode for a while."""

import pytest
from torch import nn

from fairseq_dsl.modes import in_evaluation_mode


@pytest.fixture
def model():
    """In training, but for one of its modules."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2))
    model[0].eval()
    return model


def modes(model):
    return [module.training for module in model.modules()]


def test_all_modules_are_in_evaluation_mode_and_go_back_to_their_own(model):
    before = modes(model)
    with in_evaluation_mode(model):
        assert modes(model) == [False] * 4
    assert modes(model) == before == [True, False, True, True]


def test_also_after_an_error(model):
    with pytest.raises(RuntimeError), in_evaluation_mode(model):
        raise RuntimeError
    assert modes(model) == [True, False, True, True]
