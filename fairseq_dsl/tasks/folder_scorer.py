"""The marginals' scores of data folders."""

import logging
import os
import sys
from typing import Callable, Dict

import numpy as np
import torch

from ..data import PairDataset, Splits, first_folder
from ..marginals import Computing, Marginal, ScoreCache, ScoringLog, Side, SplitScorer
from ..marginals.computing import ScoreBatches, in_this_process
from ..workers import data_parallel_workers
from .config import DualTranslationTaskConfig

logger = logging.getLogger(__name__)


class FolderScorer:
    """Scores the splits of data folders by the marginals of both languages.

    Args:
        cfg: the task's flags.
        splits: what is read.
        marginals: by language.
        device: where the workers exchange tensors.
        score_batches: what computes scores.
        write: shows a line of progress.
    """

    def __init__(
        self,
        cfg: DualTranslationTaskConfig,
        splits: Splits,
        marginals: Dict[str, Marginal],
        device: torch.device,
        score_batches: ScoreBatches = in_this_process,
        write: Callable[[str], None] = logger.info,
    ):
        self.splits = splits
        self.cache = ScoreCache(cfg.marginal_cache or os.path.join(first_folder(cfg), "marginal-cache"))
        shows_bar = not cfg.no_progress_bar and cfg.log_format in (None, "tqdm") and sys.stderr.isatty()
        log = ScoringLog(cfg.log_interval, shows_bar and data_parallel_workers()[1] == 0, write)
        computing = Computing(cfg.marginal_max_tokens, device, log, score_batches)
        self._scorer = SplitScorer(marginals, self.cache, computing)

    def scores(
        self, pairs: PairDataset, split: str, shard: int, combine: bool, wanted: np.ndarray
    ) -> Dict[str, np.ndarray]:
        """The scores of a shard of a split, by language: see `SplitScorer.scores`.

        Args:
            pairs: what was read of it.
            wanted: the pairs that are to have scores.
        """
        sides = {
            language: Side(sentences, sizes, self.splits.files(split, shard, language, combine), wanted, split, shard)
            for language, (sentences, sizes) in pairs.sides.items()
        }
        return self._scorer.scores(sides)
