"""Clipping each model on its own, as the step of each of fairseq's optimizers then makes it."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch
import torch.nn as nn
from fairseq import optim
from fairseq.logging import metrics
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.optim.fp16_optimizer import FP16Optimizer, MemoryEfficientFP16Optimizer
from fairseq.trainer import Trainer

from fairseq_dsl.gradients import clip_and_log_gradients

SAMPLE_SIZE = 4.0
LOSS_SCALE = 128.0
# each model's gradient, before the division by the sample size: norms 13 and 1.5 after it
GRADIENTS = {"de-en": [12.0, 16.0, 48.0, 0.0], "en-de": [4.0, 2.0, -4.0, 0.0]}
NORMS = {direction: math.sqrt(sum(g * g for g in values)) / SAMPLE_SIZE for direction, values in GRADIENTS.items()}


class Model(nn.Module):
    """Four weights in two parameters, and a frozen and an unused one between them."""

    def __init__(self, dtype):
        super().__init__()
        self.first = nn.Parameter(torch.tensor([[0.5], [0.25]], dtype=dtype))
        self.frozen = nn.Parameter(torch.full((3,), 7.0, dtype=dtype), requires_grad=False)
        self.unused = nn.Parameter(torch.full((5,), 2.0, dtype=dtype))
        self.second = nn.Parameter(torch.tensor([1.0, -1.0], dtype=dtype))

    def weights(self):
        return torch.cat([self.first.view(-1), self.second]).float()


def optimizer_of(kind, models, monkeypatch):
    """The optimizer that fairseq's trainer makes, with a learning rate of 1."""
    name = "adam" if kind == "memory efficient" else "sgd"  # SGD has no memory-efficient form
    flags = ["--fp16-init-scale", int(LOSS_SCALE)] + (
        ["--fp16-no-flatten-grads"] if kind == "fp16 by parameter" else []
    )
    command = ["--task", "translation", "--arch", "transformer", "--criterion", "cross_entropy", "--optimizer", name]
    cfg = tiny.configure("-", *command, "--lr", "1", *flags)
    parameters = [p for p in nn.ModuleDict(models).parameters() if p.requires_grad]
    if kind == "single":
        return optim.build_optimizer(cfg.optimizer, parameters)
    if kind == "amp":
        return AMPOptimizer.build_optimizer(cfg, parameters)
    if kind == "memory efficient":
        return MemoryEfficientFP16Optimizer.build_optimizer(cfg, parameters)
    # The index of the one device that holds all: there is none on the CPU.
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)
    return FP16Optimizer.build_optimizer(cfg, parameters)


def logged_at_step(kind, max_norm, monkeypatch, gradients=GRADIENTS, clip_norm=0.0):
    """A step as fairseq's trainer makes it. Return how far the weights of each model went, and what was logged."""
    half = kind.startswith("fp16") or kind == "memory efficient"
    models = {direction: Model(torch.float16 if half else torch.float32) for direction in gradients}
    before = {direction: model.weights() for direction, model in models.items()}
    optimizer = optimizer_of(kind, models, monkeypatch)
    optimizer.zero_grad()
    loss = sum((model.weights() * torch.tensor(gradients[key])).sum() for key, model in models.items())
    optimizer.backward(loss)
    optimizer.multiply_grads(1 / SAMPLE_SIZE)
    trainer = SimpleNamespace(optimizer=optimizer, is_fsdp=False)
    assert Trainer.clip_grad_norm(trainer, clip_norm) is optimizer.norm_before_clipping
    with metrics.aggregate(new_root=True) as logged:
        clip_and_log_gradients(optimizer, models, max_norm)
    optimizer.step()
    assert all(model.frozen.eq(7).all() and model.unused.eq(2).all() for model in models.values())
    return {
        key: (before[key] - model.weights()).tolist() for key, model in models.items()
    }, logged.get_smoothed_values()


KINDS = ["single", "amp", "fp16 flat", "fp16 by parameter"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 3.0, 20.0])
def test_each_model_is_clipped_at_its_own_norm(kind, max_norm, monkeypatch):
    steps, _ = logged_at_step(kind, max_norm, monkeypatch)
    assert NORMS == pytest.approx({"de-en": 13.0, "en-de": 1.5})
    for direction, values in GRADIENTS.items():
        factor = min(1.0, max_norm / NORMS[direction]) if max_norm else 1.0
        assert steps[direction] == pytest.approx([factor * g / SAMPLE_SIZE for g in values], rel=3e-3, abs=3e-3)


@pytest.mark.parametrize("clip_norm", [0.0, 2.0, 100.0])
@pytest.mark.parametrize("kind", KINDS)
def test_each_model_is_clipped_after_both_together(kind, clip_norm, monkeypatch):
    steps, _ = logged_at_step(kind, 1.0, monkeypatch, clip_norm=clip_norm)
    together = min(1.0, clip_norm / math.hypot(*NORMS.values())) if clip_norm else 1.0
    for direction, values in GRADIENTS.items():
        factor = min(together, 1.0 / NORMS[direction])
        assert steps[direction] == pytest.approx([factor * g / SAMPLE_SIZE for g in values], rel=3e-3, abs=3e-3)


@pytest.mark.parametrize("clip_norm", [0.0, 2.0, 1e-3, 100.0])
@pytest.mark.parametrize("kind", KINDS + ["memory efficient"])
def test_the_norms_before_any_clipping_are_logged(kind, clip_norm, monkeypatch):
    _, logged = logged_at_step(kind, 0.5, monkeypatch, clip_norm=clip_norm)
    pnorm = math.sqrt(0.5**2 + 0.25**2 + 1 + 1 + 5 * 2**2)
    wanted = {f"gnorm_{key}": norm for key, norm in NORMS.items()} | {f"pnorm_{key}": pnorm for key in NORMS}
    assert logged == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_is_left_to_what_skips_the_update(value, monkeypatch):
    """Scaled by max_norm / inf = 0, the rest of an overflow would look like an ordinary update."""
    steps, logged = logged_at_step(
        "single", 0.5, monkeypatch, {"de-en": [4.0, value, 8.0, 0.0], "en-de": GRADIENTS["en-de"]}
    )
    assert steps["de-en"][::2] == [1, 2] and not math.isfinite(steps["de-en"][1])
    assert not math.isfinite(logged["gnorm_de-en"])
    assert steps["en-de"] == pytest.approx([0.5 * g / 6 for g in GRADIENTS["en-de"]])


def test_a_model_without_gradients_is_left_alone():
    models = {"de-en": Model(torch.float32), "en-de": Model(torch.float32)}
    models["en-de"].weights().sum().backward()
    optimizer = torch.optim.SGD(models["en-de"].parameters(), lr=1)
    with metrics.aggregate(new_root=True) as logged:
        clip_and_log_gradients(optimizer, models, 1.0)
    assert logged.get_smoothed_values()["gnorm_de-en"] == 0
    assert models["de-en"].first.grad is None
    assert models["en-de"].first.grad.view(-1).tolist() == pytest.approx([0.5, 0.5])
