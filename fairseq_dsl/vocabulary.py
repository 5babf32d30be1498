"""The dictionaries that a model was trained with, stored in its checkpoint so that it is never used with others.

fairseq pads dictionaries to multiples of 8: a data folder that was made again often has one of the same size in another
order, and a model loaded with it outputs garbage without an error.
"""

import itertools
import logging
import os
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import torch
import torch.nn as nn
from fairseq.data import Dictionary
from torch import Tensor

from .errors import BadInput, first_line

logger = logging.getLogger(__name__)

NAME = "dictionaries"
"""In a pair's state, the prefix of keys such as ``dictionaries.de``; in an exported checkpoint, a key."""


class Dictionaries(nn.Module):
    """The dictionaries of a pair of models, by language, as part of its state.

    Each is stored under its language as a tensor of `encode`. They are neither parameters nor buffers, so that nothing
    trains, casts or broadcasts them. Loading a state compares them, and raises `BadInput` if one differs.

    Args:
        folder: their data folder, for messages.
    """

    def __init__(self, dictionaries: Dict[str, Dictionary], folder: str):
        super().__init__()
        self.dictionaries = dictionaries
        self.folder = folder

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination.update({prefix + language: encode(symbols) for language, symbols in self.dictionaries.items()})

    def _load_from_state_dict(self, state_dict, prefix, *args):
        stored = {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}
        if not stored:
            logger.warning(
                f"cannot tell whether the checkpoint was trained with the dictionaries of {self.folder}: it "
                "contains none, like all checkpoints of version 0.2"
            )
            return
        if stored.keys() != self.dictionaries.keys():
            raise BadInput(
                f"expected a checkpoint of {' and '.join(self.dictionaries)}, found one of {' and '.join(stored)}"
            )
        for language, symbols in self.dictionaries.items():
            difference = vocabulary_difference(decode(stored[language]), symbols)
            if difference:
                raise BadInput(
                    f"{os.path.join(self.folder, f'dict.{language}.txt')}: the checkpoint was trained with another "
                    f"{language} dictionary: {difference} here; binarize with the same one (--srcdict, --tgtdict)"
                )


def load_dictionary(path: str) -> Dictionary:
    """Load a dictionary; `BadInput` names the file if fairseq cannot read it."""
    try:
        dictionary = Dictionary.load(path)
    except Exception as error:  # a different kind for each fault: not UTF-8, no counts, a repeated symbol
        raise BadInput(
            f"{path}: not a dictionary of fairseq ({first_line(error)}); run fairseq-preprocess again"
        ) from error
    if len(dictionary) == dictionary.nspecial:
        raise BadInput(f"{path}: contains no words; run fairseq-preprocess again")
    return dictionary


def carried_by(state: Dict[str, Any]) -> Dict[str, Dictionary]:
    """The dictionaries in a checkpoint's state, by language; empty if it is neither a pair's nor exported from one."""
    exported = state.get(NAME)
    carried = {}
    if isinstance(exported, dict):
        carried = {language: dictionary_of(symbols) for language, symbols in exported.items()}
    for key, value in (state.get("model") or {}).items():
        if key.startswith(f"{NAME}."):
            carried[key[len(NAME) + 1 :]] = decode(value)
    return carried


class CarryingParameters(dict):
    """A translation model's parameters by name, with the dictionaries that the model was trained with.

    Args:
        state: of a checkpoint that was exported from a pair.
        path: the file, for messages.
    """

    def __init__(self, state: Dict[str, Any], path: str):
        super().__init__(state["model"])
        self.path = path
        # the source language comes first
        self.trained_with = dict(zip(("encoder", "decoder"), carried_by(state).items()))

    def refuse_other_dictionaries(self, model: nn.Module):
        """Refuse a model whose encoder or decoder has another dictionary."""
        for side, (language, own) in self.trained_with.items():
            other = getattr(getattr(model, side, None), "dictionary", None)
            difference = other is not None and vocabulary_difference(own, other)
            if difference:
                raise BadInput(
                    f"{self.path}: the {side} was trained with another dictionary, of {language}: {difference} in the "
                    "data folder; expected the model's direction (-s, -t) and its dictionaries (--srcdict, --tgtdict)"
                )


def encode(dictionary: Dictionary) -> Tensor:
    """A dictionary's symbols in order, one per line, as character codes: ``(characters,)``, int32.

    int32 is wide enough for tools that average checkpoints by summing and dividing to give the same codes back.
    """
    text = "\n".join(dictionary.symbols)
    return torch.from_numpy(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<i4").copy())


def decode(characters: Tensor) -> Dictionary:
    """The dictionary that `encode` stored; `BadInput` if it is damaged."""
    try:
        text = (
            characters.cpu().numpy().astype("<i4", casting="same_kind").tobytes().decode("utf-32-le", "surrogatepass")
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"the dictionaries in the checkpoint are damaged: {error}") from error
    return dictionary_of(text.split("\n"))


def dictionary_of(symbols: List[str]) -> Dictionary:
    """The dictionary of these symbols in order, the first four being the special ones; without their counts."""
    if len(symbols) < 4 or not all(isinstance(symbol, str) for symbol in symbols):
        raise BadInput("the dictionaries in the checkpoint are damaged: expected the symbols of each language")
    bos, pad, eos, unk, *words = symbols
    dictionary = Dictionary(bos=bos, pad=pad, eos=eos, unk=unk)
    for word in words:
        dictionary.add_symbol(word, overwrite=True)  # even a repeated word has a place of its own
    return dictionary


def vocabulary_difference(found: Dictionary, expected: Dictionary) -> Optional[str]:
    """The first symbol in which two dictionaries differ, in words; None if they are the same."""
    symbols = itertools.zip_longest(found.symbols, expected.symbols)
    differences = (f"symbol {i} is {a!r} there and {b!r}" for i, (a, b) in enumerate(symbols) if a != b)
    return next(differences, None)


def dictionaries_of(models: Mapping[Any, Any], data: Optional[str] = None) -> Dict[str, Dictionary]:
    """The dictionaries of two models by language.

    All that are known are held together: those that the checkpoints contain, those of the folder `data`, and, of a
    checkpoint without, those of the data folder of its training. Raises `BadInput` where two differ, or none is known.

    Args:
        models: the `Checkpoint` of each `Direction`.
        data: the folder of ``--data``.
    """
    return {direction.source: _dictionary_of_all(direction.source, models, data) for direction in models}


def _dictionary_of_all(language: str, models: Mapping[Any, Any], data: Optional[str]) -> Dictionary:
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
        *others, last = dict.fromkeys(checkpoint.path for checkpoint in models.values())  # a pair's is one
        contain = f"{' and '.join([*others, last])}: contain{'' if others else 's'}"
        raise BadInput(
            f"{contain} no {language} dictionary, and {file_name} is neither in the same folder nor in the data folder "
            "of training; expected --data DATA_BIN, a folder that contains it"
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
