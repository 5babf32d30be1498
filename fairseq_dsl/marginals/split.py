"""The scores of a split: log P of each of its sentences, on both sides."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from ..errors import BadInput
from ..swaps import refuse_wrong_marginals
from ..workers import data_parallel_workers, shared_by_first_worker
from .cache import ScoreCache
from .computing import Computing
from .marginal import Marginal
from .side import Side


class SplitScorer:
    """Scores splits by the marginals of both languages, or takes the scores that are given, or in the cache.

    Args:
        marginals: by language.
        cache: where scores are kept.
        computing: what makes those that are not there.
    """

    def __init__(self, marginals: Dict[str, Marginal], cache: ScoreCache, computing: Computing):
        self.marginals = marginals
        self.cache = cache
        self.computing = computing

    def scores(self, sides: Dict[str, Side]) -> Dict[str, np.ndarray]:
        """The scores of a split by language, each ``(sentences,)``, in nats, float64.

        NaN stands for a sentence that its marginal cannot take; `BadInput` is raised if a wanted one is so.
        """
        given = {
            language: self.marginals[language].of_split(side.split, side.shard, len(side.sizes))
            for language, side in sides.items()
        }
        keys, stored = self._from_cache({language: sides[language] for language in sides if given[language] is None})
        scores = {language: found for language, found in {**given, **stored}.items() if found is not None}
        missing = [language for language in sides if language not in scores]
        if missing or not stored:
            refuse_wrong_marginals(self.marginals, sides)
        for language in missing:
            side, key = sides[language], keys[language]
            pieces = self.cache.pieces(key, len(side.sizes))
            scores[language] = self.computing.scores(self.marginals[language], side, pieces)
            if data_parallel_workers()[1] == 0:
                self.cache.write(key, scores[language])
        for language, side in sides.items():
            self._require(self.marginals[language], scores[language], side)
        return scores

    def _from_cache(self, sides: Dict[str, Side]) -> Tuple[Dict[str, str], Dict[str, Optional[np.ndarray]]]:
        """Keys, and the scores that are stored, as the first worker finds them: all workers then do the same."""
        keys: List[str] = []
        stored: List[Optional[np.ndarray]] = []
        if data_parallel_workers()[1] == 0:
            for language, side in sides.items():
                keys.append(self.cache.key(self.marginals[language], len(side.sizes), side.files))
                stored.append(self.cache.read(keys[-1], len(side.sizes)))
        found = shared_by_first_worker([*keys, *stored])
        return dict(zip(sides, found[: len(sides)])), dict(zip(sides, found[len(sides) :]))

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
