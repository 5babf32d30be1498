"""What a term may know of the data and of the task."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Protocol, Tuple

import torch
from fairseq.data import Dictionary
from torch import Tensor, nn

from ..directions import Direction, TrainedDirections
from ..marginals import Marginal
from ..sampling import pair_up
from ..swaps import TranslationModels


class Pair(Protocol):
    """What a term may do with the models that are trained: those of `models.DualTranslationModel`, maybe wrapped.

    Attributes:
        models: by the name of their direction.
        critics: by language; those that the terms asked for.
    """

    @property
    def models(self) -> Mapping[str, Any]: ...

    @property
    def critics(self) -> Mapping[str, Any]: ...

    def __call__(
        self, inputs: Dict[str, List[Dict[str, Any]]], texts: Optional[Mapping[str, Tensor]] = None
    ) -> Dict[str, Any]:
        """The outputs of each direction's model for each of its inputs, the ``net_input`` of fairseq's batches.

        With texts, ``critics`` in it are the logits of each language's critic.
        """


@dataclass(frozen=True)
class Resources:
    """All that a term may know of the data and of the task, beside its own flags.

    Attributes:
        criterion: the name that ``--criterion`` gave, for messages.
        directions: those that are trained, primal first.
        dictionaries: by language; padding and end-of-sentence symbols are the same in all.
        flags: of fairseq's translation task: where padding stands, what validation's BLEU sees.
        marginals: by language; empty without language models.
        monolingual: the languages that monolingual text is given of.
        longest: the longest sentence of a language, in tokens, that all who read it allow, and the flags.
        frozen_pair: loads the models that a flag names, by direction, and what they were started from.
        as_pair: the model that a criterion is called with, as a pair.
    """

    criterion: str
    directions: TrainedDirections
    dictionaries: Mapping[str, Dictionary]
    flags: Any
    marginals: Mapping[str, Marginal]
    monolingual: Iterable[str]
    longest: Callable[[str], int]
    frozen_pair: Callable[[str], Tuple[Mapping[Direction, nn.Module], TranslationModels]]
    as_pair: Callable[[Any], Pair] = lambda model: model

    @property
    def pad(self) -> int:
        return next(iter(self.dictionaries.values())).pad()

    @property
    def eos(self) -> int:
        return next(iter(self.dictionaries.values())).eos()

    def batch(self, sources: List[Tensor], targets: List[Tensor], device: torch.device) -> dict:
        """A translation batch of sentences; its ``id`` says where each row stood."""
        return pair_up(sources, targets, self.flags, next(iter(self.dictionaries.values())), device)
