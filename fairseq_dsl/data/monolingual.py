"""Monolingual sentences, distributed over the batches of a parallel data set."""

import os
from typing import Any, Mapping, Sequence

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from fairseq.data.language_pair_dataset import collate
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import BadInput
from ..swaps import refuse_other_text
from ..vocabulary import load_dictionary, vocabulary_difference
from .folders import count_sentences

LANGUAGE_CHECK_SENTENCES = 1000


class MonolingualData:
    """The sentences of one language that go with the pairs of a parallel data set.

    They form a stream: all sentences in random order, then all in another order, and so on. Each epoch of the parallel
    data takes the next ones, `ratio` per pair. Which sentences go with which pairs depends only on the epoch, not on
    batches or workers, so that a resumed run sees what an uninterrupted one would have seen. They are dealt by length,
    short sentences to short pairs, so that batches stay within their size limits and need little padding.

    Args:
        folder: the output of ``fairseq-preprocess --only-source`` with the translation dictionary; its train split is
            read.
        flag: the flag that named it, for messages.
        language: the language of the sentences.
        limit: the longest sentence, in tokens; longer and empty ones are left out, and counted in `left_out`.
        ratio: sentences per pair.
        shards: the number of pairs of each shard of the parallel data, if each epoch reads another shard.

    Raises `BadInput`, naming the flag and the folder, if the folder cannot be used.
    """

    def __init__(
        self,
        folder: str,
        flag: str,
        language: str,
        dictionary: Dictionary,
        limit: int,
        ratio: float,
        seed: int,
        shards: Sequence[int] = (),
    ):
        self.name = f"{flag} {folder}"
        self.language = language
        self.dictionary = dictionary
        self.ratio = ratio
        self.seed = seed
        self.shards = shards
        self.sentences = self._load(folder)
        sizes = np.asarray(self.sentences.sizes)
        self.kept = np.flatnonzero((sizes > 1) & (sizes <= limit))
        self.left_out = {"empty": int((sizes <= 1).sum()), f"longer than {limit} tokens": int((sizes > limit).sum())}
        if not len(self.kept):
            left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            raise BadInput(f"{self.name}: expected sentences of at most {limit} tokens, found {left_out}")
        self._sizes = sizes

    def _load(self, folder):
        if not os.path.isdir(folder):
            raise BadInput(f"{self.name}: no such folder; expected the output of fairseq-preprocess --only-source")
        path = os.path.join(folder, "dict.txt")
        for name in ("train.idx", "train.bin", "dict.txt"):
            if not os.path.isfile(os.path.join(folder, name)):
                raise BadInput(
                    f"{self.name}: contains no {name}; expected the output of fairseq-preprocess --only-source "
                    "--srcdict DICTIONARY --trainpref TEXT"
                )
        difference = vocabulary_difference(load_dictionary(path), self.dictionary)
        if difference:
            raise BadInput(
                f"{self.name}: was binarized with another vocabulary: {difference} in the {self.language} dictionary "
                "of the data folder; binarize with the same dictionary (--srcdict)"
            )
        prefix = os.path.join(folder, "train")
        try:
            count_sentences(prefix, self.dictionary)
        except BadInput as error:
            raise BadInput(f"{self.name}: {error}") from error
        return data_utils.load_indexed_dataset(prefix, self.dictionary)

    def refuse_other_language(self, other_language: str, sides: Mapping[str, Any]):
        """Refuse text of the other language, which a joined dictionary hides.

        Args:
            sides: the sentences of the parallel data, by language.
        """
        languages = (self.language, other_language)
        some = [_first_symbols(sides[language], range(len(sides[language]))) for language in languages]
        text = _first_symbols(self.sentences, self.kept)
        refuse_other_text(self.name, languages, text, some, len(self.dictionary))

    def deal(self, epoch: int, pairs: np.ndarray, pair_sizes: np.ndarray):
        """Deal an epoch's sentences to its pairs.

        Args:
            epoch: from 1.
            pairs: the indices of the pairs that are trained on.
            pair_sizes: their lengths.
        """
        shards = self.shards or [len(pairs)]
        first, end = (int(self.ratio * _pairs_until(count, shards)) for count in (epoch - 1, epoch))
        dealt = self._stream(first, end)
        self._dealt = dealt[np.argsort(self._sizes[dealt], kind="stable")]
        self._place = np.full(pairs.max() + 1, -1)
        self._place[pairs[np.argsort(pair_sizes, kind="stable")]] = np.arange(len(pairs))
        self._bounds = np.arange(len(pairs) + 1) * len(dealt) // len(pairs)

    def _stream(self, first: int, end: int) -> np.ndarray:
        """The sentences at positions `first` to `end` (not included) of the stream."""
        size = len(self.kept)
        passes = []
        for number in range(first // size, -(-end // size)):
            with data_utils.numpy_seed(self.seed, number):
                order = self.kept[np.random.permutation(size)]
            passes.append(order[max(first - number * size, 0) : max(end - number * size, 0)])
        return np.concatenate(passes) if passes else np.zeros(0, dtype=np.int64)

    def batch(self, pairs, left_pad: bool):
        """The sentences dealt to these pairs as a batch of sources, or None; ``id`` is their number in the folder."""
        places = self._place[pairs]
        numbers = np.concatenate([self._dealt[self._bounds[place] : self._bounds[place + 1]] for place in places])
        if not len(numbers):
            return None
        items = [{"id": int(number), "source": self.sentences[number]} for number in numbers]
        return collate(items, self.dictionary.pad(), self.dictionary.eos(), left_pad_source=left_pad)


def _pairs_until(epoch: int, shards: Sequence[int]) -> int:
    """The number of pairs in the first `epoch` epochs together."""
    rounds, rest = divmod(epoch, len(shards))
    return rounds * sum(shards) + sum(shards[:rest])


def _first_symbols(sentences: Dataset, indices: Any) -> Tensor:
    """The symbols of the first of these sentences."""
    return torch.cat([sentences[i] for i in indices[:LANGUAGE_CHECK_SENTENCES]])
