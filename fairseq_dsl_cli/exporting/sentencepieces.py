"""The sentencepiece models that split a model's text: found beside its data, and checked against its dictionaries."""

from typing import Optional, Sequence, Tuple

import sentencepiece
from fairseq.data import Dictionary

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput, first_line

NAMES = ("sentencepiece.bpe.{language}.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model")
"""What a sentencepiece model is called in a data folder or beside a checkpoint."""
_ENOUGH = 0.5  # of a dictionary's symbols: of other models' pieces, it has some too


def sentencepiece_models(
    given: Sequence[str], checkpoint: Checkpoint, sides: Sequence[Tuple[str, Dictionary]]
) -> Optional[Sequence[str]]:
    """The files of the sentencepiece models of source and target, which may be one.

    Args:
        given: one file of both languages, or one of each; empty for those beside the checkpoint or in the data folder
            of its training, if their pieces are those of the dictionaries.
        sides: language and dictionary of source and target.

    Returns None if none is given and they are not found.

    Raises `BadInput` if one that is given is no sentencepiece model, or another one.
    """
    if given:
        found = [given[0], given[-1]]
        for path, (language, dictionary) in zip(found, sides):
            share = _share(path, dictionary)
            if share < _ENOUGH:
                raise BadInput(
                    f"--sentencepiece-model {path}: expected the model that the {language} text of training was split "
                    f"with, found one with {share:.0%} of the symbols of its dictionary"
                )
        return found
    beside = [_beside(checkpoint, *side) for side in sides]
    return None if None in beside else [path for path in beside if path]


def _beside(checkpoint: Checkpoint, language: str, dictionary: Dictionary) -> Optional[str]:
    paths = (checkpoint.own_file(name.format(language=language)) for name in NAMES)
    found = next(filter(None, paths), None)
    if found is None:
        return None
    try:
        return str(found) if _share(str(found), dictionary) >= _ENOUGH else None
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
