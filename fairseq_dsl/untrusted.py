"""A checkpoint may be from anywhere: nothing in it is run, nothing outside it is read, its parameters are numbers.

``torch.load(weights_only=True)`` keeps code out of the pickle, not out of the configuration, whose text fairseq
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

MAX_LENGTH = 10_000  # of a list that a literal may make by repetition; fairseq's longest are of some 20 layers

EVALUATED = frozenset(
    # of fairseq's models, tasks, criterions and optimizers
    "adafactor_eps adam_betas adamax_betas lamb_betas adaptive_input_cutoff adaptive_softmax_cutoff character_filters "
    "conv_aggregator_layers conv_feature_layers decoder_attention decoder_layers downsample encoder_attention "
    "encoder_layers gated_attention left_pad_source left_pad_target override_encoder_layers pipeline_balance "
    "pipeline_decoder_balance pipeline_decoder_devices pipeline_devices pipeline_encoder_balance "
    "pipeline_encoder_devices pretrained project_input self_attention wer_args xformers_att_config "
    "encoder_xformers_att_config decoder_xformers_att_config "
    # of fairseq's examples
    "conv_dec_config decoder_zero_init feature_encoder_spec model_overrides transformer_context transformer_dec_config "
    "transformer_enc_config transformer_sampling vggblock_enc_config".split()
)
"""The fields that fairseq evaluates. `literal` keeps code in any from running. A checkpoint with code in one of them is
refused as it is read: the file is named, and no export or average passes it to a fairseq without this plugin."""


def literal(text: str) -> Any:
    """The value of a literal: stands in for ``eval`` in fairseq's modules.

    Literals may be added and multiplied, as in fairseq's own values.

    >>> literal("[(512, 3)] * 2 + [(1024, 1)]")
    [(512, 3), (512, 3), (1024, 1)]

    Raises:
        TypeError: for what is no text, as ``eval`` does, and fairseq's ``eval_bool`` relies on.
        BadInput: for text that is no literal.
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
    """Have every module of fairseq evaluate text by `literal`: a global name goes before a builtin one."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("fairseq", "fairseq_cli"):
            module.eval = literal


# ---- what a checkpoint holds

REFERENCE = re.compile(r"\$\{(?:\w+\.)+(\w+)\}")
"""A reference to another field, as in fairseq's own configurations: ``${optimization.lr}``. It has to be the whole:
parts could be put together to something else."""
INTERPOLATION = re.compile(r"\$\\*\{")  # hydra takes backslashes away
LARGEST = 65504.0
"""The largest parameter: the largest number in half precision. Those of trained models are far below."""
UNINITIALIZED = ("_float_tensor", ".conv.conv_bias")
"""fairseq stores what happened to be in memory there: of the first it uses the type alone, of the second (of dynamic
convolutions) nothing."""


def check_state(state: Any):
    """Refuse a checkpoint's content that could run code, read from outside the file, or is no trained model.

    Args:
        state: what ``torch.load`` returned; what is no checkpoint at all is left to fairseq.
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
    if isinstance(value, bytes):  # as good as text for `eval`
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
        return  # what it refers to is checked where it stands
    if INTERPOLATION.search(text):
        raise BadInput(f"{field} is {_short(text)}, which may read from outside the checkpoint; expected a plain value")
    if evaluated and text:
        try:
            literal(text)
        except BadInput as error:
            raise BadInput(f"{field}: {error}; a checkpoint's configuration is not run as code") from None


def check_parameters(parameters: dict):
    """Refuse parameters that are no finite numbers of a trained model's size."""
    for name, parameter in parameters.items():
        if not torch.is_tensor(parameter) or not parameter.is_floating_point() or name.endswith(UNINITIALIZED):
            continue
        largest = _largest(parameter)
        if not largest <= LARGEST:  # nor where it is NaN
            raise BadInput(f"the parameter {name} contains {largest:g}; expected numbers up to {LARGEST:g}")


def _largest(parameter: torch.Tensor) -> float:
    """The largest absolute value; NaN or infinity where there is one."""
    storage = getattr(parameter, "untyped_storage", parameter.storage)()  # torch < 2 has no untyped_storage
    stored = storage.nbytes() // parameter.element_size()
    if parameter.numel() > stored:  # expanded: small in the file, of any size as it is declared
        parameter = parameter.as_strided((stored,), (1,), 0)
    if not parameter.numel():
        return 0.0
    low, high = torch.aminmax(parameter.float() if parameter.element_size() < 4 else parameter)
    return torch.maximum(-low, high).item()


@contextlib.contextmanager
def checked_loading():
    """Within it, `check_state` sees what ``torch.load`` returns before fairseq does."""
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


evaluate_literals_only()
