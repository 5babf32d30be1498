"""What keeps a model from being written in CTranslate2's format, in words; requires no CTranslate2."""

import re
from types import ModuleType
from typing import Any, Optional

from fairseq.models import transformer as fairseq_transformer
from fairseq.modules import transformer_layer as layers
from torch import nn

from fairseq_dsl.models import Restored

ACTIVATIONS = {
    "relu": "RELU",
    "gelu": "GELU",
    "gelu_accurate": "GELUTanh",
    "gelu_fast": "GELUTanh",  # an old name of the same
    "tanh": "Tanh",
}
"""CTranslate2's name of each activation of fairseq that it has."""

_SIDES = ("encoder", "decoder")
# The parameters that the specification has a place for.
_PLACED = re.compile(
    r"(en|de)coder\.(embed_(tokens|positions)\.weight|(layer_norm|layernorm_embedding)\.(weight|bias)"
    r"|layers\.\d+\.((self|encoder)_attn\.[qkv]_proj|(self|encoder)_attn\.out_proj|fc[12]|\w+_layer_norm)\.(weight|bias))"
    r"|decoder\.(output_projection|project_out_dim)\.weight"
)


def what_is_not_supported(restored: Restored) -> Optional[str]:
    """What a translation model has that CTranslate2's Transformer has not; None if it can be written.

    Without a name for it, a model would be written that translates otherwise than fairseq's.
    """
    model = restored.model
    for side in _SIDES:
        part: Any = getattr(model, side, None)
        if not _is(part, fairseq_transformer, f"Transformer{side.title()}"):
            return f"its {side} is a {type(part).__name__}; expected fairseq's Transformer{side.title()}"
        others = [layer for layer in part.layers if not _is(layer, layers, f"Transformer{side.title()}Layer")]
        if others:
            return f"a layer of its {side} is a {type(others[0]).__name__}"
    cfg = model.decoder.cfg
    encoder_first, decoder_first = (getattr(cfg, side).normalize_before for side in _SIDES)
    flags = {
        "--adaptive-softmax-cutoff": cfg.adaptive_softmax_cutoff is not None,
        "--no-token-positional-embeddings": cfg.no_token_positional_embeddings,
        "--no-cross-attention": cfg.no_cross_attention,
        "--cross-self-attention": cfg.cross_self_attention,
        "--quant-noise-scalar": cfg.quant_noise.scalar > 0,
        "--quant-noise-pq": cfg.quant_noise.pq > 0,
        "--encoder-normalize-before without --decoder-normalize-before": encoder_first and not decoder_first,
        "--decoder-normalize-before without --encoder-normalize-before": decoder_first and not encoder_first,
        f"--activation-fn {cfg.activation_fn}": str(cfg.activation_fn) not in ACTIVATIONS,
    }
    for side in _SIDES:  # fairseq 0.12.2 has no such fields
        flags[f"--{side}-xformers-att-config"] = getattr(getattr(cfg, side), "xformers_att_config", None)
    names = [name for name, p in model.named_parameters() if p.requires_grad and not _PLACED.fullmatch(name)]
    found = [flag for flag, is_set in flags.items() if is_set] + [f"the parameter {name}" for name in names]
    words = restored.source.symbols, restored.target.symbols
    if any(len(set(symbols)) < len(symbols) for symbols in words):
        found.append("a dictionary with a symbol twice")
    return found[0] if found else None


def _is(module: Optional[nn.Module], package: ModuleType, name: str) -> bool:
    """Whether a module is of one of fairseq's two classes of a name, and of no class that changes what they compute."""
    return type(module) in (getattr(package, name), getattr(package, f"{name}Base"))
