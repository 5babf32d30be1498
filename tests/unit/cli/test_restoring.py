"""One direction's model comes back from a pair's checkpoint, with its dictionaries."""

import pytest
import tiny
import torch

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import NAME as DICTIONARIES
from fairseq_dsl_cli.exporting.restoring import restore


@pytest.mark.parametrize("name", ["de-en", "en-de"])
def test_has_the_parameters_and_dictionaries_of_its_direction(pair_checkpoint, name):
    pair, path = pair_checkpoint
    restored = restore(Checkpoint(path, "checkpoint"), name)
    expected = next(model for direction, model in pair.model.models.items() if str(direction) == name)
    tiny.assert_same_parameters(restored.model, expected)
    assert not restored.model.training
    symbols = {"de": "w3" in restored.source.symbols, "en": "v3" in restored.source.symbols}
    assert symbols == {"de": name == "de-en", "en": name == "en-de"}


@pytest.fixture
def without_dictionaries(pair_checkpoint, tmp_path):
    """A checkpoint as version 0.2 wrote them, whose data folder is gone."""
    state = torch.load(pair_checkpoint[1], weights_only=False)
    state["model"] = {key: value for key, value in state["model"].items() if not key.startswith(DICTIONARIES)}
    state["cfg"]["task"]["data"] = "gone"
    torch.save(state, tmp_path / "dual.pt")
    return Checkpoint(str(tmp_path / "dual.pt"), "checkpoint")


def test_a_checkpoint_without_dictionaries_requires_a_folder(without_dictionaries, data):
    with pytest.raises(BadInput, match="contain no de dictionary, .* expected --data DATA_BIN"):
        restore(without_dictionaries, "de-en")
    assert "w3" in restore(without_dictionaries, "de-en", data).source.symbols


def test_refuses_parameters_that_do_not_fit(pair_checkpoint):
    checkpoint = Checkpoint(pair_checkpoint[1], "checkpoint")
    name = next(name for name in checkpoint.parameters if "de-en.decoder" in name and "fc1" in name)
    del checkpoint.parameters[name]
    with pytest.raises(BadInput, match="dual.pt: its parameters do not fit its architecture"):
        restore(checkpoint, "de-en")
