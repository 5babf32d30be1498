"""Text into the words of the dictionaries."""

from argparse import Namespace
from typing import Callable, Optional, Sequence, Union

from fairseq.data.encoders import build_bpe

from ..errors import BadInput, first_line

SPECIAL = frozenset(("<s>", "<pad>", "</s>", "<unk>"))
"""fairseq's own symbols. sentencepiece makes a piece of a run of characters that its vocabulary lacks."""

Encoder = Callable[[str], str]
"""Makes of a text words with spaces between them."""


def encoders_of(bpe: Optional[str], given: Union[str, Sequence[str], None]) -> Sequence[Optional[Encoder]]:
    """What segments the text of source and of target; None for text that is segmented already.

    Args:
        bpe: ``sentencepiece``, or None.
        given: the file of its model, or those of source and target.
    """
    paths = [given] if isinstance(given, str) else list(given or [])
    if bpe is None and not paths:
        return None, None
    if bpe != "sentencepiece" or not 1 <= len(paths) <= 2:
        raise BadInput(
            f"--bpe {bpe} --sentencepiece-model {' '.join(paths) or None}: expected --bpe sentencepiece with its "
            "model, or those of source and target, or neither, for text that is segmented"
        )
    first = _encoder(paths[0])
    return first, _encoder(paths[1]) if len(paths) == 2 else first


def _encoder(path: str) -> Encoder:
    flags = Namespace(
        bpe="sentencepiece",
        sentencepiece_model=path,
        sentencepiece_enable_sampling=False,
        sentencepiece_alpha=None,
    )
    try:
        encode = build_bpe(flags).encode
    except (OSError, RuntimeError) as error:
        raise BadInput(f"--sentencepiece-model {path}: cannot be read ({first_line(error)})") from error
    return lambda text: " ".join(_divided(piece) for piece in encode(text).split(" "))


def _divided(piece: str) -> str:
    """A piece, or the characters of one that fairseq would take for a symbol of its own; as `prepare` does."""
    return " ".join(piece) if piece in SPECIAL else piece
