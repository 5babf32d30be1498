"""One direction of a pair as a folder that CTranslate2 translates with."""

import os
import shutil
from importlib.util import find_spec
from typing import Optional

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput

from . import model_folder
from .restoring import restore
from .sentencepieces import sentencepiece_model
from .transformers import what_is_not_supported


def save_for_ctranslate2(
    checkpoint: Checkpoint,
    direction: str,
    folder: str,
    quantization: Optional[str] = None,
    pieces: Optional[str] = None,
    data: Optional[str] = None,
) -> bool:
    """Write the model, its vocabularies and its sentencepiece model.

    Args:
        checkpoint: of a pair.
        folder: new, empty, or with an earlier model, which is replaced.
        quantization: of CTranslate2; None for float32.
        pieces: the sentencepiece model's file; None for the one beside the data.
        data: a folder with the dictionaries, for a checkpoint that contains none.

    Returns whether there is a sentencepiece model.

    Raises `BadInput` if CTranslate2 cannot be found or has no such model.
    """
    model_folder.check_free(folder)
    restored = restore(checkpoint, direction, data)
    problem = what_is_not_supported(restored)
    if problem:
        raise BadInput(
            f"--format ctranslate2: has no place for the {direction} model of {checkpoint.path}: {problem}; "
            "--format fairseq writes any model"
        )
    pieces = sentencepiece_model(pieces, checkpoint, restored.source)
    if find_spec("ctranslate2") is None:
        raise BadInput("--format ctranslate2: requires ctranslate2: pip install ctranslate2")
    from .specification import specification

    spec = specification(restored)
    spec.validate()
    spec.optimize(quantization)
    with model_folder.written_whole(folder) as new:
        spec.save(new)
        if pieces:
            shutil.copyfile(pieces, os.path.join(new, model_folder.SENTENCEPIECE))
    return pieces is not None
