"""Minimum risk with fairseq's own translation task, against the same of a pair."""

import pytest
import tiny
import torch
from drawn import is_given_changed_references
from fairseq import tasks
from omegaconf import OmegaConf
from toys import assert_same_gradients

from fairseq_dsl.errors import BadInput

ROWS = [4, 1, 9, 6]


@pytest.mark.parametrize("multiple", [1, 8])
def test_the_risk_is_the_direction_s_part_of_the_pair_s(pair_in_float64, data, multiple, pads):
    """With fairseq's own translation task, where references and candidates go through the model as one batch."""
    made = pair_in_float64
    settings = dict(num_samples=6, parallel_weight=0.5, label_smoothing=0.1, sharpness=0.7, risk_with_reference=True)
    sample = tiny.batch(made.data, ROWS)
    criterion = tiny.learns_by(made, "minimum_risk", **settings)
    is_given_changed_references(criterion, made.task, sample)
    of_pair, _, logged_of_pair = criterion(made.model, sample)
    for p in made.model.models["en-de"].parameters():
        p.requires_grad_(False)
    wanted = tiny.gradients(made.model, of_pair)
    for p in made.model.models["en-de"].parameters():
        p.requires_grad_(True)

    task = tasks.setup_task(tiny.translation_config(data).task)
    alone = task.build_criterion(OmegaConf.create({"_name": "minimum_risk", "sentence_avg": False, **settings})).train()
    task.load_dataset("train")
    pads(task.cfg, task.dataset("train"))
    task.dataset("train").pad_to_multiple = multiple  # references may be wider than all candidates
    batch = tiny.batch(task.dataset("train"), ROWS)
    assert torch.equal(batch["id"], sample["id"])
    is_given_changed_references(alone, task, batch, ["de-en"])
    loss, sample_size, logged = alone(made.model.models["de-en"], batch)
    found = {f"models.de-en.{name}": g for name, g in tiny.gradients(made.model.models["de-en"], loss).items()}
    assert sample_size == logged["ntokens"] == batch["ntokens"]
    for key in ("risk", "candidates", "sentences", "nll_loss", "ntokens", "samples", "samples_cut", "length_ratio"):
        key = f"{key}_de-en"
        assert float(logged[key]) == pytest.approx(float(logged_of_pair[key]), rel=1e-9), key
    assert_same_gradients(made, found, wanted)


def test_validation_is_the_direction_s_part_of_the_pair_s(pair_in_float64, data):
    made = pair_in_float64
    task = tasks.setup_task(tiny.translation_config(data).task)
    alone = task.build_criterion(OmegaConf.create({"_name": "minimum_risk", "sentence_avg": False})).eval()
    task.load_dataset("train")
    logged = alone(made.model.models["de-en"], tiny.batch(task.dataset("train"), ROWS))[2]
    criterion = tiny.learns_by(made, "minimum_risk").eval()
    of_pair = criterion(made.model, tiny.batch(made.data, ROWS))[2]
    assert logged["nll_loss_de-en"].item() == pytest.approx(of_pair["nll_loss_de-en"].item(), rel=1e-9)
    assert logged["loss"].item() == logged["nll_loss_de-en"].item()
    assert not any(key.startswith(("risk", "samples")) for key in logged)


@pytest.mark.parametrize("name", ["dsl_cross_entropy", "dual_learning"])
def test_methods_that_train_both_directions_refuse_the_task(data, name):
    task = tasks.setup_task(tiny.translation_config(data).task)
    with pytest.raises(
        BadInput, match=f"--criterion {name}: trains both directions; it requires --task dual_translation"
    ):
        task.build_criterion(OmegaConf.create({"_name": name, "sentence_avg": False}))
