"""The mode of a model: training, or evaluation."""

import contextlib

from torch import nn


@contextlib.contextmanager
def in_evaluation_mode(model: nn.Module):
    """Without dropout, and back to how each of its modules was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
