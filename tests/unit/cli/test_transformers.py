"""What keeps a model from being exported to CTranslate2 is said by its name."""

import exported
import pytest
import tiny
from fairseq.modules import LayerNorm
from torch import nn

from fairseq_dsl_cli.exporting.transformers import what_is_not_supported

NORMS = "--{}-normalize-before without --{}-normalize-before"
FLAGS = {
    "--encoder-normalize-before": NORMS.format("encoder", "decoder"),
    "--decoder-normalize-before": NORMS.format("decoder", "encoder"),
    "--activation-fn linear": "--activation-fn linear",
    "--no-token-positional-embeddings": "--no-token-positional-embeddings",
    "--no-cross-attention": "--no-cross-attention",
    "--cross-self-attention --no-cross-attention": "--no-cross-attention",
    "--adaptive-softmax-cutoff 8,12": "--adaptive-softmax-cutoff",
    "--quant-noise-pq 0.1 --quant-noise-pq-block-size 4": "--quant-noise-pq",
    "--quant-noise-scalar 0.1": "--quant-noise-scalar",
}


@pytest.mark.parametrize("flags", FLAGS)
def test_names_the_flag_of_a_transformer(flags, data):
    assert what_is_not_supported(exported.restored(data, *flags.split())) == FLAGS[flags]


@pytest.mark.parametrize(("arch", "encoder"), [("lstm", "LSTMEncoder"), ("fconv", "FConvEncoder")])
def test_names_the_encoder_of_another_architecture(arch, encoder, data):
    expected = f"its encoder is a {encoder}; expected fairseq's TransformerEncoder"
    assert what_is_not_supported(exported.restored(data, arch=arch)) == expected


def test_names_a_layer_that_computes_something_else(data):
    class OtherLayer(nn.Module):
        pass

    restored = exported.restored(data)
    restored.model.decoder.layers.append(OtherLayer())
    assert what_is_not_supported(restored) == "a layer of its decoder is a OtherLayer"


def test_names_a_parameter_without_a_place(data):
    restored = exported.restored(data)
    restored.model.decoder.layers[0].ffn_layernorm = LayerNorm(12)  # --scale-fc of other transformers
    assert what_is_not_supported(restored) == "the parameter decoder.layers.0.ffn_layernorm.weight"


def test_names_a_dictionary_that_repeats_a_symbol(data):
    restored = exported.restored(data)
    restored.target.symbols.append(tiny.WORDS["en"][0])
    try:
        assert what_is_not_supported(restored) == "a dictionary with a symbol twice"
    finally:
        restored.target.symbols.pop()


@pytest.mark.parametrize("flags", ["", "--decoder-output-dim 10", "--layernorm-embedding --decoder-learned-pos"])
def test_has_nothing_to_say_of_others(flags, data):
    assert what_is_not_supported(exported.restored(data, *flags.split())) is None
