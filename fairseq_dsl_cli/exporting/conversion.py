"""One direction of a pair as a folder that CTranslate2 translates with."""

import os
import shutil
from importlib.util import find_spec
from typing import Optional, Sequence

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import restore

from . import model_folder
from .sentencepieces import sentencepiece_models
from .transformers import what_is_not_supported


def save_for_ctranslate2(
    checkpoint: Checkpoint,
    direction: str,
    folder: str,
    quantization: Optional[str] = None,
    pieces: Sequence[str] = (),
    data: Optional[str] = None,
) -> bool:
    """Write the model, its vocabularies and its sentencepiece models.

    Args:
        checkpoint: of a pair.
        folder: new, empty, or with an earlier model, which is replaced.
        quantization: of CTranslate2; None for float32.
        pieces: the sentencepiece model's file, or those of source and target; empty for those beside the data.
        data: a folder with the dictionaries, for a checkpoint that contains none.

    Returns whether there are sentencepiece models.

    Raises `BadInput` if CTranslate2 cannot be found or has no such model.
    """
    model_folder.check_free(folder)
    restored = next(one for key, one in restore(checkpoint, data).items() if str(key) == direction)
    problem = what_is_not_supported(restored)
    if problem:
        raise BadInput(
            f"--format ctranslate2: has no place for the {direction} model of {checkpoint.path}: {problem}; "
            "--format fairseq writes any model"
        )
    between = restored.direction
    sides = [(between.source, restored.source), (between.target, restored.target)]
    models = sentencepiece_models(pieces, checkpoint, sides)
    if find_spec("ctranslate2") is None:
        raise BadInput("--format ctranslate2: requires ctranslate2: pip install ctranslate2")
    from .specification import specification

    spec = specification(restored)
    spec.validate()
    spec.optimize(quantization)
    with model_folder.written_whole(folder) as new:
        spec.save(new)
        if models:
            is_joint = os.path.samefile(*models)
            names = [model_folder.SENTENCEPIECE] if is_joint else model_folder.SENTENCEPIECES
            for model, name in zip(models, names):
                shutil.copyfile(model, os.path.join(new, name))
    return models is not None
