"""The sentences of one language of a split."""

from dataclasses import dataclass
from typing import List

import numpy as np
from torch.utils.data import Dataset


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

    sentences: Dataset
    sizes: np.ndarray
    files: List[str]
    wanted: np.ndarray
    split: str
    shard: int
