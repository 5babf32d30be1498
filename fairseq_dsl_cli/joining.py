"""Two translation checkpoints that make a pair."""

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import check_architecture

from . import kinds


def models_of(paths, said=None):
    """Returns the two checkpoints by their direction, primal first; `said` is the primal one, as the flags have it."""
    checkpoints = [_plain_translation_model(path) for path in paths]
    expected = [said, said and said.reversed]
    primal, dual = (_direction(*each) for each in zip(checkpoints, expected))
    if dual != primal.reversed:
        both = "both translate" if primal == dual else f"translate {primal} and"
        raise BadInput(
            f"{' and '.join(paths)}: {both} {dual}; expected one checkpoint of a direction and one of its reverse"
        )
    return dict(zip((primal, dual), checkpoints))


def _plain_translation_model(path):
    checkpoint = Checkpoint(path, "checkpoint")
    if checkpoint.pair or kinds.is_language_model(checkpoint):
        hint = "; fairseq-dsl export writes one direction of a pair" if checkpoint.pair else ""
        raise BadInput(
            f"{checkpoint.name}: expected an ordinary translation model, found {kinds.description(checkpoint)}{hint}"
        )
    check_architecture(checkpoint.model_cfg.get("_name") or checkpoint.model_cfg.get("arch"), f"{checkpoint.name}:")
    return checkpoint


def _direction(checkpoint, said):
    languages = [checkpoint.task.get(f"{side}_lang") for side in ("source", "target")]
    if not all(languages):
        if said is None:
            raise BadInput(
                f"{checkpoint.name}: does not say which languages it translates; expected --source-lang and "
                "--target-lang, those of the first checkpoint"
            )
        return said
    found = Direction(*languages)
    if said not in (None, found):
        raise BadInput(f"{checkpoint.name}: translates {found}, but by --source-lang and --target-lang {said}")
    return found
