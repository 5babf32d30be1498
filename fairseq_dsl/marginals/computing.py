"""Scores of the sentences of one side of a split that nobody knows yet."""

from typing import Callable, Iterator, List, Optional, Sequence

import numpy as np
import torch
from fairseq.data import data_utils
from fairseq.distributed import utils as distributed_utils
from torch.utils.data import Dataset

from ..workers import data_parallel_workers, shared_by_first_worker
from .marginal import Marginal
from .pieces import Pieces
from .scoring_log import ScoringLog
from .side import Side

MOST_TOKENS, LEAST_TOKENS = 8192, 256
LARGEST_TABLE = {"cpu": 1 << 22, "cuda": 1 << 28}
"""Tokens x vocabulary of a batch: on a CPU what was fastest (README, "Speed and memory"); on a GPU not measured."""

ScoreBatches = Callable[[Marginal, Dataset, Sequence[np.ndarray]], Iterator[np.ndarray]]
"""Gives the scores of batches, which are indices of sentences, in their order."""


def tokens_of_batch(vocabulary: int, device: torch.device) -> int:
    """How many tokens a batch has where no flag says it: so many that scoring is fastest.

    >>> [tokens_of_batch(size, torch.device("cpu")) for size in (100, 1000, 2000, 32000)]
    [8192, 4194, 2097, 256]
    """
    table = LARGEST_TABLE.get(device.type, LARGEST_TABLE["cpu"])
    return min(max(table // vocabulary, LEAST_TOKENS), MOST_TOKENS)


def in_this_process(marginal: Marginal, sentences: Dataset, batches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for batch in batches:
        yield marginal.score([sentences[i] for i in batch])


class Computing:
    """Scores sentences, each data-parallel worker its share, and stores the scores in pieces as they come.

    Args:
        max_tokens: of a batch; None for `tokens_of_batch`.
        device: where the workers exchange tensors.
        log: what is told of it.
        score_batches: what computes.
    """

    def __init__(
        self,
        max_tokens: Optional[int],
        device: torch.device,
        log: ScoringLog,
        score_batches: ScoreBatches = in_this_process,
    ):
        self.max_tokens = max_tokens
        self.device = device
        self.log = log
        self.score_batches = score_batches

    def scores(self, marginal: Marginal, side: Side, pieces: Pieces) -> np.ndarray:
        """The score of each sentence, ``(sentences,)``, in nats, float64; NaN of those that are too long.

        What is stored in `pieces` is not computed again. The batches are those of a run that found nothing stored, so
        that the scores are the same to the bit with the same flags; in other batches they differ by float32's rounding.
        """
        workers, rank = data_parallel_workers()
        [known] = shared_by_first_worker([pieces.read() if rank == 0 else None])
        scores = np.full(len(side.sizes), np.nan) if known is None else known
        batches = _without_known(self._batches(marginal, side), scores)[rank::workers]
        new = np.zeros(len(scores))  # of the other workers: 0
        tokens = np.asarray(side.sizes, dtype=np.int64)
        fits, to_do = tokens <= marginal.max_length, sum(int(tokens[batch].sum()) for batch in batches)
        done = int(tokens[fits & ~np.isnan(scores)].sum()) // workers
        name = f"scoring {len(tokens):,} {side.split} sentences in {marginal.language} by {marginal.name}"
        with self.log.watching(name, done + to_do, done) as advance:
            try:
                for batch, found in zip(batches, self.score_batches(marginal, side.sentences, batches)):
                    new[batch] = found
                    pieces.add(batch, found)
                    advance(int(tokens[batch].sum()))
            except BaseException:  # interrupted, or out of memory
                pieces.store()
                raise
        if workers > 1:
            summed = torch.from_numpy(new).to(self.device)
            distributed_utils.all_reduce(summed, group=distributed_utils.get_data_parallel_group())
            new = summed.cpu().numpy()
        return np.where(np.isnan(scores) & fits, new, scores)

    def _batches(self, marginal: Marginal, side: Side) -> List[np.ndarray]:
        """The sentences that the marginal takes, by length; those that fill more than a batch stand alone."""
        limit = self.max_tokens or tokens_of_batch(len(marginal.dictionary), self.device)
        indices = np.flatnonzero(side.sizes <= marginal.max_length)
        indices = indices[np.argsort(side.sizes[indices], kind="stable")]
        sizes = side.sizes[indices].astype(np.int64)
        small = int(np.searchsorted(sizes, limit, "right"))
        batches = data_utils.batch_by_size(indices[:small], None, num_tokens_vec=sizes[:small], max_tokens=limit)
        return [*batches, *indices[small:, None]]


def _without_known(batches: List[np.ndarray], scores: np.ndarray) -> List[np.ndarray]:
    unknown = np.isnan(scores)
    if unknown.all():
        return batches
    rest = (batch[unknown[batch]] for batch in batches)
    return [batch for batch in rest if len(batch)]
