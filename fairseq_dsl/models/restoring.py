"""The models of a pair, restored from its checkpoint alone."""

from dataclasses import dataclass, fields
from typing import Dict, Optional

from fairseq.data import Dictionary
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from torch import nn

from ..checkpoints import Checkpoint, build_config
from ..directions import Direction
from ..vocabulary import dictionaries_of

_UNUSED = {"_name", "eval_bleu", "eval_bleu_args"}  # of training: no data are read


@dataclass(frozen=True)
class Restored:
    """A model of one direction in evaluation mode, with its dictionaries.

    Attributes:
        cfg: of fairseq's translation task: where padding stands.
    """

    direction: Direction
    model: nn.Module
    source: Dictionary
    target: Dictionary
    cfg: TranslationConfig


def restore(checkpoint: Checkpoint, data: Optional[str] = None) -> Dict[Direction, Restored]:
    """The models of both directions, primal first.

    Args:
        checkpoint: of a pair.
        data: a folder with the dictionaries, for a checkpoint that contains none.

    Raises `BadInput` if a dictionary is not known, or the parameters do not fit the architecture.
    """
    parts = {direction: checkpoint.direction(direction) for direction in checkpoint.directions}
    dictionaries = dictionaries_of(parts, data)
    return {direction: _restore(direction, part, dictionaries) for direction, part in parts.items()}


def _restore(direction: Direction, part: Checkpoint, dictionaries: Dict[str, Dictionary]) -> Restored:
    names = {field.name for field in fields(TranslationConfig)} - _UNUSED
    cfg = TranslationConfig(**{name: value for name, value in part.task.items() if name in names})
    source, target = dictionaries[direction.source], dictionaries[direction.target]
    model = TranslationTask(cfg, source, target).build_model(build_config(part.model_cfg), from_checkpoint=True)
    part.load_into(model, f"its {direction}")
    return Restored(direction, model.eval(), source, target, cfg)
