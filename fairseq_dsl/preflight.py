"""Checks before the first update: values of fairseq's flags that would end in a traceback later."""

import argparse
import copy
import json
import math
import os
from argparse import Namespace
from dataclasses import fields
from typing import Any, Iterable, Optional

import torch
from fairseq import optim
from fairseq.data import data_utils, encoders
from fairseq.dataclass.configs import GenerationConfig
from fairseq.logging import metrics
from fairseq.optim import lr_scheduler
from omegaconf import DictConfig, ListConfig

from .bleu import STATISTICS
from .errors import BadInput, first_line
from .files import why_not_writable
from .ranges import Range, at_least

ANY_BUT_0 = Range(-math.inf, math.inf, "any number but 0", hole=0)

# Only what fairseq divides by or fails on: whatever else it accepts is left to it.
NUMBERS = {
    "common.log_interval": ANY_BUT_0,
    "dataset.num_workers": at_least(0, 1024),
    "dataset.max_tokens": at_least(1, math.inf),
    "dataset.max_tokens_valid": at_least(1, math.inf),
    "dataset.required_batch_size_multiple": ANY_BUT_0,
    "dataset.validate_interval": ANY_BUT_0,
    "dataset.max_valid_steps": at_least(0, math.inf),
    "optimization.lr": Range(-1e30, 1e30, "a number from -1e30 to 1e30"),
    "optimization.update_freq": at_least(1, 10**6),
    "checkpoint.save_interval": ANY_BUT_0,
    "task.required_seq_len_multiple": ANY_BUT_0,
    "task.max_source_positions": at_least(1, math.inf),
    "task.max_target_positions": at_least(1, math.inf),
}
SEED = Range(0, 2**32 - 1, "a number from 0 to 4294967295")
FOLDERS = ("save_dir", "tensorboard_logdir")


def check_fairseq(task: Any):
    """Refuse numbers of fairseq's flags that cannot work.

    Args:
        task: the task's configuration; the configuration that it is part of is checked too.
    """
    root = _whole_configuration(task)
    for place, within in NUMBERS.items():
        part, _, name = place.partition(".")
        group = task if part == "task" else root and root.get(part)
        value = getattr(group, name, None) if group is not None else None
        for number in value if isinstance(value, ListConfig) else [value]:
            within.check(f"--{name.replace('_', '-')}", number)
    if root and root.get("optimizer") and root.get("lr_scheduler"):
        _try_schedule(root)


def _whole_configuration(task: Any) -> Optional[DictConfig]:
    """The configuration that the task's one is part of; None where there is only the task's."""
    root = task._get_parent() if isinstance(task, DictConfig) else None
    return root if isinstance(root, DictConfig) else None


def _try_schedule(root: DictConfig):
    """Make the first updates of a made-up parameter: optimizers and schedules divide by some of their settings."""
    if root.optimizer._name == "composite":
        return  # its groups need the model's parameters
    flags = f"--optimizer {root.optimizer._name} --lr-scheduler {root.lr_scheduler._name}"
    root = copy.deepcopy(root)
    try:
        parameter = torch.nn.Parameter(torch.zeros(1))
        parameter.grad = torch.ones(1)
        optimizer = optim.build_optimizer(root.optimizer, [parameter])
        schedule = lr_scheduler.build_lr_scheduler(root.lr_scheduler, optimizer)
        schedule.step_begin_epoch(1)
        warmup = root.lr_scheduler.get("warmup_updates") or 0
        for update in (0, 1, warmup, warmup + 1):
            schedule.step_update(update)
            optimizer.optimizer.step()
    except (ArithmeticError, AssertionError, NameError, SyntaxError, ValueError) as error:
        raise BadInput(f"{flags}: cannot be used with their other flags ({first_line(error)})") from error
    except Exception:
        return  # not the numbers' fault, but lacking on this device or installation: the trainer reports it


def add_checks(parser: argparse.ArgumentParser):
    """Check flags that fairseq fails on before it sets up the task, while ``fairseq-train`` reads its flags."""
    for action in parser._actions:
        if action.dest == "seed":
            action.type = _checked(action.type, lambda value: SEED.check("--seed", value))
        elif action.dest in FOLDERS:
            flag = action.option_strings[0]
            action.type = _checked(str, lambda value, flag=flag: check_folder(flag, value))
        elif action.dest == "log_file":
            action.type = _checked(str, check_log_file)


