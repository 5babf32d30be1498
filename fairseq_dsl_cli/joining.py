"""Two translation checkpoints that make a pair, and the dictionaries of both."""

import logging
import os

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import check_architecture
from fairseq_dsl.vocabulary import load_dictionary, vocabulary_difference

from . import kinds

logger = logging.getLogger(__name__)


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


def dictionaries_of(models, data=None):
    """Returns the dictionaries of two models by language.

    All that are known are held together: those that the checkpoints contain, those of the folder `data`, and, of a
    checkpoint without, those of the data folder of its training. Raises `BadInput` where two differ, or none is known.
    """
    return {language: _dictionary(language, models, data) for language in (direction.source for direction in models)}


def _dictionary(language, models, data):
    file_name = f"dict.{language}.txt"
    known = [(one.name, one.dictionaries[language]) for one in models.values() if language in one.dictionaries]
    if data is not None:
        path = os.path.join(data, file_name)
        if not os.path.isfile(path):
            raise BadInput(f"--data {data}: contains no {file_name}")
        known.append((f"--data {path}", load_dictionary(path)))
    for checkpoint in models.values():
        if language in checkpoint.dictionaries:
            continue
        own = checkpoint.own_dictionary(file_name)
        if own is not None:
            known.append((f"the {file_name} of {checkpoint.name}", own))
        elif known:
            logger.warning(
                f"{checkpoint.name}: cannot tell whether it was trained with the {language} dictionary of "
                f"{known[0][0]}: it contains none, and its data folder ({checkpoint.task.get('data')}) was not found"
            )
    if not known:
        paths = " and ".join(checkpoint.path for checkpoint in models.values())
        raise BadInput(
            f"{paths}: contain no {language} dictionary, and {file_name} is neither beside them nor in their data "
            "folders; expected --data DATA_BIN, a folder that contains it"
        )
    (place, dictionary), *others = known
    for other, found in others:
        difference = vocabulary_difference(dictionary, found)
        if difference:
            raise BadInput(f"{other}: expected the {language} dictionary of {place}, found another: {difference} here")
    for direction, checkpoint in models.items():
        side = "encoder" if language == direction.source else "decoder"
        rows = checkpoint.parameters.get(f"{side}.embed_tokens.weight")
        if rows is not None and len(rows) != len(dictionary):
            raise BadInput(
                f"{checkpoint.name}: expected a model with the {len(dictionary)} symbols of the {language} dictionary "
                f"of {place}, found one with {len(rows)}"
            )
    return dictionary
