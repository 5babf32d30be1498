"""Sentence pairs, batched for both directions at once."""

from typing import Dict, Optional, Tuple

import numpy as np
import torch
from fairseq.data import LanguagePairDataset, data_utils
from torch.utils.data import Dataset

from ..directions import Direction
from ..errors import BadInput
from .monolingual import MonolingualData

RANDOM_BATCH_TOKENS = 4000


class PairDataset(LanguagePairDataset):
    """A `LanguagePairDataset` whose batches carry their mirror image as ``batch["reverse"]``.

    A batch is an ordinary translation batch of the direction source→target, so that ordinary code (generation,
    validation) works on it unchanged. ``batch["reverse"]`` is the ordinary batch of target→source for the same pairs,
    collated from the raw sentences: padded tensors cannot be flipped, sources are padded left and targets right.
    Each is sorted by its own source length; ``id`` says which rows belong together.

    With `log_marginals`, scores by language, each of the two has ``log_marginal``: log P(target sentence) by the
    marginal of the target language, ``(sentences,)``, nats, float64 (``--fp16`` rounds float32 tensors of a batch to
    halves).

    With `monolingual`, batches have ``batch["monolingual"]``: by language, a batch of sources, aligned with nothing, or
    None where no sentence stands beside the batch's pairs.

    Args:
        pairs: whose place it takes.
        direction: from the language of their sources to that of their targets.
    """

    def __init__(self, pairs: LanguagePairDataset, direction: Direction):
        super().__init__(
            pairs.src,
            pairs.src_sizes,
            pairs.src_dict,
            pairs.tgt,
            pairs.tgt_sizes,
            pairs.tgt_dict,
            left_pad_source=pairs.left_pad_source,
            left_pad_target=pairs.left_pad_target,
            shuffle=pairs.shuffle,
            pad_to_multiple=pairs.pad_to_multiple,
        )
        self.direction = direction
        self.log_marginals: Optional[Dict[str, np.ndarray]] = None
        self.order_seed = 1
        self.monolingual: Dict[str, MonolingualData] = {}
        self.trained_on: Optional[np.ndarray] = None
        self._epoch = 1
        self._dealt_epoch: Optional[int] = None

    @property
    def sides(self) -> Dict[str, Tuple[Dataset, np.ndarray]]:
        """The sentences of each language, and their lengths in tokens with the end-of-sentence symbol."""
        sides = {self.direction.source: (self.src, self.src_sizes)}
        if self.tgt is not None:
            sides[self.direction.target] = (self.tgt, self.tgt_sizes)
        return sides

    def collater(self, samples, pad_to_length=None):
        batch = super().collater(samples, pad_to_length)
        if len(samples) == 0 or self.tgt is None:
            return batch
        mirrored = [dict(item, source=item["target"], target=item["source"]) for item in samples]
        if pad_to_length is not None:
            pad_to_length = {"source": pad_to_length["target"], "target": pad_to_length["source"]}
        batch["reverse"] = super().collater(mirrored, pad_to_length)
        if self.log_marginals is not None:
            for part, language in ((batch, self.direction.target), (batch["reverse"], self.direction.source)):
                part["log_marginal"] = torch.from_numpy(self.log_marginals[language][part["id"].numpy()])
        if self.monolingual:
            self._deal()
            batch["monolingual"] = {
                language: data.batch(batch["id"].numpy(), self.left_pad_source)
                for language, data in self.monolingual.items()
            }
        return batch

    def set_epoch(self, epoch):
        super().set_epoch(epoch)
        self._epoch = epoch

    def _deal(self):
        """Deal the epoch's monolingual sentences: late, as the pairs that are trained on are known after filtering."""
        if self._dealt_epoch != self._epoch:
            sizes = self.num_tokens_vec(self.trained_on)
            for data in self.monolingual.values():
                data.deal(self._epoch, self.trained_on, sizes)
            self._dealt_epoch = self._epoch

    def ordered_indices(self):
        # Under a seed of its own, not that of the epoch: a resumed run then makes the batches that the uninterrupted
        # run made in its first epoch and kept.
        with data_utils.numpy_seed(self.order_seed):
            return super().ordered_indices()

    def batch_by_size(self, indices, *args, **kwargs):
        """As fairseq's, but keep the last batch, which fairseq's main branch drops unless its size is a multiple of
        ``--required-batch-size-multiple``; and name the flag that is in the way of long sentences."""
        sizes, limit = self.num_tokens_vec(indices), kwargs.get("max_tokens")
        too_long = np.asarray(indices)[sizes > limit] if limit else []
        if len(too_long):
            first = min(too_long)
            raise BadInput(
                f"--max-tokens {limit}: {len(too_long):,} of {len(indices):,} pairs have more tokens on a side, the "
                f"first is line {first + 1} (sentence {first}) with {self.num_tokens(first):,}, the longest has "
                f"{sizes.max():,}; raise it (in validation it is --max-tokens-valid, if that is given), or filter with "
                "--max-source-positions and --max-target-positions"
            )
        batches = list(super().batch_by_size(indices, *args, **kwargs))
        dropped = len(indices) - sum(len(batch) for batch in batches)
        if dropped:
            batches.append(indices[-dropped:])
        return batches

    def empty_pairs(self, indices: np.ndarray) -> np.ndarray:
        """Which of the pairs have a side without a word: nothing but the end-of-sentence symbol; bool."""
        return (self.src_sizes[indices] <= 1) | (self.tgt_sizes[indices] <= 1)

    def usable(self, max_positions, indices: Optional[np.ndarray] = None) -> np.ndarray:
        """Of these pairs, or of all, those that are not empty, nor longer than so many (source, target) tokens."""
        indices = np.arange(len(self)) if indices is None else indices
        return self.filter_indices_by_size(indices[~self.empty_pairs(indices)], max_positions)[0]

    def random_batches(self, pairs: int, max_positions):
        """Yield batches of at most so many pairs, the same at each call, none of them empty or too long."""
        order = np.random.RandomState(0).permutation(len(self))
        indices = self.usable(max_positions, order[: 10 * pairs])  # nearly always enough
        if len(indices) < pairs:
            indices = self.usable(max_positions, order)
        indices = indices[:pairs]
        sizes = self.num_tokens_vec(indices)
        indices = indices[np.argsort(sizes, kind="stable")]
        for rows in self.batch_by_size(indices, max_tokens=max(RANDOM_BATCH_TOKENS, sizes.max())):
            yield self.collater([self[i] for i in rows])
