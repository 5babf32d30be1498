"""What a model does decides whether it can be trained to translate, not its class."""

import copy

import pytest
import tiny
import torch
from fairseq import tasks
from fairseq.models import BaseFairseqModel

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.trial import failures_of, require_translation_model


@pytest.fixture
def model(data):
    cfg = tiny.translation_config(data)
    return tasks.setup_task(cfg.task).build_model(cfg.model)


def try_out(model):
    symbols = [tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en")]
    require_translation_model(model, *symbols, "--arch some")


def test_a_model_that_computes_its_activations_again_passes(data):
    cfg = copy.deepcopy(tiny.translation_config(data))
    cfg.model.checkpoint_activations = True
    try_out(tasks.setup_task(cfg.task).build_model(cfg.model))


def test_a_model_of_another_class_that_translates_passes(model):
    class Other(BaseFairseqModel):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = model.encoder, model.decoder

        def forward(self, src_tokens, src_lengths, prev_output_tokens):
            return model(src_tokens, src_lengths, prev_output_tokens)

        def max_positions(self):
            return model.max_positions()

        def max_decoder_positions(self):
            return model.max_decoder_positions()

    try_out(Other())


def test_leaves_nothing_behind(model):
    tiny.drop_out(model, 0.5)
    state, parameters = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    try_out(model)
    assert model.training and all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, parameters[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("limits", [(1, 1), (1, 9), (2, 2)])
def test_passes_with_any_limits_on_lengths(model, monkeypatch, limits):
    monkeypatch.setattr(type(model), "max_positions", lambda self: limits)
    try_out(model)


def no_future_mask(self, tensor):
    return torch.zeros(tensor.size(0), tensor.size(0))


def changed_by(change):
    """The output that a change makes of the right one."""

    def patch(monkeypatch, model):
        forward = model.forward
        monkeypatch.setattr(model, "forward", lambda *args, **kwargs: change(forward(*args, **kwargs)))

    return patch


def unnormalized(monkeypatch, model):
    monkeypatch.setattr(model, "get_normalized_probs", lambda output, log_probs, sample=None: output[0])


def sees_the_future(monkeypatch, model):
    monkeypatch.setattr(type(model.decoder), "buffered_future_mask", no_future_mask)


def cannot_generate(monkeypatch, model):
    def reorder_encoder_out(encoder_out, order):
        raise NotImplementedError("no beam search")

    monkeypatch.setattr(model.encoder, "reorder_encoder_out", reorder_encoder_out)


def overwrites(output):
    hidden = output[0].exp()
    hidden.mul_(2)
    return hidden, output[1]


@pytest.mark.parametrize(
    "patch, message",
    [
        (unnormalized, "expected probabilities that sum to 1, found"),
        (changed_by(lambda output: (output[0][..., :5], None)), "shape .* = .1, 3, 21., found .1, 3, 5."),
        (changed_by(lambda output: (output[0][:, :1], None)), "shape .* = .1, 3, 21., found .1, 1, 21."),
        (changed_by(lambda output: (output[0].detach(), None)), "no parameter that the probabilities"),
        (changed_by(overwrites), "RuntimeError: one of the variables needed for gradient"),
        (changed_by(lambda output: output[0]), "shape .* = .1, 3, 21., found .3, 21."),
        (sees_the_future, "sees the words that it is to predict"),
        (cannot_generate, "NotImplementedError: no beam search"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_trained_or_translated_with_is_refused(model, monkeypatch, patch, message):
    patch(monkeypatch, model)
    with pytest.raises(BadInput, match=f"^--arch some: .*{message}.*transformer$"):
        try_out(model)


def test_bad_input_of_an_architecture_is_named_too():
    with pytest.raises(BadInput, match="^--arch some: expected a literal"):
        with failures_of("--arch some"):
            raise BadInput("expected a literal")