def _checked(kind, check):
    def read(text):
        value = kind(text)
        try:
            check(value)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value

    read.__name__ = kind.__name__
    return read


def check_log_file(path: str):
    """Refuse a ``--log-file`` in a folder that cannot be made or written to."""
    reason = why_not_writable(os.path.dirname(path) or ".")
    if reason or os.path.isdir(path):
        raise BadInput(f"--log-file {path}: cannot be written ({reason or 'is a folder'})")


def check_folder(flag: str, folder: str):
    """Refuse a folder that cannot be created or written to."""
    reason = why_not_writable(folder)
    if reason:
        raise BadInput(f"{flag} {folder}: cannot be written ({reason})")


def check_bleu(cfg: Any):
    """Refuse settings of BLEU, which validation and the risk use, that cannot work.

    Args:
        cfg: the configuration of a translation task.
    """
    arguments = _json("--eval-bleu-args", cfg.eval_bleu_args)
    for flag in fields(GenerationConfig):
        value = arguments.get(flag.name)
        if flag.type in (int, float) and flag.name in arguments:
            kinds = (int, float) if flag.type is float else (int,)
            if not isinstance(value, kinds) or isinstance(value, bool):
                expected = "a number" if flag.type is float else "a whole number"
                raise BadInput(f"--eval-bleu-args: expected {expected} for {flag.name}, found {value!r}")
    at_least(1, 10**4).check("--eval-bleu-args: beam", arguments.get("beam"))
    Range(1e-6, 1e6, "a number above 0").check("--eval-bleu-args: temperature", arguments.get("temperature"))
    name, detokenizer = cfg.eval_bleu_detok, _json("--eval-bleu-detok-args", cfg.eval_bleu_detok_args)
    known = sorted(encoders.TOKENIZER_REGISTRY)
    if name is not None and name not in known:
        raise BadInput(f"--eval-bleu-detok {name}: expected one of fairseq's tokenizers: {', '.join(known)}")
    try:
        encoders.build_tokenizer(Namespace(tokenizer=name, **detokenizer))
    except Exception as error:  # a package that is not installed, files that do not exist
        raise BadInput(f"--eval-bleu-detok {name}: cannot be used ({first_line(error)})") from error
    try:
        data_utils.post_process("", cfg.eval_bleu_remove_bpe)
    except NotImplementedError as error:
        raise BadInput(
            f"--eval-bleu-remove-bpe {cfg.eval_bleu_remove_bpe}: expected one of fairseq's post-processors: "
            "sentencepiece, wordpiece, subword_nmt, '@@ ', letter, silence, _EOW, none"
        ) from error


def _json(flag: str, text: Optional[str]) -> dict:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise BadInput(f"{flag} {text}: expected a JSON object, such as '{{\"beam\": 4}}' ({error})") from error
    if not isinstance(value, dict):
        raise BadInput(
            f"{flag} {text}: expected a JSON object, such as '{{\"beam\": 4}}', found {type(value).__name__}"
        )
    return value


def check_metric(task: Any, criterion: Any, gaps: bool):
    """Refuse a ``--best-checkpoint-metric`` that validation does not log; `gaps`: whether duality gaps are known."""
    root = _whole_configuration(task.cfg)
    if not root or not root.get("checkpoint") or root.dataset.disable_validation:
        return
    name, known = root.checkpoint.best_checkpoint_metric, validation_metrics(task, criterion, gaps)
    if name not in known:
        raise BadInput(
            f"--best-checkpoint-metric {name}: validation does not log it; expected one of {', '.join(known)}"
        )


def validation_metrics(task: Any, criterion: Any, gaps: bool) -> Iterable[str]:
    """The names of what validation logs, from the logging output of a made-up batch of one pair."""
    log = dict.fromkeys(("loss", "ntokens", "nsentences", "sample_size"), 1.0)
    log["scored"] = float(gaps)
    for direction in task.directions:
        log.update({f"{key}_{direction}": 1.0 for key in ("nll_loss", "ntokens", "lambda")})
        if task.cfg.eval_bleu:
            log.update({f"_bleu_{direction}_{key}": 1.0 for key in STATISTICS})
    with metrics.aggregate(new_root=True) as meters:
        task.reduce_metrics([log], criterion)
    values = meters.get_smoothed_values()
    return sorted(["num_updates", *(name for name, value in values.items() if math.isfinite(float(value)))])
