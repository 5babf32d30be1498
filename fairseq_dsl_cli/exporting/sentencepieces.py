"""The sentencepiece model that splits a model's text: found beside its data, and checked against its dictionary."""

from typing import Optional

import sentencepiece
from fairseq.data import Dictionary

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput, first_line

NAMES = ("sentencepiece.bpe.model", "sentencepiece.model", "spm.model")
"""What a sentencepiece model is called in a data folder or beside a checkpoint."""
_ENOUGH = 0.5  # of a dictionary's symbols: of other models' pieces, it has some too


def sentencepiece_model(path: Optional[str], checkpoint: Checkpoint, source: Dictionary) -> Optional[str]:
    """The file of the sentencepiece model that the source language's text was split with.

    Args:
        path: the one that is given. Without it, one beside the checkpoint or in the data folder of its training is
            returned, if its pieces are those of the dictionary; else None.

    Raises `BadInput` if the one that is given is no sentencepiece model, or another one.
    """
    if path is not None:
        share = _share(path, source)
        if share < _ENOUGH:
            raise BadInput(
                f"--sentencepiece-model {path}: expected the model that the text of training was split with, found one "
                f"with {share:.0%} of the symbols of the source dictionary"
            )
        return path
    found = next(filter(None, (checkpoint.own_file(name) for name in NAMES)), None)
    if found is None:
        return None
    try:
        return str(found) if _share(str(found), source) >= _ENOUGH else None
    except BadInput:
        return None


def _share(path: str, dictionary: Dictionary) -> float:
    """The share of a dictionary's symbols that are pieces of a sentencepiece model."""
    pieces = sentencepiece.SentencePieceProcessor()
    try:
        pieces.Load(path)
    except Exception as error:  # RuntimeError, OSError or TypeError, by version
        raise BadInput(
            f"--sentencepiece-model {path}: expected a sentencepiece model, found none ({first_line(error)})"
        ) from error
    symbols = dictionary.symbols[dictionary.nspecial :]
    known = {pieces.IdToPiece(i) for i in range(pieces.GetPieceSize())}
    return sum(symbol in known for symbol in symbols) / max(1, len(symbols))
