"""The log-probabilities of fairseq's adaptive softmax, so that a loss can be taken of them."""

import torch
from fairseq.modules import AdaptiveSoftmax
from torch import Tensor


def make_differentiable():
    """fairseq overwrites in place what the gradient of `AdaptiveSoftmax.get_log_prob` needs: compute it out of place.

    So training fails with every criterion but fairseq's ``adaptive_loss``:
    https://github.com/facebookresearch/fairseq/issues/760, https://github.com/facebookresearch/fairseq/issues/2341.
    Dropout is applied as in ``adaptive_loss``, during training only.
    """

    def get_log_prob(self, input, target):
        """log P of every symbol; ``(sentences, length, vocabulary)``, float32 or better.

        Given the gold symbols, ``(sentences, length)``, a tail is computed only where the gold symbol is in it: the
        values for that tail's symbols are meaningless elsewhere.
        """
        features = self.dropout_module(input.flatten(0, 1))
        head = _log_softmax(self.head(features))
        parts = [head[:, : self.cutoff[0]]]
        for i, (first, end) in enumerate(zip(self.cutoff, self.cutoff[1:])):
            log_prior = head[:, self.cutoff[0] + i, None]
            if target is None:
                parts.append(_log_softmax(self.tail[i](features)) + log_prior)
            else:  # also for no position: data-parallel training needs a gradient, even of 0, of every parameter
                rows = ((target >= first) & (target < end)).flatten().nonzero().squeeze(-1)
                tail = _log_softmax(self.tail[i](features[rows])) + log_prior[rows]
                parts.append(tail.new_zeros(len(features), end - first).index_copy(0, rows, tail))
        return torch.cat(parts, -1).unflatten(0, input.shape[:2])

    AdaptiveSoftmax.get_log_prob = get_log_prob


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
