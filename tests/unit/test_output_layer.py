"""Which models' logits are left out: each of fairseq's translation architectures; and that nothing changes by it."""

import contextlib

import pytest
import tiny
import torch
from architectures import small
from fairseq import tasks
from fairseq.models import ARCH_MODEL_REGISTRY

from fairseq_dsl.compat import HAS_FAST_PATH
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import check_architecture
from fairseq_dsl.output_layer import Projected, left_out, output_layer_of
from fairseq_dsl.terms import Outputs

ADAPTIVE = ("--adaptive-softmax-cutoff", "5,9")
LINEAR, CONVOLUTION = "decoder.output_projection", "decoder.fc3"
LIGHTCONV = None if HAS_FAST_PATH else LINEAR  # fairseq 0.12.2's has a matrix, and no layer
LAYERS = {
    ("transformer_tiny", ()): LINEAR,
    ("transformer", ("--share-all-embeddings",)): LINEAR,
    ("transformer", ("--share-decoder-input-output-embed", "--checkpoint-activations")): LINEAR,
    ("transformer", ("--decoder-output-dim", 4)): LINEAR,
    ("transformer", ADAPTIVE): None,
    ("transformer_align", ()): LINEAR,
    ("transformer_align", ("--full-context-alignment",)): LINEAR,
    ("bart_base", ()): LINEAR,
    ("lightconv", ()): LIGHTCONV,
    ("lightconv", ("--share-all-embeddings",)): LIGHTCONV,
    ("lstm", ()): "decoder.fc_out",
    ("lstm", ("--decoder-out-embed-dim", 6)): "decoder.fc_out",
    ("lstm", ("--share-decoder-input-output-embed",)): "decoder",
    ("lstm", ("--share-all-embeddings", "--decoder-attention", 0)): "decoder",
    ("lstm", ("--criterion", "adaptive_loss", *ADAPTIVE)): None,
    ("fconv", ()): CONVOLUTION,
    ("fconv", ("--share-input-output-embed",)): CONVOLUTION,
    ("fconv_self_att", ()): CONVOLUTION,
}
"""The module of each architecture, with these flags, whose logits are left out; None where they are made."""


def built(folder, arch, flags=()):
    """A model, and a batch for it."""
    cfg = tiny.configure(
        folder,
        "--task",
        "translation",
        "--criterion",
        "cross_entropy",
        "--arch",
        arch,
        *small(arch),
        "--dropout",
        0,
        *flags,
    )
    cfg.task.source_lang, cfg.task.target_lang = "de", "en"
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    tiny.spread(model)
    tiny.drop_out(model, 0.0)
    task.load_dataset("train")
    return model, tiny.batch(task.dataset("train"))


class Single:
    """A model as a pair."""

    def __init__(self, model):
        self.models = {"de-en": model}

    def __call__(self, inputs):
        return {key: [self.models[key](**net_input) for net_input in given] for key, given in inputs.items()}


def gradients_of_loss(model, batch):
    """By name, with another weight for each sentence; and whether the logits were left out."""
    outputs = Outputs(Single(model), [(tiny.DE_EN, batch)], pad=1)
    score = outputs.score(tiny.DE_EN, batch, 0.1)
    weights = torch.linspace(-1, 2, len(score.loss)).to(score.loss)
    loss = (weights * score.loss + 0.3 * weights**2 * score.log_prob).sum()
    return loss.item(), tiny.gradients(model, loss), isinstance(outputs.of(batch)[0], Projected)


@pytest.mark.parametrize(
    "arch, flags", LAYERS, ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value))
)
def test_each_architecture_s_layer_and_that_its_loss_is_the_table_s(joined, monkeypatch, in_float64, arch, flags):
    """Within 1e-9 of the largest gradient in float64, and 2e-5 in float32."""
    model, batch = built(joined, arch, flags)
    wanted_layer = LAYERS[arch, flags]
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-9)):
        model.to(dtype)
        loss, found, left = gradients_of_loss(model, batch)
        assert left == (wanted_layer is not None)
        with monkeypatch.context() as patched:
            patched.setattr("fairseq_dsl.output_layer.output_layer_of", lambda *_: None)
            expected_loss, wanted, left = gradients_of_loss(model, batch)
        assert not left
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        assert found.keys() == wanted.keys()
        largest = max(gradient.abs().max().item() for gradient in wanted.values() if gradient.numel())
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=tolerance * largest, msg=name)
    layer = output_layer_of(model, batch["net_input"])
    if wanted_layer is None:
        assert layer is None
    else:
        assert layer.owner is model.get_submodule(wanted_layer)


