"""Everything that depends on a version of fairseq, torch, numpy or Python.

Imported before all else, for its effects. Each item says which versions it is for, and does nothing elsewhere.
"""

import argparse
import functools
import logging
import re
import types
import warnings

import numpy as np
import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase

logger = logging.getLogger(__name__)

SAFE_LOADING = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)


def allow_checkpoint_types():
    """torch >= 2.6 loads with ``weights_only=True``: name the plain types that fairseq's checkpoints hold.

    `Namespace` is the configuration of architectures without a dataclass (transformer, lstm, fconv), numpy's arrays and
    scalars are meters of ``--eval-bleu``. A checkpoint that carries code is still refused.
    """
    if not SAFE_LOADING:
        return
    core = getattr(np, "_core", None) or np.core
    functions = (core.multiarray._reconstruct, core.multiarray.scalar)
    torch.serialization.add_safe_globals(
        [argparse.Namespace, np.ndarray, np.dtype]
        + [type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")]
        # numpy 1.x writes numpy.core, numpy 2.x writes numpy._core
        + [(f, f"numpy.{name}.multiarray.{f.__name__}") for f in functions for name in ("core", "_core")]
    )


def restore_np_compat():
    """numpy >= 2 has no ``np.compat``, whose ``long`` fairseq's token_block_dataset uses for ``--sample-break-mode eos``."""
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)


def silence_amp_warnings():
    """torch >= 2.4 warns at each of fairseq's uses of ``torch.cuda.amp``."""
    warnings.filterwarnings("ignore", message=r".*torch\.cuda\.amp\.", category=FutureWarning)


def trust_the_other_workers():
    """torch >= 2.6: what one worker sends the others is of this very run, no file, and may hold fairseq's own types.

    When several workers resume, that is a checkpoint with its configuration.
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


def mend_encoder_layers():
    """fairseq 0.12.2: each encoder layer has 8 more parameters, for a fast path that its usual forward never takes.

    Trainable, they break the default ``--ddp-backend``: they are frozen, not deleted, as its strict loading wants them.
    The fast path itself fails with torch >= 1.13 ("Mask Type should be defined") and is switched off.
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


HAS_FAST_PATH = "can_use_fastpath" in TransformerEncoderLayerBase.forward.__code__.co_names
FAST_PATH_PARAMETERS = (
    "in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias",
    "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias",
)  # fmt: skip
FAST_PATH_PARAMETER = re.compile(rf"(.*\blayers\.\d+\.)({'|'.join(FAST_PATH_PARAMETERS)})")


def drop_fast_path_parameters(parameters, path):
    """Other versions than fairseq 0.12.2 have no such parameters, and refuse a checkpoint that has.

    Args:
        parameters: of a checkpoint, by name.
        path: its file, for the log.
    """
    if HAS_FAST_PATH:
        return
    matches = (FAST_PATH_PARAMETER.fullmatch(name) for name in parameters)
    unused = {match[0] for match in matches if match and f"{match[1]}self_attn.q_proj.weight" in parameters}
    for name in unused:
        del parameters[name]
    if unused:
        logger.info(
            f"{path}: {len(unused)} parameters that fairseq 0.12.2 stored and never used are left out "
            "(a training that ran without this plugin there resumes with --reset-optimizer)"
        )


allow_checkpoint_types()
restore_np_compat()
silence_amp_warnings()
mend_encoder_layers()
trust_the_other_workers()
