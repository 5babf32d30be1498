"""What depends on a version of torch, numpy or fairseq: each item with its upstream reference, and when it can go.

Applied on import, before anything else; an item does nothing where its version does not apply. What is mended in
fairseq whatever its version is in `fairseq_dsl.patches`.

====================================  =====================  =========================================================
`allow_checkpoint_types`              torch >= 2.6           loads fairseq's checkpoints with ``weights_only=True``
`trust_other_workers`                 torch >= 2.6           loads what workers send one another
`silence_deprecations`                torch >= 2             hides deprecation warnings about fairseq's code
`restore_np_compat`                   numpy >= 2             gives fairseq the ``np.compat.long`` that it uses
`freeze_fast_path_parameters`         fairseq 0.12.2         keeps unused encoder parameters out of training
`drop_fast_path_parameters`           other fairseq          reads checkpoints that contain those parameters
====================================  =====================  =========================================================
"""

import argparse
import functools
import logging
import re
import types
import warnings
from typing import Any, Dict

import numpy as np
import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase

logger = logging.getLogger(__name__)

SAFE_LOADING = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)
"""Whether ``torch.load`` defaults to ``weights_only=True``."""


def allow_checkpoint_types():
    """torch >= 2.6 loads with ``weights_only=True``: allow the plain types that fairseq's checkpoints contain.

    `Namespace` is the configuration of architectures without a dataclass (transformer, lstm, fconv); numpy's arrays and
    scalars are meters of ``--eval-bleu``. A checkpoint that carries code is still refused.

    Upstream: https://github.com/pytorch/pytorch/pull/137602, https://github.com/facebookresearch/fairseq/issues/5603.
    Can go when fairseq's checkpoints contain plain types only. (fairseq's main branch loads with ``weights_only=False``
    instead, https://github.com/facebookresearch/fairseq/pull/5611, which would run the code in a checkpoint.)
    """
    if not SAFE_LOADING:
        return
    core: Any = getattr(np, "_core", None) or np.core
    functions = (core.multiarray._reconstruct, core.multiarray.scalar)
    torch.serialization.add_safe_globals(
        [argparse.Namespace, np.ndarray, np.dtype]
        + [type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")]
        # numpy 1.x writes numpy.core, numpy 2.x writes numpy._core
        + [(f, f"numpy.{name}.multiarray.{f.__name__}") for f in functions for name in ("core", "_core")]
    )


def trust_other_workers():
    """torch >= 2.6 refuses fairseq's own types in what one worker sends another, such as a checkpoint on resuming.

    These bytes come from this very run and not from a file: they are loaded with ``weights_only=False``.

    Upstream: https://github.com/pytorch/pytorch/pull/137602.
    Can go when `fairseq.distributed.utils` passes ``weights_only=False`` itself.
    """
    broadcast = distributed_utils._broadcast_object_slow

    @functools.wraps(broadcast)
    def broadcast_object_slow(*args, **kwargs):
        load, torch.load = torch.load, functools.partial(torch.load, weights_only=False)
        try:
            return broadcast(*args, **kwargs)
        finally:
            torch.load = load

    distributed_utils._broadcast_object_slow = broadcast_object_slow


def silence_deprecations():
    """torch and hydra warn of how fairseq uses them, which a user cannot change; hydra in some 20 lines.

    Upstream: https://github.com/pytorch/tutorials/issues/3331 (``torch.cuda.amp``),
    https://github.com/pytorch/pytorch/pull/92733 (masks of two types),
    https://hydra.cc/docs/upgrades/1.0_to_1.1/ (``hydra.experimental``, ``strict``, ``# @package _group_``, schemas).
    Can go when fairseq uses ``torch.amp``, boolean masks in its multi-head attention, and hydra 1.3's names.
    """
    warnings.filterwarnings("ignore", message=r".*torch\.cuda\.amp\.", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask", category=UserWarning)
    warnings.filterwarnings("ignore", message=".*pin_memory.* no accelerator is found", category=UserWarning)
    warnings.filterwarnings("ignore", module=r"hydra\.", category=UserWarning)
    warnings.filterwarnings(
        "ignore", message=r"\s*'config' is validated against ConfigStore schema", category=UserWarning
    )


def restore_np_compat():
    """numpy >= 2 has no ``np.compat``, whose ``long`` fairseq uses for ``--sample-break-mode eos``.

    Upstream: https://github.com/numpy/numpy/pull/23830, https://github.com/numpy/numpy/pull/28961.
    Can go when fairseq's `token_block_dataset` and `language_pair_dataset` use ``int``.
    """
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]


FAST_PATH_PARAMETERS = (
    "in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias",
    "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias",
)  # fmt: skip
FAST_PATH_PARAMETER = re.compile(rf"(.*\blayers\.\d+\.)({'|'.join(FAST_PATH_PARAMETERS)})")
HAS_FAST_PATH = "can_use_fastpath" in TransformerEncoderLayerBase.forward.__code__.co_names
"""Whether this fairseq has the fast path of encoder layers, as 0.12.2 does and the main branch does not."""


def freeze_fast_path_parameters():
    """fairseq 0.12.2 gives each encoder layer 8 more parameters, for a fast path that training never takes.

    Trainable parameters without a gradient break the default ``--ddp-backend``. They are frozen rather than deleted,
    because fairseq loads state strictly. The fast path itself fails with torch >= 1.13 ("Mask Type should be defined")
    and is switched off.

    Upstream: https://github.com/facebookresearch/fairseq/pull/4480 (which added it),
    https://github.com/facebookresearch/fairseq/issues/4858 (the error).
    Can go with Python 3.10, the last version to use fairseq 0.12.2.
    """
    build = TransformerEncoderLayerBase.__init__

    @functools.wraps(build)
    def build_without_fast_path(self, *args, **kwargs):
        build(self, *args, **kwargs)
        if hasattr(self, "can_use_fastpath"):
            self.can_use_fastpath = False
            for name in FAST_PATH_PARAMETERS:
                getattr(self, name).requires_grad_(False)

    TransformerEncoderLayerBase.__init__ = build_without_fast_path


def drop_fast_path_parameters(parameters: Dict[str, Any], path: str):
    """Other versions than fairseq 0.12.2 have no such parameters, and refuse a checkpoint that contains them.

    Can go when checkpoints of fairseq 0.12.2 need no longer be read.

    Args:
        parameters: of a checkpoint, by name; the unused ones are removed.
        path: the file, for the log.
    """
    if HAS_FAST_PATH:
        return
    matches = (FAST_PATH_PARAMETER.fullmatch(name) for name in parameters)
    unused = {match[0] for match in matches if match and f"{match[1]}self_attn.q_proj.weight" in parameters}
    for name in unused:
        del parameters[name]
    if unused:
        logger.info(
            f"{path}: ignoring {len(unused)} parameters that fairseq 0.12.2 stored and never used "
            "(a training run begun there without this plugin resumes with --reset-optimizer)"
        )


allow_checkpoint_types()
trust_other_workers()
silence_deprecations()
restore_np_compat()
freeze_fast_path_parameters()
