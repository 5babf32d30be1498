"""Models with an adaptive softmax are trained: against log-probabilities from its weights alone, in float64."""

import copy
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from fairseq import tasks
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.modules import AdaptiveInput, AdaptiveSoftmax, adaptive_softmax
from omegaconf import open_dict

from fairseq_dsl import criterions
from fairseq_dsl.checkpoints import plain

METHODS = {
    "dsl_cross_entropy": {"dsl_lambda": 0.1},
    "dsl_cross_entropy, smoothed": {"dsl_lambda": 0.1, "label_smoothing": 0.2},
    "minimum_risk": {"num_samples": 3, "parallel_weight": 0.5, "sharpness": 0.5},
    "dual_learning": {"num_samples": 2, "sample_temperature": 0.7},
    "cycle_adversarial": {"num_samples": 2, "critic_dim": 8},
    "marginal_regularized_cross_entropy": {"num_samples": 2, "sample_temperature": 0.7},
    "back_translation_cross_entropy": {"label_smoothing": 0.2},
}


def weights(module):
    """The matrix of a linear layer, of any of fairseq's kinds."""
    if hasattr(module, "word_proj"):
        return torch.cat([weights(module.word_proj), weights(module.class_proj)])
    if isinstance(module, torch.nn.Sequential):
        whole = torch.eye(1)
        for part in module:
            if not isinstance(part, torch.nn.Dropout):
                whole = weights(part) if whole.numel() == 1 else weights(part) @ whole
        return whole
    return module.weight.t() if getattr(module, "transpose", False) else module.weight


def dense(softmax, features):
    """log P of all symbols by the definition: P(symbol) = P(its tail) P(symbol | its tail)."""
    head = (features @ weights(softmax.head).t()).log_softmax(-1)
    parts = [head[..., : softmax.cutoff[0]]]
    for i, tail in enumerate(softmax.tail):
        log_prior = head[..., softmax.cutoff[0] + i]
        parts.append((features @ weights(tail).t()).log_softmax(-1) + log_prior.unsqueeze(-1))
    return torch.cat(parts, -1)


def softmaxes():
    """A plain one, and one whose weights are those of an adaptive input."""
    inputs = AdaptiveInput(13, 0, 8, 2, 8, [5, 9])
    yield AdaptiveSoftmax(13, 8, [5, 9], dropout=0.3, factor=2)
    yield AdaptiveSoftmax(13, 8, [5, 9], dropout=0.3, factor=2, adaptive_inputs=inputs, tie_proj=False)
    yield AdaptiveSoftmax(13, 8, [5, 9], dropout=0.3, factor=2, adaptive_inputs=inputs, tie_proj=True)


@pytest.mark.parametrize("softmax", softmaxes(), ids=["plain", "tied", "tied with projections"])
@pytest.mark.parametrize("told", [False, True])
def test_values_and_gradients(softmax, told):
    softmax = copy.deepcopy(softmax).double().eval()
    features = torch.randn(2, 4, 8, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[1, 12, 6, 3], [7, 7, 4, 0]])
    found = softmax.get_log_prob(features, target if told else None)
    wanted = dense(softmax, features)
    if told:
        found, wanted = (value.gather(-1, target.unsqueeze(-1)) for value in (found, wanted))
    torch.testing.assert_close(found, wanted)
    values = torch.randn(found.shape, dtype=torch.float64)
    given = [features, *softmax.parameters()]
    gradients = [torch.autograd.grad((value * values).sum(), given) for value in (found, wanted)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("told", [False, True])
def test_values_are_those_of_fairseq_itself(told):
    spec = importlib.util.spec_from_file_location("unpatched", adaptive_softmax.__file__)
    unpatched = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpatched)
    softmax, features = next(softmaxes()).eval(), torch.randn(2, 4, 8)
    target = torch.tensor([[1, 12, 6, 3], [7, 7, 4, 0]])
    with torch.no_grad():
        found = softmax.get_log_prob(features, target if told else None)
        wanted = unpatched.AdaptiveSoftmax.get_log_prob(softmax, features, target if told else None)
    if told:
        found, wanted = (value.gather(-1, target.unsqueeze(-1)) for value in (found, wanted))
    assert torch.equal(found, wanted)


def test_every_parameter_has_a_gradient_without_a_word_of_its_tail():
    softmax = next(softmaxes())
    softmax.get_log_prob(torch.randn(1, 2, 8), torch.tensor([[1, 2]]))[..., 0].sum().backward()
    assert all(p.grad is not None for p in softmax.parameters())


def test_halves_are_normalized_in_float32():
    softmax = next(softmaxes()).eval()
    assert softmax.bfloat16().get_log_prob(torch.randn(1, 2, 8).bfloat16(), None).dtype == torch.float32


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A pair of models with an adaptive softmax, with language models and monolingual text, in float64."""
    folder = tmp_path_factory.mktemp("adaptive")
    tiny.write_data(folder / "data", tiny.PAIRS)
    cfg = tiny.pair_config(folder / "data")
    flags = "--adaptive-softmax-cutoff 6,11 --adaptive-softmax-factor 2".split()
    one = tiny.configure(
        folder, "--task", "translation", "--arch", "transformer", "--criterion", "cross_entropy",
        *tiny.FLAGS["transformer"].split(), *flags,
    )  # fmt: skip
    with open_dict(cfg.model):
        cfg.model.pair = {direction: plain(one.model) for direction in cfg.model.pair}
    for side, language, sentences in zip(("source", "target"), ("de", "en"), zip(*tiny.PAIRS)):
        symbols = tiny.dictionary(tiny.WORDS[language])
        lm = tiny.language_model(folder / f"lm.{language}", symbols, "lstm_lm", expects=tiny.WORDS[language])
        cfg.task[f"{side}_lm"] = lm[0]
        cfg.task[f"{side}_mono"] = tiny.write_monolingual(folder / f"mono.{language}", sentences, symbols)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    tiny.spread(model)
    return task, model.double()


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_learns_as_by_the_definition(made, method, monkeypatch):
    task, model = made
    name = method.partition(",")[0]
    assert name in criterions.METHODS
    criterion = tiny.learns_by(SimpleNamespace(task=task), name, **METHODS[method]).train()
    data = task.dataset("train")
    data.trained_on = np.arange(len(data))
    batch = tiny.batch(data)

    def learn():
        torch.manual_seed(1)
        loss, _, _ = criterion(model, batch)
        return loss.detach(), tiny.gradients(model, loss)

    found = learn()
    for part in model.models.values():
        softmax = part.decoder.adaptive_softmax
        monkeypatch.setattr(softmax, "get_log_prob", lambda x, target, softmax=softmax: dense(softmax, x))
    wanted = learn()
    torch.testing.assert_close(found[0], wanted[0])
    assert set(found[1]) == {name for name, p in model.named_parameters() if p.requires_grad}
    for key, gradient in found[1].items():
        torch.testing.assert_close(gradient, wanted[1].get(key, torch.zeros_like(gradient)), msg=key)


def test_stock_cross_entropy_learns_too(made):
    task, model = made[0].tasks[tiny.DE_EN], made[1].models["de-en"]
    task.load_dataset("train")
    loss, _, _ = LabelSmoothedCrossEntropyCriterion(task, False, 0.1)(model, tiny.batch(task.dataset("train")))
    assert set(tiny.gradients(model, loss)) == {name for name, p in model.named_parameters() if p.requires_grad}
