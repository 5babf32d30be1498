"""What the task does with its data: it translates them, or a pair learns from them."""

import logging
from typing import Dict, Iterable, Mapping, Optional, Protocol, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary

from ..criterions import Method, PairCriterion
from ..data import MonolingualData, PairDataset, Splits, leave_out_too_long
from ..directions import Directions
from ..errors import BadInput
from ..marginals import Marginal, given_marginals, marginals_of
from ..models.building import PairBuilder
from ..swaps import TranslationModels
from ..terms import Batches, Resources
from .config import DualTranslationTaskConfig
from .folder_scorer import FolderScorer

logger = logging.getLogger(__name__)


class Stage(Protocol):
    """What depends on whether the data are translated or learned from.

    Attributes:
        marginals_checked: whether the marginals are known to be of the languages that they are given for.
    """

    marginals_checked: bool

    def load(self, split: str, shard: int, combine: bool) -> PairDataset:
        """Read a shard of a split, with what stands beside its pairs."""

    def keep(self, indices: np.ndarray, dataset, max_positions, skip: bool, lines_before: int) -> np.ndarray:
        """The sentences that are used, none of which is too long."""

    def marginals_for(self, language: str, directions: Directions) -> Mapping[str, Marginal]:
        """By language, for dual inference that translates into this one."""

    def begin_epoch(self, pair):
        """Before the first batch of an epoch."""


def lm_flags(cfg: DualTranslationTaskConfig) -> Dict[str, Optional[str]]:
    """The language models by flag: those of the source and of the target language of the primal direction."""
    return {"--source-lm": cfg.source_lm, "--target-lm": cfg.target_lm}


class Translating:
    """The data are translated: every sentence that is short enough, and the others are named.

    Args:
        cfg: the task's flags.
        splits: what is read.
        dictionaries: by language.
    """

    marginals_checked = False

    def __init__(self, cfg: DualTranslationTaskConfig, splits: Splits, dictionaries: Mapping[str, Dictionary]):
        self.cfg = cfg
        self.splits = splits
        self.dictionaries = dictionaries

    def load(self, split: str, shard: int, combine: bool) -> PairDataset:
        return self.splits.read(split, shard, combine)

    def keep(self, indices: np.ndarray, dataset, max_positions, skip: bool, lines_before: int) -> np.ndarray:
        kept = leave_out_too_long(indices, dataset, max_positions, skip, lines_before)
        if not len(kept) and isinstance(dataset, PairDataset):
            raise BadInput(f"{self.cfg.data}: none of the {len(dataset):,} sentences is short enough")
        return kept

    def marginals_for(self, language: str, directions: Directions) -> Mapping[str, Marginal]:
        given = lm_flags(self.cfg)
        is_alone = len(list(filter(None, given.values()))) == 1  # then it is of the language that is generated
        languages = (language, language) if is_alone else directions.languages
        return given_marginals(given, languages, self.dictionaries, torch.device("cpu"))

    def begin_epoch(self, pair):
        pass


