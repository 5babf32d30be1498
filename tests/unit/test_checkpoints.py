"""What is stored of models: values that any unpickler takes, in checkpoints that stock fairseq reads."""

import argparse
import os

import numpy as np
import pytest
import tiny
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.dataclass import ChoiceEnum
from omegaconf import OmegaConf
from tiny import DE_EN, EN_DE

from fairseq_dsl.checkpoints import Checkpoint, build_config, named, plain, save_pair, save_plain, write_checkpoint
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel

PLAIN = (bool, int, float, str, type(None))


def assert_plain(value, place="state"):
    """Of exactly the types that any unpickler takes: a subclass of float may be numpy's."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in PLAIN
            assert_plain(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            assert_plain(item, f"{place}[]")
    else:
        assert type(value) in PLAIN + (torch.Tensor,), f"{place}: {type(value)}"


def assert_any_unpickler_reads(path):
    assert_plain(torch.load(path))
    if hasattr(torch.serialization, "get_safe_globals"):
        allowed = torch.serialization.get_safe_globals()
        try:
            torch.serialization.clear_safe_globals()
            torch.load(path, weights_only=True)
        finally:
            torch.serialization.add_safe_globals(allowed)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = str(tmp_path / "out.pt")
    write_checkpoint({"a": 1}, path)
    with pytest.raises(Exception):  # noqa: B017  (of torch or pickle, by version)
        write_checkpoint({"a": 2, "b": lambda: None}, path)
    assert torch.load(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["out.pt"]


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
def test_a_direction_becomes_a_checkpoint_that_stock_fairseq_reads(data, pair_checkpoint, tmp_path, direction):
    made, path = pair_checkpoint
    out = str(tmp_path / "new" / "out.pt")
    save_plain(Checkpoint(path, "--path").direction(direction), out)
    assert os.listdir(tmp_path / "new") == ["out.pt"]
    assert_any_unpickler_reads(out)
    (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([out], arg_overrides={"data": data})
    assert type(task) is tasks.TASK_REGISTRY["translation"]
    assert f"{task.cfg.source_lang}-{task.cfg.target_lang}" == direction
    assert type(model) is type(made.model.models[direction])
    batch = tiny.batch(made.data)
    net_input = (batch if direction == "de-en" else batch["reverse"])["net_input"]
    made.model.eval(), model.eval()
    assert torch.equal(model(**net_input)[0], made.model.models[direction](**net_input)[0])


@pytest.mark.parametrize("primal", [DE_EN, EN_DE], ids=str)
def test_two_models_become_the_pair_that_they_were_of(data, pair_checkpoint, tmp_path, primal):
    made, path = pair_checkpoint
    out, stored = str(tmp_path / "out.pt"), Checkpoint(path, "--path")
    models = {direction: stored.direction(direction) for direction in (primal, primal.reversed)}
    models[primal.reversed].num_updates = 11
    save_pair(models, stored.dictionaries, out)
    assert_any_unpickler_reads(out)
    (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([out], arg_overrides={"data": data})
    assert (type(model), type(task)) == (DualTranslationModel, tasks.TASK_REGISTRY["dual_translation"])
    assert list(model.models) == [str(direction) for direction in models]
    assert task.directions.primal == primal == task.directions.active
    assert model.num_updates == 11
    state = model.state_dict()
    differing = [name for name, value in made.model.state_dict().items() if not torch.equal(state[name], value)]
    assert differing == []
    expected = {str(d): named(stored.pair[str(d)]) for d in models}
    assert repr(Checkpoint(out, "--path").pair) == repr(expected)  # as text, in which nan equals nan


def test_an_absent_direction_is_refused(pair_checkpoint):
    with pytest.raises(BadInput, match="--path .*dual.pt: expected a checkpoint of de-fr, found de-en and en-de"):
        Checkpoint(pair_checkpoint[1], "--path").direction("de-fr")


class TestPlain:
    Choice = ChoiceEnum(["one", "two"])

    @pytest.mark.parametrize(
        "value, wanted",
        [
            ({"a": [1, (2.5, None)], "b": {"c": "x"}}, {"a": [1, [2.5, None]], "b": {"c": "x"}}),
            (argparse.Namespace(a=1, b=argparse.Namespace(c=True)), {"a": 1, "b": {"c": True}}),
            (OmegaConf.create({"a": 3, "b": "${a}", "c": [1]}), {"a": 3, "b": 3, "c": [1]}),
            ({"kept": 1, "function": print, "tensor": torch.zeros(1), "array": np.zeros(2)}, {"kept": 1}),
            ([1, print, {"a": print}], [1, {}]),
            ({"a": np.float64(0.5), 3: 4}, {"a": 0.5, "3": 4}),
            ({"choice": Choice("two")}, {"choice": "two"}),
            (None, None),
        ],
        ids=[
            "containers",
            "namespaces",
            "an interpolation",
            "tensors and functions in a dictionary",
            "functions in a list",
            "a number of numpy's",
            "a choice",
            "None",
        ],
    )
    def test_leaves_values_that_any_unpickler_takes(self, value, wanted):
        found = plain(value)
        assert found == wanted
        assert_plain(found)

    @pytest.mark.parametrize(
        "arch, kind", [("transformer", "Namespace"), ("lstm", "Namespace"), ("transformer_lm", "DictConfig")]
    )
    def test_a_plain_configuration_becomes_what_the_architecture_wants(self, arch, kind):
        config = build_config({"_name": arch, "dropout": 0.25})
        assert type(config).__name__ == kind
        assert config.dropout == 0.25
        assert kind != "Namespace" or config.arch == arch
