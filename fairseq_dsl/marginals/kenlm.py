"""KenLM's n-gram models as marginals."""

import importlib.util
import logging
import math
import sys
from typing import Any, List, Optional

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from ..errors import BadInput
from ..files import content_digest
from ..swaps import Likelihood
from .marginal import Marginal

logger = logging.getLogger(__name__)

BINARY = b"mmap lm http://kheafield.com/code"  # the beginning of what build_binary writes
ARPA = (".arpa", ".arpa.gz")
UNKNOWN = "<unk>"
NO_PROBABILITY = -99  # log10: that of words without one in ARPA files; KenLM itself takes -100
LEAST_KNOWN, FEW_KNOWN = 0.1, 0.5  # shares of the dictionary's symbols; a joined dictionary has those of two languages


class KenLMMarginal(Marginal):
    """An n-gram model: an ARPA file, or what KenLM's ``build_binary`` made of one.

    Its words are the dictionary's symbols: it is of text that was segmented as the translation data. ``<s>`` stands
    before the first word alone. Symbols that it does not know, ``<unk>``, and ``<s>`` within a sentence have the
    probability of its ``<unk>``, each of them: these probabilities may add up to more than one. `BadInput` is raised
    where it knows too few of the symbols, or has no probability for one that a sentence contains.
    """

    max_length = sys.maxsize

    def __init__(self, path: str, flag: str, language: str, dictionary: Dictionary, device: torch.device):
        super().__init__(path, flag, language, dictionary, device)
        self._loaded: Any = None
        self.require_file("an n-gram model: an ARPA file, or a binary of KenLM")
        if importlib.util.find_spec("kenlm") is None:
            raise BadInput(f'{self.name}: requires the package kenlm: pip install "fairseq_dsl[kenlm]"')

    @classmethod
    def reads(cls, path: str) -> bool:
        return path.endswith(ARPA) or _begins_with(path, BINARY)

    @property
    def refuses_samples(self) -> Optional[str]:
        return f"has no probability for {UNKNOWN}" if self._is_closed else None

    def fingerprint(self) -> bytes:
        return b"1 " + "\n".join(self.dictionary.symbols).encode() + content_digest(self.path)

    def release(self):
        self._loaded = None

    @property
    def _model(self) -> Any:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        import kenlm  # an optional package

        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            model = kenlm.Model(self.path, config)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error.__cause__ or error).split()).rpartition(" threw ")[-1]  # which of its own code
            raise BadInput(f"{self.name}: expected an n-gram model, found what KenLM cannot read ({reason})") from error
        words = [symbol for symbol in self.dictionary.symbols[self.dictionary.nspecial :] if not _is_made_up(symbol)]
        unknown = [word for word in words if word not in model]
        share = 1 - len(unknown) / max(len(words), 1)
        found = f"knows {share:.0%} of the {len(words):,} symbols of the {self.language} dictionary"
        if share < LEAST_KNOWN:
            raise BadInput(
                f"{self.name}: {found}, and not {unknown[0]!r}; expected a model of text that was segmented as the "
                "translation data"
            )
        if share < FEW_KNOWN:
            logger.warning(f"{self.name}: {found}; the others are {UNKNOWN} to it")
        return model

    @property
    def _is_closed(self) -> bool:
        [(log10, _, _)] = self._model.full_scores(UNKNOWN, bos=False, eos=False)
        return log10 <= NO_PROBABILITY

    def likelihood(self, sentences: List[Tensor]) -> Optional[Likelihood]:
        return None if self._is_closed else super().likelihood(sentences)

    def _score(self, sentences: List[Tensor]) -> np.ndarray:
        return np.array([self._log_prob(sentence.tolist()) for sentence in sentences]) * math.log(10)

    def _log_prob(self, sentence: List[int]) -> float:
        """log10 P of a sentence; KenLM's own sum is in float32."""
        special = self.dictionary.nspecial
        words = [self.dictionary[symbol] if symbol >= special else UNKNOWN for symbol in sentence[:-1]]
        found = list(self._model.full_scores(" ".join(words)))
        unknown = [word for word, (_, _, is_unknown) in zip(words, found) if is_unknown]
        if unknown and self._is_closed:
            raise BadInput(
                f"{self.name}: has no probability for {unknown[0]!r}, nor for unknown words ({UNKNOWN}); expected a "
                f"model of all symbols of the {self.language} text, or one with an open vocabulary"
            )
        return sum(log10 for log10, _, _ in found)


def _begins_with(path: str, beginning: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(beginning)) == beginning
    except OSError:
        return False


def _is_made_up(symbol: str) -> bool:
    """Whether fairseq added it to have a multiple of 8 symbols."""
    return symbol.startswith("madeupword")
