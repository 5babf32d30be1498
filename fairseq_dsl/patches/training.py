"""What fairseq's training step tells criterions and optimizers."""

import contextlib
import functools

from fairseq.tasks import FairseqTask
from fairseq.trainer import Trainer


def tell_criterions():
    """fairseq does not tell a criterion which update a batch is for, nor that it is a dummy: step in its `in_batch`.

    Schedules need the number of the update. The gradient of a dummy batch is thrown away.
    """
    step = FairseqTask.train_step

    @functools.wraps(step)
    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False, **kwargs):
        in_batch = getattr(criterion, "in_batch", None)
        with in_batch(update_num, ignore_grad) if in_batch else contextlib.nullcontext():
            return step(self, sample, model, criterion, optimizer, update_num, ignore_grad, **kwargs)

    FairseqTask.train_step = train_step


def tell_optimizers():
    """fairseq does not tell a task's `optimizer_step` the gradient's norm before clipping: keep it in the optimizer.

    `fairseq_dsl.gradients` logs each model's share of it.
    """
    clip = Trainer.clip_grad_norm

    @functools.wraps(clip)
    def clip_grad_norm(self, clip_norm):
        norm = clip(self, clip_norm)
        self.optimizer.norm_before_clipping = norm
        return norm

    Trainer.clip_grad_norm = clip_grad_norm
