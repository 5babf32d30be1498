"""A translation model of fairseq in the words of CTranslate2: its specification, with the parameters of our modules.

What a specification has no place for is refused before, by `transformers.what_is_not_supported`.
"""

from typing import Any, Dict

import numpy as np
import torch
from ctranslate2.specs import TransformerSpec
from ctranslate2.specs.common_spec import Activation
from ctranslate2.specs.transformer_spec import TransformerDecoderSpec, TransformerEncoderSpec
from torch import nn

from fairseq_dsl.models import Restored

from .transformers import ACTIVATIONS


def specification(restored: Restored) -> TransformerSpec:
    """The model with its vocabularies: sources get their end symbol, and the decoder begins with it, as in fairseq."""
    encoder, decoder = restored.model.encoder, restored.model.decoder
    spec = TransformerSpec(
        TransformerEncoderSpec(**_shape(encoder, encoder.cfg.encoder)),
        TransformerDecoderSpec(**_shape(decoder, decoder.cfg.decoder), project_in_out=True),
    )
    _fill_side(spec.encoder, spec.encoder.embeddings[0], encoder)
    _fill_side(spec.decoder, spec.decoder.embeddings, decoder)
    for given, layer in zip(spec.decoder.layer, decoder.layers):
        attention = layer.encoder_attn
        _fill_linear(given.attention.linear[0], attention.q_proj)
        _fill_linear(given.attention.linear[1], attention.k_proj, attention.v_proj)
        _fill_linear(given.attention.linear[2], attention.out_proj)
        _fill_norm(given.attention.layer_norm, layer.encoder_attn_layer_norm)
    del spec.decoder.project_in  # which only language models have
    if decoder.project_out_dim is not None:
        _fill_linear(spec.decoder.project_out, decoder.project_out_dim)
    else:
        del spec.decoder.project_out
    _fill_linear(spec.decoder.projection, decoder.output_projection)

    spec.register_source_vocabulary(list(restored.source.symbols))
    spec.register_target_vocabulary(list(restored.target.symbols))
    symbols = restored.target
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = (
        symbols[index] for index in (symbols.bos(), symbols.eos(), symbols.unk())
    )
    spec.config.add_source_eos = True
    spec.config.decoder_start_token = spec.config.eos_token
    return spec


def _shape(side: nn.Module, cfg) -> Dict[str, Any]:
    """What an encoder or decoder is made of; `cfg` is its own part of the configuration."""
    return {
        "num_layers": len(side.layers),
        "num_heads": cfg.attention_heads,
        "pre_norm": cfg.normalize_before,
        "no_final_norm": side.layer_norm is None,
        "activation": Activation[ACTIVATIONS[str(side.cfg.activation_fn)]],
        "layernorm_embedding": side.layernorm_embedding is not None,
    }


def _fill_side(given, embeddings, side: nn.Module):
    """What encoder and decoder have in common: embeddings, positions, norms, self-attention, feed-forward layers."""
    embeddings.weight = _array(side.embed_tokens.weight)
    given.scale_embeddings = float(side.embed_scale)
    positions = side.embed_positions
    table = positions.weight if isinstance(positions, nn.Embedding) else positions.weights
    # fairseq counts from the row after the padding's, CTranslate2 from the first
    given.position_encodings.encodings = _array(table)[positions.padding_idx + 1 :]
    for name in ("layer_norm", "layernorm_embedding"):
        if getattr(side, name) is not None:
            _fill_norm(getattr(given, name), getattr(side, name))
    for layer_given, layer in zip(given.layer, side.layers):
        attention = layer.self_attn
        _fill_linear(layer_given.self_attention.linear[0], attention.q_proj, attention.k_proj, attention.v_proj)
        _fill_linear(layer_given.self_attention.linear[1], attention.out_proj)
        _fill_norm(layer_given.self_attention.layer_norm, layer.self_attn_layer_norm)
        _fill_linear(layer_given.ffn.linear_0, layer.fc1)
        _fill_linear(layer_given.ffn.linear_1, layer.fc2)
        _fill_norm(layer_given.ffn.layer_norm, layer.final_layer_norm)


def _fill_linear(given, *layers: nn.Module):
    """One layer, or several of the same input as one."""
    given.weight = np.concatenate([_array(layer.weight) for layer in layers])
    if layers[0].bias is not None:
        given.bias = np.concatenate([_array(layer.bias) for layer in layers])


def _fill_norm(given, norm: nn.Module):
    given.gamma, given.beta = _array(norm.weight), _array(norm.bias)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
