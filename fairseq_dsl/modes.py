"""The mode of a model: training, or evaluation."""

import contextlib

from torch import nn


@contextlib.contextmanager
def in_evaluation_mode(model: nn.Module):
    """Without dropout, and back to how it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
