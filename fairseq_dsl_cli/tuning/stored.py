"""The weights of dual inference in a pair's checkpoint, from where they are the defaults."""

import argparse

import torch

from fairseq_dsl.checkpoints import Checkpoint, write_checkpoint
from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl.untrusted import checked_loading

from ..kinds import description, tuned_weights


def check_stores(path, direction):
    """Refuses a checkpoint that does not have the direction, or has weights already that are none."""
    checkpoint = Checkpoint(path, "--store")
    if direction not in checkpoint.pair:
        hint = "" if checkpoint.pair else "; fairseq-dsl join makes a pair of two models"
        raise BadInput(
            f"{checkpoint.name}: expected a pair that translates {direction}, found {description(checkpoint)}{hint}"
        )
    tuned_weights(checkpoint)


def store(path, direction, point, with_lm):
    """Writes the weights of a direction into a pair's checkpoint; all else in it stays.

    Args:
        point: the weights, and a score that is not stored.
        with_lm: whether B was tuned; where not, what a language model counts is left to other defaults.
    """
    weights = Weights(point.reverse_weight, point.lm_weight if with_lm else None)
    with checked_loading():
        state = torch.load(path, map_location="cpu")  # as it is: fairseq's own function would bring it up to date
    model_cfg = state["cfg"]["model"]
    fields = vars(model_cfg) if isinstance(model_cfg, argparse.Namespace) else model_cfg
    fields["dual_inference"] = {**(fields.get("dual_inference") or {}), direction: weights.as_stored()}
    write_checkpoint(state, path)
