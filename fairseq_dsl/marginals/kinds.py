"""The kinds of marginals, and those that the flags name."""

import filecmp
import os
from typing import Dict, Mapping, Optional, Sequence, Type

import torch
from fairseq.data import Dictionary

from ..errors import BadInput
from .given import GivenScores
from .kenlm import KenLMMarginal
from .marginal import Marginal
from .neural import NeuralMarginal

KINDS: Sequence[Type[Marginal]] = (GivenScores, KenLMMarginal, NeuralMarginal)
"""The first that reads what a flag names is taken."""


def marginals_of(
    given: Mapping[str, Optional[str]],
    languages: Sequence[str],
    dictionaries: Mapping[str, Dictionary],
    device: torch.device,
) -> Dict[str, Marginal]:
    """The marginals of both languages that the flags name, by language; none where no flag is given.

    Args: as of `given_marginals`.
    """
    named = {flag: path for flag, path in given.items() if path}
    if not named:
        return {}
    for flag in given:
        if flag not in named:
            raise BadInput(
                f"{flag} is missing: the duality gap requires both language models, found {' '.join(named)} alone"
            )
    first, second = named.values()
    if os.path.isfile(first) and os.path.isfile(second) and filecmp.cmp(first, second, shallow=False):
        names = " and ".join(f"{flag} {path}" for flag, path in named.items())
        raise BadInput(
            f"{names}: are the same file, or its copy; expected the language model of {' and that of '.join(languages)}"
        )
    return given_marginals(named, languages, dictionaries, device)


def given_marginals(
    given: Mapping[str, Optional[str]],
    languages: Sequence[str],
    dictionaries: Mapping[str, Dictionary],
    device: torch.device,
) -> Dict[str, Marginal]:
    """The marginals that the flags name, by language.

    Args:
        given: the value of each flag, in the order of the languages; either may be missing.
        dictionaries: by language.
        device: where they compute.
    """
    found = {}
    for (flag, path), language in zip(given.items(), languages):
        if path:
            kind = next(kind for kind in KINDS if kind.reads(path))
            found[language] = kind(path, flag, language, dictionaries[language], device)
    return found
