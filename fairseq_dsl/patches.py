"""What the plugin mends in fairseq itself, of all versions, when it is imported.

Each item says what goes wrong without it.
"""

import contextlib
import functools
import logging
import pickle
import shutil

import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager
from fairseq.models import BaseFairseqModel
from fairseq.models.ema.ema import EMA
from fairseq.modules import AdaptiveSoftmax
from fairseq.tasks import FairseqTask
from fairseq.tasks.translation import TranslationTask
from fairseq.trainer import Trainer

from . import prefetching
from .bleu import log_tokenizer, tokenized, tokenizer_of
from .compat import drop_fast_path_parameters
from .errors import BadInput
from .files import written_atomically
from .save_dir import verify_save_dir
from .untrusted import checked_loading
from .vocabulary import NAME as DICTIONARIES
from .vocabulary import CarryingParameters


def copy_checkpoints_atomically():
    """``checkpoint_last.pt`` is made by copying in place, and a kill there leaves it cut."""
    copy_in_place = PathManager.copy

    def copy(src_path, dst_path, overwrite=False):
        if PathManager.path_requires_pathmanager(dst_path) or not overwrite:
            return copy_in_place(src_path, dst_path, overwrite)
        with open(src_path, "rb") as source, written_atomically(dst_path) as destination:
            shutil.copyfileobj(source, destination, 1 << 22)
        return True

    PathManager.copy = staticmethod(copy)


def average_parameters_alone():
    """``--store-ema`` averages all of a model's state, and fails on what is no parameter: tensors of integers."""
    build = EMA.__init__

    @functools.wraps(build)
    def build_without_integers(self, model, config, device=None, skip_keys=None):
        integers = {name for name, value in model.state_dict().items() if not value.is_floating_point()}
        build(self, model, config, device, integers.union(skip_keys or ()))

    EMA.__init__ = build_without_integers


def check_checkpoints():
    """A file that torch cannot read ends in a traceback that may not name it, and fairseq trusts what it reads."""
    load = checkpoint_utils.load_checkpoint_to_cpu

    def load_checkpoint_to_cpu(path, arg_overrides=None, load_on_all_ranks=False):
        try:
            with checked_loading():
                state = load(path, arg_overrides, load_on_all_ranks)
            drop_fast_path_parameters(state["model"], path)
            if DICTIONARIES in state:
                state["model"] = CarryingParameters(state, path)
            return state
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
        except FileNotFoundError:
            raise BadInput(f"{path}: no such file; a fairseq checkpoint is wanted") from None
        except pickle.UnpicklingError as error:
            if "weights_only" in str(error).lower() and "GLOBAL" in str(error):
                raise BadInput(
                    f"{path}: carries more than tensors and plain values ({_first_line(error)}); "
                    "it could run code, and is not loaded"
                ) from error
            raise BadInput(f"{path}: not a checkpoint that torch can read ({_first_line(error)})") from error
        except Exception as error:  # of many kinds: the bytes of a damaged pickle are instructions
            raise BadInput(
                f"{path}: corrupt, truncated, or not a fairseq checkpoint ({_first_line(error)})"
            ) from error

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def compare_dictionaries():
    """An exported model carries its dictionaries, and fairseq restores it with any others of the same sizes."""
    load = BaseFairseqModel.load_state_dict

    @functools.wraps(load)
    def load_state_dict(self, state_dict, *args, **kwargs):
        if isinstance(state_dict, CarryingParameters):
            state_dict.refuse_other_dictionaries(self)
        return load(self, state_dict, *args, **kwargs)

    BaseFairseqModel.load_state_dict = load_state_dict


