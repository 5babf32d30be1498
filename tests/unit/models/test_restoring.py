"""The models of a pair come back from its checkpoint, with their dictionaries."""

import pytest
import tiny
import torch

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import restore
from fairseq_dsl.vocabulary import NAME as DICTIONARIES

DE_EN, EN_DE = Direction("de", "en"), Direction("en", "de")


def test_have_the_parameters_and_dictionaries_of_their_directions(pair_checkpoint):
    pair, path = pair_checkpoint
    restored = restore(Checkpoint(path, "checkpoint"))
    assert list(restored) == [DE_EN, EN_DE]
    for direction, found in restored.items():
        tiny.assert_same_parameters(found.model, pair.model.models[str(direction)])
        assert not found.model.training and found.direction == direction
        word = {"de": "w3", "en": "v3"}
        assert word[direction.source] in found.source.symbols and word[direction.target] in found.target.symbols


@pytest.fixture
def without_dictionaries(pair_checkpoint, tmp_path):
    """A checkpoint as version 0.2 wrote them, whose data folder is gone."""
    state = torch.load(pair_checkpoint[1], weights_only=False)
    state["model"] = {key: value for key, value in state["model"].items() if not key.startswith(DICTIONARIES)}
    state["cfg"]["task"]["data"] = "gone"
    torch.save(state, tmp_path / "dual.pt")
    return Checkpoint(str(tmp_path / "dual.pt"), "checkpoint")


def test_a_checkpoint_without_dictionaries_requires_a_folder(without_dictionaries, data):
    with pytest.raises(BadInput, match="contains no de dictionary, .* expected --data DATA_BIN"):
        restore(without_dictionaries)
    assert "w3" in restore(without_dictionaries, data)[DE_EN].source.symbols


def test_refuses_parameters_that_do_not_fit(pair_checkpoint):
    checkpoint = Checkpoint(pair_checkpoint[1], "checkpoint")
    name = next(name for name in checkpoint.parameters if "de-en.decoder" in name and "fc1" in name)
    del checkpoint.parameters[name]
    with pytest.raises(BadInput, match="dual.pt: its de-en parameters do not fit its architecture"):
        restore(checkpoint)
