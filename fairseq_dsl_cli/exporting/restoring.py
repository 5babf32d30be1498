"""One direction's model, restored from a pair's checkpoint alone."""

from dataclasses import dataclass
from typing import Optional

from fairseq.data import Dictionary
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from torch import nn

from fairseq_dsl.checkpoints import Checkpoint, build_config
from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import dictionaries_of


@dataclass(frozen=True)
class Restored:
    """A model that translates, in evaluation mode, with its dictionaries."""

    model: nn.Module
    source: Dictionary
    target: Dictionary


def restore(checkpoint: Checkpoint, name: str, data: Optional[str] = None) -> Restored:
    """Restore one direction's model with the dictionaries that the checkpoint contains.

    Args:
        checkpoint: of a pair.
        name: of the direction, such as ``de-en``.
        data: a folder with the dictionaries, for a checkpoint that contains none.

    Raises `BadInput` if a dictionary is not known or the parameters do not fit the architecture.
    """
    models = {direction: checkpoint.direction(direction) for direction in checkpoint.directions}
    dictionaries = dictionaries_of(models, data)
    direction, part = next(item for item in models.items() if str(item[0]) == name)
    cfg = TranslationConfig(source_lang=direction.source, target_lang=direction.target)
    source, target = dictionaries[direction.source], dictionaries[direction.target]
    model = TranslationTask(cfg, source, target).build_model(build_config(part.model_cfg), from_checkpoint=True)
    try:
        model.load_state_dict(part.parameters, strict=True)
    except RuntimeError as error:
        raise BadInput(f"{part.name}: its parameters do not fit its architecture: {error}") from error
    return Restored(model.eval(), source, target)
