"""How fairseq copies, reads, restores and averages checkpoints."""

import functools
import pickle
import shutil
from typing import Any, Dict, Optional

from fairseq import checkpoint_utils
from fairseq.file_io import PathManager
from fairseq.models import BaseFairseqModel
from fairseq.models.ema.ema import EMA
from omegaconf import open_dict

from ..compat import drop_fast_path_parameters
from ..errors import BadInput
from ..files import written_atomically
from ..untrusted import checked_loading
from ..vocabulary import NAME as DICTIONARIES
from ..vocabulary import CarryingParameters


def copy_atomically():
    """fairseq makes ``checkpoint_last.pt`` by copying in place, and a kill leaves half: replace it in one step."""
    copy_in_place = PathManager.copy

    def copy(src_path, dst_path, overwrite=False):
        if PathManager.path_requires_pathmanager(dst_path) or not overwrite:
            return copy_in_place(src_path, dst_path, overwrite)
        with open(src_path, "rb") as source, written_atomically(dst_path) as destination:
            shutil.copyfileobj(source, destination, 1 << 22)
        return True

    PathManager.copy = staticmethod(copy)


def check_on_loading():
    """fairseq trusts a checkpoint, and a damaged one ends in a traceback: check it, and name the file in one line."""
    load = checkpoint_utils.load_checkpoint_to_cpu

    def load_checkpoint_to_cpu(path, arg_overrides=None, load_on_all_ranks=False):
        try:
            with checked_loading():
                state = load(path, arg_overrides, load_on_all_ranks)
            override_newer_flags(state, arg_overrides)
            drop_fast_path_parameters(state["model"], path)
            if DICTIONARIES in state:
                state["model"] = CarryingParameters(state, path)
            return state
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
        except FileNotFoundError:
            raise BadInput(f"{path}: no such file; expected a fairseq checkpoint") from None
        except pickle.UnpicklingError as error:
            if "weights_only" in str(error).lower() and "GLOBAL" in str(error):
                raise BadInput(
                    f"{path}: contains more than tensors and plain values ({_telling_line(error)}); "
                    "it could run code, and was not loaded"
                ) from error
            raise BadInput(f"{path}: not a checkpoint that torch can read ({_telling_line(error)})") from error
        except Exception as error:  # of many kinds: the bytes of a damaged pickle are instructions
            raise BadInput(
                f"{path}: corrupt, truncated, or not a fairseq checkpoint ({_telling_line(error)})"
            ) from error

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def override_newer_flags(state: Dict[str, Any], overrides: Optional[Dict[str, Any]]):
    """fairseq overrides flags that a checkpoint has, and is silent about others: those that came after it too."""
    from ..tasks.config import DualTranslationTaskConfig

    task = state["cfg"].get("task") if state.get("cfg") else None
    if not overrides or not task or task.get("_name") != "dual_translation":
        return
    flags = DualTranslationTaskConfig.__dataclass_fields__
    with open_dict(task):
        task.update({name: value for name, value in overrides.items() if name in flags and name not in task})


def _telling_line(error: Exception) -> str:
    """The first line of an error that says something: torch's unpickling errors begin with the advice to trust it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if "weights_only" not in line]
    telling = [line for line in lines if "GLOBAL" in line or "PytorchStreamReader" in line]
    return (telling or lines or [type(error).__name__])[0]


def refuse_other_dictionaries():
    """fairseq loads a model with any dictionaries of the right sizes: refuse others than it was exported with."""
    load = BaseFairseqModel.load_state_dict

    @functools.wraps(load)
    def load_state_dict(self, state_dict, *args, **kwargs):
        if isinstance(state_dict, CarryingParameters):
            state_dict.refuse_other_dictionaries(self)
        return load(self, state_dict, *args, **kwargs)

    BaseFairseqModel.load_state_dict = load_state_dict


def average_parameters_only():
    """fairseq's ``--store-ema`` averages all of a model's state, and fails on integers in it: leave them out."""
    build = EMA.__init__

    @functools.wraps(build)
    def build_without_integers(self, model, config, device=None, skip_keys=None):
        integers = {name for name, value in model.state_dict().items() if not value.is_floating_point()}
        build(self, model, config, device, integers.union(skip_keys or ()))

    EMA.__init__ = build_without_integers
