"""Sentences that are too long for the models to translate."""

import contextlib
import logging
from typing import Optional

import numpy as np
from fairseq.data import LanguagePairDataset

from ..errors import BadInput

logger = logging.getLogger(__name__)

SKIP = "--skip-invalid-size-inputs-valid-test"


def leave_out_too_long(
    indices: np.ndarray, dataset: LanguagePairDataset, max_positions, skip: bool, lines_before: int = 0
) -> np.ndarray:
    """The sentences that fit the models; the others are reported by their line of the input.

    Args:
        indices: of sentences of `dataset`, ``(sentences,)``.
        max_positions: the longest source and target, in tokens including the end-of-sentence symbol.
        skip: warn of each sentence that is left out; otherwise `BadInput` is raised before any is translated.
        lines_before: how many lines of the input precede `dataset`, if it is only a part of the input.
    """
    kept, too_long = dataset.filter_indices_by_size(indices, max_positions)
    sentences = []
    for index in sorted(too_long):
        lengths = " and ".join(
            f"{size:,} {side} tokens (limit {limit:,})"
            for side, size, limit in zip(("source", "target"), dataset.size(index), max_positions)
            if size > limit
        )
        number = lines_before + index
        sentences.append(f"line {number + 1} of the input (sentence {number}) has {lengths}")
    if sentences and not skip:
        more = f", and {len(sentences) - 1:,} more are too long" if len(sentences) > 1 else ""
        raise BadInput(
            f"{sentences[0]}{more}; split it, raise --max-source-positions and --max-target-positions if the model "
            f"allows it, or skip such sentences with {SKIP} (in Python, skip_invalid_size_inputs=True)"
        )
    for sentence in sentences:
        logger.warning(f"{sentence}: left out")
    return kept


@contextlib.contextmanager
def lines_that_fit(dataset: LanguagePairDataset, max_tokens: Optional[int], lines_before: int):
    """Make batches of lines to translate; the one that is longer than a batch is named, where fairseq names no flag.

    Args:
        max_tokens: the largest batch.
        lines_before: how many lines of the input stand before `dataset`, which then is a part of it.
    """
    try:
        yield
    except AssertionError as error:
        sizes = np.asarray(dataset.src_sizes)
        too_long = np.flatnonzero(sizes > max_tokens) if max_tokens is not None else []
        if not len(too_long):
            raise
        first = int(too_long[0])
        number = lines_before + first
        raise BadInput(
            f"--max-tokens {max_tokens}: expected room for every line, found {sizes[first]:,} tokens in line "
            f"{number + 1} of the input (sentence {number}); raise it to {sizes.max()} or more, or leave it out"
        ) from error
