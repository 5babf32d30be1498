"""The scores of a split: log P of each of its sentences, on both sides."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
from fairseq.data import data_utils
from fairseq.distributed import utils as distributed_utils

from ..errors import BadInput
from ..swaps import refuse_wrong_marginals
from ..workers import data_parallel_workers
from .cache import ScoreCache
from .marginal import Marginal

MAX_TOKENS = 8192  # per batch of scoring: (tokens x vocabulary) floats are in memory at a time


@dataclass
class Side:
    """The sentences of one language of a split.

    Attributes:
        sentences: LongTensors that end in the end-of-sentence symbol.
        sizes: their lengths, ``(sentences,)``.
        files: what they were read from: the content that the cache is keyed by.
        wanted: the indices that training or validation will use: not empty, nor too long for the translation models.
        split: the name of the split.
        shard: the number of the data folder that it is read from, from 0.
    """

    sentences: torch.utils.data.Dataset
    sizes: np.ndarray
    files: List[str]
    wanted: np.ndarray
    split: str
    shard: int


class SplitScorer:
    """Scores splits by the marginals of both languages, or takes the scores that are given, or in the cache.

    Args:
        marginals: by language.
        cache: where scores are kept.
        device: where the workers exchange tensors.
        progress: wraps an iterable of batches in a progress bar, given a label.
    """

    def __init__(
        self,
        marginals: Dict[str, Marginal],
        cache: ScoreCache,
        device: torch.device,
        progress: Callable,
    ):
        self.marginals = marginals
        self.cache = cache
        self.device = device
        self.progress = progress

    def scores(self, sides: Dict[str, Side]) -> Dict[str, np.ndarray]:
        """The scores of a split by language, each ``(sentences,)``, in nats, float64.

        NaN stands for a sentence that its marginal cannot take; `BadInput` is raised if a wanted one is so.
        """
        given = {
            language: self.marginals[language].of_split(side.split, side.shard, len(side.sizes))
            for language, side in sides.items()
        }
        stored, keys = self._from_cache({language: sides[language] for language in sides if given[language] is None})
        scores = {language: found for language, found in {**given, **stored}.items() if found is not None}
        missing = [language for language in sides if language not in scores]
        if missing or not stored:
            refuse_wrong_marginals(self.marginals, sides)
        for language in missing:
            scores[language] = self._compute(self.marginals[language], sides[language])
            if data_parallel_workers()[1] == 0:
                self.cache.write(keys[language], scores[language])
        for language, side in sides.items():
            self._require(self.marginals[language], scores[language], side)
        return scores

    def _from_cache(self, sides: Dict[str, Side]) -> Tuple[Dict[str, Optional[np.ndarray]], Dict[str, str]]:
        """The stored scores, as the first worker finds them: all workers then do the same."""
        workers, rank = data_parallel_workers()
        keys, stored = {}, {}
        if rank == 0:
            for language, side in sides.items():
                keys[language] = self.cache.key(self.marginals[language], len(side.sizes), side.files)
                stored[language] = self.cache.read(keys[language], len(side.sizes))
        if workers > 1:  # which exchange tensors
            tensors = {
                language: None if found is None else torch.from_numpy(found) for language, found in stored.items()
            }
            group = distributed_utils.get_data_parallel_group()
            keys, tensors = distributed_utils.broadcast_object((keys, tensors), src_rank=0, group=group)
            stored = {language: None if found is None else found.numpy() for language, found in tensors.items()}
        return stored, keys

    def _compute(self, marginal: Marginal, side: Side) -> np.ndarray:
        """Score what the marginal can take; each worker its share."""
        indices = np.flatnonzero(side.sizes <= marginal.max_length)
        indices = indices[np.argsort(side.sizes[indices], kind="stable")]
        sizes = side.sizes[indices].astype(np.int64)
        max_tokens = max(MAX_TOKENS, sizes.max(initial=0))
        batches = data_utils.batch_by_size(indices, None, num_tokens_vec=sizes, max_tokens=max_tokens)
        workers, rank = data_parallel_workers()
        scores = torch.zeros(len(side.sizes), dtype=torch.float64)
        for batch in self.progress(batches[rank::workers], f"scoring {marginal.language} by {marginal.name}"):
            scores[torch.from_numpy(batch)] = torch.from_numpy(marginal.score([side.sentences[i] for i in batch]))
        if workers > 1:  # every sentence is scored by one worker, and 0 in the others
            scores = scores.to(self.device)
            distributed_utils.all_reduce(scores, group=distributed_utils.get_data_parallel_group())
        found = scores.cpu().numpy()
        found[side.sizes > marginal.max_length] = np.nan
        return found

    @staticmethod
    def _require(marginal: Marginal, scores: np.ndarray, side: Side):
        lost = side.wanted[np.isnan(scores[side.wanted])]
        if len(lost):
            longest = side.sizes[lost].max()
            raise BadInput(
                f"{marginal.name}: {len(lost)} {marginal.language} sentences are longer than the language model "
                f"allows, the longest of {longest} tokens; train it with --tokens-per-sample {longest} or more, or "
                "filter the longer pairs out with --max-source-positions and --max-target-positions"
            )