NO_TRANSLATION = {
    "BerardModel", "ConvTransformerModel", "MultilingualTransformerModel", "PipelineParallelTransformerModel",
    "RobertaEncDecModel", "S2SpecTConformerModel", "S2SpecTTransformerModel", "S2TConformerModel",
    "S2TTransformerModel", "S2UTConformerModel", "S2UTTransformerModel", "TTSTransformerModel", "Tacotron2Model",
    "TransformerFromPretrainedXLMModel", "XMTransformerModel",
}  # fmt: skip
"""Classes that take what a translation model takes, and are refused when they are built or tried (tests/cli)."""


def test_every_translation_architecture_is_among_them():
    accepted = set()
    for arch, model in ARCH_MODEL_REGISTRY.items():
        with contextlib.suppress(BadInput):
            check_architecture(arch, "--arch")
            accepted.add(model.__name__)
    assert accepted - NO_TRANSLATION == {ARCH_MODEL_REGISTRY[arch].__name__ for arch, _ in LAYERS}


class TestModelsOfOthers:
    """What is no plain projection, in models that fairseq does not have."""

    @pytest.fixture
    def made(self, data):
        return built(data, "transformer")

    def logits_are_made(self, model, batch):
        with left_out({model: batch["net_input"]}):
            return isinstance(model(**batch["net_input"])[0], torch.Tensor)

    def test_the_same_model_as_it_is(self, made):
        assert not self.logits_are_made(*made)

    def test_logits_that_are_changed_after_the_layer(self, made):
        model, batch = made
        layer = model.decoder.output_layer
        model.decoder.output_layer = lambda features: layer(features) + 1.0
        assert self.logits_are_made(model, batch)

    def test_probabilities_of_another_kind(self, made, monkeypatch):
        model, batch = made
        plain = type(model).get_normalized_probs
        mixed = lambda self, output, log_probs, sample=None: plain(self, (2 * output[0],), log_probs)  # noqa: E731
        monkeypatch.setattr(type(model), "get_normalized_probs", mixed)
        assert self.logits_are_made(model, batch)

    def test_logits_that_are_changed_in_training_alone(self, made):
        model, batch = made
        layer = model.decoder.output_layer
        model.decoder.output_layer = lambda features: layer(features) * 2 if model.training else layer(features)
        assert not self.logits_are_made(model.eval(), batch)
        assert self.logits_are_made(model.train(), batch)

    def test_a_layer_that_others_begin_to_watch(self, made):
        model, batch = made
        assert not self.logits_are_made(model, batch)
        model.decoder.output_projection.register_forward_hook(lambda *args: None)
        assert self.logits_are_made(model, batch)

    def test_a_layer_that_others_watch(self, made):
        model, batch = made
        seen = []
        model.decoder.output_projection.register_forward_hook(lambda *args: seen.append(args[2]))
        assert self.logits_are_made(model, batch) and len(seen) == 2  # of the trial, and of the batch

    def test_a_layer_that_is_used_twice(self, made):
        model, batch = made
        layer = model.decoder.output_layer

        def twice(features):
            logits = layer(features)
            model.decoder.output_projection(features)
            return logits

        model.decoder.output_layer = twice
        assert self.logits_are_made(model, batch)

    def test_a_layer_of_another_class(self, made):
        class Scaled(torch.nn.Linear):
            def forward(self, features):
                return 2 * super().forward(features)

        model, batch = made
        before = model.decoder.output_projection
        model.decoder.output_projection = Scaled(before.in_features, before.out_features, bias=False)
        assert self.logits_are_made(model, batch)


def test_the_trial_leaves_no_trace(data):
    model, batch = built(data, "transformer")
    tiny.drop_out(model, 0.5)
    model.train()
    model.encoder.eval()
    random, parameters = torch.get_rng_state(), {key: value.clone() for key, value in model.state_dict().items()}
    attributes = [set(vars(module)) for module in model.modules()]
    with left_out({model: batch["net_input"]}):
        pass
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, parameters[key]) for key, value in model.state_dict().items())
    assert model.training and model.decoder.training and not model.encoder.training
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert all(p.grad is None for p in model.parameters())
    assert isinstance(model(**batch["net_input"])[0], torch.Tensor)  # outside the block the logits are made


def test_logits_are_made_again_after_an_error(data):
    model, batch = built(data, "transformer")
    with pytest.raises(RuntimeError), left_out({model: batch["net_input"]}):
        raise RuntimeError
    assert isinstance(model(**batch["net_input"])[0], torch.Tensor)