def make_adaptive_softmax_differentiable():
    """`AdaptiveSoftmax.get_log_prob` overwrites what its gradient needs: training stops, but with ``adaptive_loss``.

    Dropout is that of ``adaptive_loss``, which is none outside of training.
    """

    def get_log_prob(self, input, target):
        """log P of every symbol; ``(sentences, length, vocabulary)``, float32 or better.

        Told the gold symbols, ``(sentences, length)``, it computes a tail for the positions whose gold symbol is in it:
        what it says of other symbols of that tail has no meaning there.
        """
        features = self.dropout_module(input.flatten(0, 1))
        head = _log_softmax(self.head(features))
        parts = [head[:, : self.cutoff[0]]]
        for i, (first, end) in enumerate(zip(self.cutoff, self.cutoff[1:])):
            log_prior = head[:, self.cutoff[0] + i, None]
            if target is None:
                parts.append(_log_softmax(self.tail[i](features)) + log_prior)
            else:  # also for no position: data-parallel training wants a gradient, if of 0, of every parameter
                rows = ((target >= first) & (target < end)).flatten().nonzero().squeeze(-1)
                found = _log_softmax(self.tail[i](features[rows])) + log_prior[rows]
                parts.append(found.new_zeros(len(features), end - first).index_copy(0, rows, found))
        return torch.cat(parts, -1).unflatten(0, input.shape[:2])

    AdaptiveSoftmax.get_log_prob = get_log_prob


def _log_softmax(logits):
    return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def _first_line(error):
    """The first line of an error that says something: torch's unpickling errors begin with advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "GLOBAL" in line or "PytorchStreamReader" in line]
    return (telling or lines or [type(error).__name__])[0]


def validate_by_language():
    """Validation's BLEU takes a sentence without spaces, such as a Chinese one, for one word."""
    inference_with_bleu = TranslationTask._inference_with_bleu

    @functools.wraps(inference_with_bleu)
    def _inference_with_bleu(self, *args, **kwargs):
        log_tokenizer(self)
        with tokenized(tokenizer_of(self.cfg, self.cfg.target_lang)):
            return inference_with_bleu(self, *args, **kwargs)

    TranslationTask._inference_with_bleu = _inference_with_bleu


def tell_criterions():
    """A criterion is not told which update a batch is for, nor that it is a dummy, whose gradient is thrown away."""
    step = FairseqTask.train_step

    @functools.wraps(step)
    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False, **kwargs):
        in_batch = getattr(criterion, "in_batch", None)
        with in_batch(update_num, ignore_grad) if in_batch else contextlib.nullcontext():
            return step(self, sample, model, criterion, optimizer, update_num, ignore_grad, **kwargs)

    FairseqTask.train_step = train_step


def tell_optimizers():
    """A task's `optimizer_step` sees gradients that are clipped already, and is not told what their norm was."""
    clip = Trainer.clip_grad_norm

    @functools.wraps(clip)
    def clip_grad_norm(self, clip_norm):
        norm = clip(self, clip_norm)
        self.optimizer.norm_before_clipping = norm
        return norm

    Trainer.clip_grad_norm = clip_grad_norm


def keep_one_handler_for_each_log_file():
    """``--log-file``: every progress bar adds a handler, so that by epoch 10 each line stands there ten times."""
    for name in ("fairseq_cli.train", "fairseq.logging.progress_bar"):
        logger = logging.getLogger(name)
        logger.addHandler = functools.partial(_add_handler, logger, logger.addHandler)


def _add_handler(logger, add, handler):
    """Add a handler to a logger of fairseq, in the place of one that it has for a file."""
    if isinstance(handler, logging.FileHandler):
        for earlier in [other for other in logger.handlers if isinstance(other, logging.FileHandler)]:
            logger.removeHandler(earlier)
            earlier.close()
    add(handler)


copy_checkpoints_atomically()
average_parameters_alone()
check_checkpoints()
compare_dictionaries()
validate_by_language()
tell_criterions()
tell_optimizers()
keep_one_handler_for_each_log_file()
prefetching.install()
checkpoint_utils.verify_checkpoint_directory = verify_save_dir
make_adaptive_softmax_differentiable()
