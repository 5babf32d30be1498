"""Weights of dual inference in a pair's checkpoint."""

import argparse
import os

import pytest
import torch
from fairseq import checkpoint_utils
from saved import save_pair, save_translation

from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl_cli.tuning import stored
from fairseq_dsl_cli.tuning.surface import Point

DE_EN, EN_DE = Direction("de", "en"), Direction("en", "de")


@pytest.fixture
def path(tmp_path):
    return save_pair(tmp_path / "dual.pt", "de", "en")


def weights(path, direction):
    return Weights.stored(checkpoint_utils.load_checkpoint_to_cpu(path)["cfg"].model, direction)


def test_each_direction_has_its_own(path):
    stored.store(path, "de-en", Point(0.5, 0.1, 30.0), with_lm=True)
    stored.store(path, "en-de", Point(0.4, 2.0, 30.0), with_lm=True)
    stored.store(path, "de-en", Point(0.6, 0.0, 31.0), with_lm=True)
    assert weights(path, DE_EN) == Weights(0.6, 0.0)
    assert weights(path, EN_DE) == Weights(0.4, 2.0)


def test_what_a_language_model_counts_stays_open_where_there_was_none(path):
    stored.store(path, "de-en", Point(0.5, 0.0, 30.0), with_lm=False)
    assert weights(path, DE_EN) == Weights(0.5, None)
    assert weights(path, EN_DE) == Weights(None, None)


@pytest.mark.parametrize("kind", [dict, lambda fields: argparse.Namespace(**fields)], ids=["dict", "namespace"])
def test_all_else_stays(path, kind):
    before = torch.load(path)
    before["last_optimizer_state"] = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}}
    before["cfg"]["model"] = kind(before["cfg"]["model"])
    torch.save(before, path)
    stored.store(path, "de-en", Point(0.5, 0.1, 30.0), with_lm=True)
    after = torch.load(path)
    assert weights(path, DE_EN) == Weights(0.5, 0.1)
    model_cfg = after["cfg"]["model"]
    assert type(model_cfg) is type(before["cfg"]["model"])
    fields = model_cfg if isinstance(model_cfg, dict) else vars(model_cfg)
    del fields["dual_inference"]
    assert repr(after) == repr(before)
    assert os.listdir(os.path.dirname(path)) == ["dual.pt"]


def test_refuses_a_checkpoint_without_the_direction(path, tmp_path):
    stored.check_stores(path, "en-de")
    with pytest.raises(BadInput, match="--store .*dual.pt: expected .* that translates de-fr, found a pair for de-en"):
        stored.check_stores(path, "de-fr")
    plain = save_translation(tmp_path / "plain.pt", "de", "en")
    with pytest.raises(BadInput, match="plain.pt: .* found a translation model for de-en; fairseq-dsl join"):
        stored.check_stores(plain, "de-en")


def test_a_checkpoint_with_weights_that_are_none_is_refused(path):
    state = torch.load(path)
    state["cfg"]["model"]["dual_inference"] = {"en-de": "text"}
    torch.save(state, path)
    with pytest.raises(BadInput, match="--store .*dual.pt: the checkpoint's weights of dual inference of en-de"):
        stored.check_stores(path, "de-en")