class Learning:
    """A pair learns from the data, or is validated on them: by a criterion, with marginals and monolingual text.

    Args:
        cfg: the task's flags.
        directions: those of the pair.
        splits: what is read.
        builder: of models of these directions.
        limits: the longest (source, target) of the active direction that the pair allows, in tokens.
        started_from: the checkpoints that the pair was started from; None where it was restored.
        method: what the criterion is made of.
    """

    marginals_checked = True  # by `SplitScorer`, on the data
    criterion: PairCriterion  # set when it is built, of the resources

    def __init__(
        self,
        cfg: DualTranslationTaskConfig,
        directions: Directions,
        splits: Splits,
        builder: PairBuilder,
        limits: Tuple[int, int],
        started_from: Optional[TranslationModels],
        method: Method,
    ):
        self.cfg = cfg
        self.directions = directions
        self.dictionaries = builder.dictionaries
        self.splits = splits
        self.builder = builder
        self.limits = limits
        self.method = method
        self._started_from = started_from
        # The flags are of the languages of training: -s en -t de may validate a de-en pair.
        languages = directions.languages
        self.device = torch.device("cuda" if torch.cuda.is_available() and not cfg.cpu else "cpu")
        self.marginals = marginals_of(lm_flags(cfg), languages, self.dictionaries, self.device)
        self._scorer = FolderScorer(cfg, splits, self.marginals, self.device)
        text = zip(("--source-mono", "--target-mono"), languages, (cfg.source_mono, cfg.target_mono))
        self.monolingual_folders = {language: (flag, folder) for flag, language, folder in text if folder}
        self._monolingual: Optional[Dict[str, MonolingualData]] = None  # by language
        self._scores: Dict[Tuple[str, int], Dict[str, np.ndarray]] = {}  # of a split and shard, by language
        self._begun = False

    def resources(self, criterion: str) -> Resources:
        """What the criterion of this name is built from."""
        return Resources(
            criterion=criterion,
            directions=self.directions,
            dictionaries=self.dictionaries,
            flags=self.cfg,
            marginals=self.marginals,
            monolingual=tuple(self.monolingual_folders),
            longest=self.longest,
            frozen_pair=lambda path: self.builder.frozen(path, self.directions),
        )

    def marginals_for(self, language: str, directions: Directions) -> Mapping[str, Marginal]:
        return self.marginals

    def longest(self, language: str) -> int:
        """The longest sentence, in tokens, that all models and marginals allow which read it, and the flags."""
        limit = self._limit(language)
        if self.method.scores_samples and self.marginals:
            limit = min(limit, self.marginals[language].max_length)
        return int(limit)

    def _limit(self, language: str) -> int:
        return self.limits[0] if language == self.directions.active.source else self.limits[1]

    # ---- data

    def load(self, split: str, shard: int, combine: bool) -> PairDataset:
        """Read a shard with its monolingual text; with marginals, after all shards of the split are scored."""
        dataset = self.splits.read_pairs(split, shard, combine)
        if split == self.cfg.train_subset:
            self._train_data = dataset
            self.criterion.prepare()
            if self.method.reads_monolingual:
                dataset.monolingual = self._monolingual_beside(dataset, combine)
        if self.marginals:
            for other in range(self.splits.shards(split)):
                if (split, other) not in self._scores:
                    pairs = dataset if other == shard else self.splits.read_pairs(split, other, combine)
                    wanted = pairs.usable(self.limits)
                    self._scores[split, other] = self._scorer.scores(pairs, split, other, combine, wanted)
            dataset.log_marginals = self._scores[split, shard]
        return dataset

    def _monolingual_beside(self, pairs: PairDataset, combine: bool) -> Dict[str, MonolingualData]:
        """The monolingual text by language; loaded once for all shards of the parallel data."""
        if self._monolingual is None:
            shards = []
            if self.splits.shards(self.cfg.train_subset) > 1:
                shards = [
                    len(shard.usable(self.limits)) for shard in self.splits.read_all(self.cfg.train_subset, combine)
                ]
            self._monolingual = {
                language: self._read_monolingual(language, flag, folder, pairs, shards)
                for language, (flag, folder) in self.monolingual_folders.items()
            }
        return self._monolingual

    def _read_monolingual(self, language: str, flag: str, folder: str, pairs: PairDataset, shards) -> MonolingualData:
        dictionary, limit = self.dictionaries[language], self.longest(language)
        data = MonolingualData(folder, flag, language, dictionary, limit, self.cfg.mono_ratio, self.cfg.seed, shards)
        for what, count in data.left_out.items():
            if count:
                logger.warning(f"{data.name}: {count:,} {what} sentences of {len(data.sentences):,} are skipped")
        [other] = set(self.dictionaries) - {language}
        if dictionary.symbols == self.dictionaries[other].symbols:
            data.refuse_other_language(other, {name: sentences for name, (sentences, _) in pairs.sides.items()})
        return data

    def keep(self, indices: np.ndarray, dataset, max_positions, skip: bool, lines_before: int) -> np.ndarray:
        """Skip pairs with an empty or a too long side, and say how many."""
        kept, too_long = dataset.filter_indices_by_size(indices, max_positions)
        empty = dataset.empty_pairs(kept)
        for count, what in (
            (len(too_long), f"longer than {max_positions} tokens"),
            (empty.sum(), "with an empty side"),
        ):
            if count:
                logger.warning(f"{count:,} of {len(dataset):,} pairs {what} are skipped in both directions")
        kept = kept[~empty]
        if not len(kept):
            raise BadInput(f"{self.cfg.data}: no pair is left of {len(dataset):,} after filtering")
        dataset.trained_on = kept
        return kept

    # ---- training

    def begin_epoch(self, pair):
        if not self.method.scores_samples:
            for marginal in self.marginals.values():
                marginal.release()  # what it said is kept
        if not self._begun:
            self._begun = True
            pair.eval()
            if self._started_from is not None and pair.num_updates == 0:
                self._started_from.check({d: pair.models[str(d)] for d in self.directions}, self._some_batches)
            self.criterion.begin_training(pair, self._some_batches)

    def _some_batches(self, pairs: int, device: torch.device) -> Iterable[Batches]:
        """Yield batches of at most so many random training pairs, the same at each call."""
        for batch in self._train_data.random_batches(pairs, self.limits):
            yield self.directions.of(utils.move_to_cuda(batch) if device.type == "cuda" else batch)
