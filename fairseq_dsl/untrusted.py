"""Checkpoints from untrusted sources: no code in them is run, nothing outside them is read, parameters are finite.

``torch.load(weights_only=True)`` keeps code out of the pickle, but not out of the configuration, whose text fairseq
evaluates (``eval``) and OmegaConf resolves (``${oc.env:SECRET}``).
"""

import argparse
import ast
import contextlib
import re
import reprlib
import sys
from typing import Any, Iterator, Tuple

import torch
from omegaconf import OmegaConf

from .errors import BadInput

# ---- text that fairseq evaluates

MAX_LENGTH = 10_000  # of a list made by repetition; fairseq's longest have some 20 items, one per layer

EVALUATED = frozenset(
    # in fairseq's models, tasks, criterions and optimizers
    "adafactor_eps adam_betas adamax_betas lamb_betas adaptive_input_cutoff adaptive_softmax_cutoff character_filters "
    "conv_aggregator_layers conv_feature_layers decoder_attention decoder_layers downsample encoder_attention "
    "encoder_layers gated_attention left_pad_source left_pad_target override_encoder_layers pipeline_balance "
    "pipeline_decoder_balance pipeline_decoder_devices pipeline_devices pipeline_encoder_balance "
    "pipeline_encoder_devices pretrained project_input self_attention wer_args xformers_att_config "
    "encoder_xformers_att_config decoder_xformers_att_config "
    # in fairseq's examples
    "conv_dec_config decoder_zero_init feature_encoder_spec model_overrides transformer_context transformer_dec_config "
    "transformer_enc_config transformer_sampling vggblock_enc_config".split()
)
"""The fields that fairseq evaluates. `literal` keeps code in any of them from running. A checkpoint with code in one is
refused when it is read, so that the file is named, and no export or average passes the code on to stock fairseq."""


def literal(text: str) -> Any:
    """The value of a literal; replaces ``eval`` in fairseq's modules.

    Literals may be added and multiplied, as they are in fairseq's own values.

    >>> literal("[(512, 3)] * 2 + [(1024, 1)]")
    [(512, 3), (512, 3), (1024, 1)]

    Raises:
        TypeError: if the value is not text, as ``eval`` does, on which fairseq's ``eval_bool`` relies.
        BadInput: if the text is not a literal.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected text, found {text!r}")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        raise BadInput(f"expected a literal, such as 8, None or [(512, 3)] * 20, found {_short(text)}") from None


def _value(node: ast.expr) -> Any:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult))):
        return ast.literal_eval(node)
    left, right = _value(node.left), _value(node.right)
    numbers = all(isinstance(value, (int, float)) for value in (left, right))
    if isinstance(node.op, ast.Add):
        if not numbers and not (isinstance(left, (list, tuple)) and type(left) is type(right)):
            raise TypeError
        return left + right
    if not numbers:
        sequence, times = (right, left) if isinstance(left, int) else (left, right)
        if not isinstance(sequence, (list, tuple)) or len(sequence) * times > MAX_LENGTH:
            raise TypeError
    return left * right


def evaluate_literals_only():
    """fairseq calls ``eval`` on text in configurations: make each of its modules call `literal` instead.

    A global name of a module takes precedence over the builtin.
    """
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("fairseq", "fairseq_cli"):
            module.eval = literal


# ---- what a checkpoint contains

REFERENCE = re.compile(r"\$\{(?:\w+\.)+(\w+)\}")
"""A reference to another field, as in fairseq's own configurations: ``${optimization.lr}``. It must be the whole text:
parts could be assembled into something else."""
INTERPOLATION = re.compile(r"\$\\*\{")  # hydra removes backslashes
LARGEST = 65504.0
"""The largest absolute value of a parameter: that of half precision, far above those of trained models."""
UNINITIALIZED = ("_float_tensor", ".conv.conv_bias")
"""Parameters that fairseq stores without initializing them. It uses only the type of the first, and does not use the
second (of dynamic convolutions)."""


def check_state(state: Any):
    """Refuse a checkpoint that could run code or read from outside the file, or whose parameters make no sense.

    Args:
        state: what ``torch.load`` returned; if it is not a checkpoint at all, it is left to fairseq.

    Raises `BadInput`, naming the field or the parameter.
    """
    if not isinstance(state, dict):
        return
    for part in ("cfg", "args"):
        for field, value in _texts(state.get(part), part):
            _check_text(field, value)
    extra = state.get("extra_state")
    averages = [extra.get(name) for name in ("ema", "ema_fp32_params")] if isinstance(extra, dict) else []
    for parameters in (state.get("model"), *averages):
        if isinstance(parameters, dict):
            check_parameters(parameters)


def _texts(value: Any, name: str) -> Iterator[Tuple[str, str]]:
    """Each text of a configuration, with the name of its field."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=False)
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, bytes):  # `eval` accepts bytes too
        value = value.decode("latin-1")
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item, name)


def _check_text(field: str, text: str):
    evaluated = field.rsplit(".", 1)[-1] in EVALUATED
    reference = REFERENCE.fullmatch(text)
    if reference and (reference[1] in EVALUATED or not evaluated):
        return  # the field that it refers to is checked itself
    if INTERPOLATION.search(text):
        raise BadInput(
            f"{field}: expected a plain value, found {_short(text)}, which may read from outside the checkpoint"
        )
    if evaluated and text:
        try:
            literal(text)
        except BadInput as error:
            raise BadInput(f"{field}: {error}; a checkpoint's configuration is not run as code") from None


def check_parameters(parameters: dict):
    """Refuse parameters that are not finite, or far larger than those of trained models."""
    for name, parameter in parameters.items():
        if not torch.is_tensor(parameter) or not parameter.is_floating_point() or name.endswith(UNINITIALIZED):
            continue
        largest = _largest(parameter)
        if not largest <= LARGEST:  # true of NaN as well
            raise BadInput(f"parameter {name}: expected numbers up to {LARGEST:g}, found {largest:g}")


def _largest(parameter: torch.Tensor) -> float:
    """The largest absolute value; NaN or infinity if the parameter contains one."""
    storage = getattr(parameter, "untyped_storage", parameter.storage)()  # torch < 2 has no untyped_storage
    stored = storage.nbytes() // parameter.element_size()
    if parameter.numel() > stored:  # expanded: small in the file, but of any declared size
        parameter = parameter.as_strided((stored,), (1,), 0)
    if not parameter.numel():
        return 0.0
    low, high = torch.aminmax(parameter.float() if parameter.element_size() < 4 else parameter)
    return torch.maximum(-low, high).item()


@contextlib.contextmanager
def checked_loading():
    """Within the block, `check_state` checks what ``torch.load`` returns."""
    load = torch.load

    def checked_load(*args, **kwargs):
        state = load(*args, **kwargs)
        check_state(state)
        return state

    torch.load = checked_load
    try:
        yield
    finally:
        torch.load = load


def _short(text: str) -> str:
    short = reprlib.Repr()
    short.maxstring = 80
    return short.repr(text)
