"""The splits of the data folders, each shard of which is checked before it is read."""

from typing import List, Set, Tuple

from fairseq import utils
from fairseq.tasks.translation import TranslationTask

from ..directions import Direction
from ..errors import BadInput
from .folders import check_pairs, files_of_side
from .pairs import PairDataset


class Splits:
    """Reads splits as sentence pairs, in the order of the active direction.

    Args:
        task: fairseq's translation task of that direction.
    """

    def __init__(self, task: TranslationTask):
        self._task = task
        self._folders = utils.split_paths(task.cfg.data)
        self.direction = Direction(task.cfg.source_lang, task.cfg.target_lang)
        self._names = (self.direction, self.direction.reversed)  # in this order, fairseq looks for files
        self._checked: Set[Tuple[str, int]] = set()

    def shards(self, split: str) -> int:
        """How many shards a split has: of training, one in each data folder."""
        return len(self._folders) if split == self._task.cfg.train_subset else 1

    def read(self, split: str, shard: int, combine: bool) -> PairDataset:
        """Read a shard; all shards of training are checked before the first is read."""
        self._check(split, shard, combine)
        try:
            self._task.load_dataset(split, epoch=shard + 1, combine=combine)
        except FileNotFoundError:
            raise BadInput(
                f"{self._folders[shard]}: has no split {split} of {' or '.join(map(str, self._names))}"
            ) from None
        return PairDataset(self._task.datasets.pop(split), self.direction)

    def read_pairs(self, split: str, shard: int, combine: bool) -> PairDataset:
        """Read a shard that has both sides."""
        dataset = self.read(split, shard, combine)
        if dataset.tgt is None:
            raise BadInput(f"{self._folders[shard]}: the split {split} has no {self.direction.target} side")
        return dataset

    def read_all(self, split: str, combine: bool) -> List[PairDataset]:
        return [self.read(split, shard, combine) for shard in range(self.shards(split))]

    def files(self, split: str, shard: int, language: str, combine: bool) -> List[str]:
        """The files that one side of a shard is read from."""
        return files_of_side(self._folders[shard], split, self._names, language, combine)

    def _check(self, split: str, shard: int, combine: bool):
        for other in range(self.shards(split)) if split == self._task.cfg.train_subset else [shard]:
            if (split, other) not in self._checked:
                dictionaries = (self._task.source_dictionary, self._task.target_dictionary)
                sides = dict(zip((self.direction.source, self.direction.target), dictionaries))
                check_pairs(self._folders[other], split, self._names, sides, combine, self._task.cfg.dataset_impl)
                self._checked.add((split, other))
