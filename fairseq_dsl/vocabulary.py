"""The dictionaries that a model was trained with: a checkpoint carries them, so that no other one is taken for them.

fairseq pads dictionaries to multiples of 8: a data folder made anew often has one of the same size in another order,
and a model that is read with it gives garbage, without an error.
"""

import itertools
import logging
import os
from typing import Any, Dict, List, Optional

import numpy as np
import torch
import torch.nn as nn
from fairseq.data import Dictionary
from torch import Tensor

from .errors import BadInput, first_line

logger = logging.getLogger(__name__)

NAME = "dictionaries"
"""In the state of a pair, of keys such as ``dictionaries.de``; in an exported checkpoint, of the symbols by language."""


class Dictionaries(nn.Module):
    """The dictionaries of a pair of models, by language, as a part of its state.

    Stored as ``<language>``, each a tensor of `encode`. They are neither parameters nor buffers: nothing trains, casts
    or broadcasts them. Loading a state compares them, and raises `BadInput` where one is another.

    Args:
        folder: the data folder that they are of, for messages.
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
                "the checkpoint carries no dictionaries, as those of version 0.2 do not: whether it was trained with "
                f"those of {self.folder} is not known"
            )
            return
        if stored.keys() != self.dictionaries.keys():
            raise BadInput(
                f"the checkpoint is of the languages {' and '.join(stored)}, expected {' and '.join(self.dictionaries)}"
            )
        for language, symbols in self.dictionaries.items():
            difference = vocabulary_difference(decode(stored[language]), symbols)
            if difference:
                raise BadInput(
                    f"{os.path.join(self.folder, f'dict.{language}.txt')}: the checkpoint was trained with another "
                    f"{language} dictionary: {difference} here; binarize with the same dictionary (--srcdict, --tgtdict)"
                )


def load_dictionary(path: str) -> Dictionary:
    """A dictionary; `BadInput` names the file where fairseq cannot read it."""
    try:
        dictionary = Dictionary.load(path)
    except Exception as error:  # of a kind for each fault: not UTF-8, without counts, a symbol twice
        raise BadInput(f"{path}: not a dictionary of fairseq ({first_line(error)}); run fairseq-preprocess again") from error
    if len(dictionary) == dictionary.nspecial:
        raise BadInput(f"{path}: contains no word; run fairseq-preprocess again")
    return dictionary


def carried_by(state: Dict[str, Any]) -> Dict[str, Dictionary]:
    """The dictionaries in a checkpoint's state, by language; none if it is neither a pair's nor exported from one."""
    exported = state.get(NAME) if isinstance(state.get(NAME), dict) else {}
    carried = {language: dictionary_of(symbols) for language, symbols in exported.items()}
    for key, value in (state.get("model") or {}).items():
        if key.startswith(f"{NAME}."):
            carried[key[len(NAME) + 1 :]] = decode(value)
    return carried


class CarryingParameters(dict):
    """A translation model's parameters by name, with the dictionaries that the model was trained with.

    Args:
        state: of a checkpoint that was exported from a pair.
        path: its file, for messages.
    """

    def __init__(self, state: Dict[str, Any], path: str):
        super().__init__(state["model"])
        self.path = path
        self.trained_with = dict(zip(("encoder", "decoder"), carried_by(state).items()))  # the source's is first

    def refuse_other_dictionaries(self, model: nn.Module):
        """Refuse a model whose encoder or decoder has another dictionary."""
        for side, (language, own) in self.trained_with.items():
            there = getattr(getattr(model, side, None), "dictionary", None)
            difference = there is not None and vocabulary_difference(own, there)
            if difference:
                raise BadInput(
                    f"{self.path}: the {side} was trained with another dictionary, of {language}: {difference} in the data "
                    "folder; expected the model's direction, and its dictionaries (--srcdict, --tgtdict)"
                )


def encode(dictionary: Dictionary) -> Tensor:
    """A dictionary's symbols in order, one a line, as the numbers of their characters: ``(characters,)``, int32.

    So wide that tools which average checkpoints by dividing sums get them back.
    """
    text = "\n".join(dictionary.symbols)
    return torch.from_numpy(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<i4").copy())


def decode(characters: Tensor) -> Dictionary:
    """The dictionary that `encode` wrote; `BadInput` where it is damaged."""
    try:
        text = characters.cpu().numpy().astype("<i4", casting="same_kind").tobytes().decode("utf-32-le", "surrogatepass")
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"the dictionaries in the checkpoint are damaged: {error}") from error
    return dictionary_of(text.split("\n"))


def dictionary_of(symbols: List[str]) -> Dictionary:
    """The dictionary of these symbols in order, of which the first four are the special ones; its counts are unknown."""
    if len(symbols) < 4 or not all(isinstance(symbol, str) for symbol in symbols):
        raise BadInput("the dictionaries in the checkpoint are damaged: expected the symbols of each language")
    bos, pad, eos, unk, *words = symbols
    dictionary = Dictionary(bos=bos, pad=pad, eos=eos, unk=unk)
    for word in words:
        dictionary.add_symbol(word, overwrite=True)  # at a place of its own
    return dictionary


def vocabulary_difference(found: Dictionary, wanted: Dictionary) -> Optional[str]:
    """The first symbol in which two dictionaries differ, in words; None where they are the same."""
    symbols = itertools.zip_longest(found.symbols, wanted.symbols)
    differences = (f"symbol {i} is {a!r} there and {b!r}" for i, (a, b) in enumerate(symbols) if a != b)
    return next(differences, None)
