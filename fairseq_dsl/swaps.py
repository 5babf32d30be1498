"""Models taken for others: of the other direction or language, twice the same one, or of another dictionary.

Checkpoints may not say what they are of, and joined dictionaries hide it; what they find likely shows it.
"""

import collections
import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from fairseq.data import Dictionary
from torch import Tensor

from .checkpoints import Checkpoint
from .errors import BadInput

CHECKED_SENTENCES = 200
KIND = "translation model"
MARGIN = 0.75
"""Nats a word. Untrained models were measured up to 0.6 below the uniform distribution, or they repeat the symbol before;
models of another dictionary 0.2 to 0.8 below it after 60 updates, 1.2 to 4 after some hundreds, and falling."""
LEAST_ADVANTAGE = 0.1  # nats a word, of a model over another one on what the first is given for


@dataclass
class Likelihood:
    """How likely a model finds the words of some sentences; without special symbols, which all dictionaries share.

    Attributes:
        log_prob: log P of the words, summed, in nats.
        words: how many they are.
        repeated: at how many of them the model's first choice is the symbol before. Some models do so before they have
            learnt anything: it is no sign of another dictionary.
    """

    log_prob: float = 0.0
    words: int = 0
    repeated: int = 0

    @classmethod
    def of(cls, lprobs: Tensor, target: Tensor, previous: Tensor, dictionary: Dictionary) -> "Likelihood":
        """Of a batch: log-probabilities ``(sentences, length, vocabulary)``, targets and the decoder's input."""
        word = target.ge(dictionary.nspecial)
        gold = lprobs.gather(-1, target.unsqueeze(-1)).squeeze(-1)[word]
        repeated = lprobs.argmax(-1).eq(previous)[word]
        return cls(gold.double().sum().item(), int(word.sum()), int(repeated.sum()))

    def __add__(self, other: "Likelihood") -> "Likelihood":
        return Likelihood(self.log_prob + other.log_prob, self.words + other.words, self.repeated + other.repeated)

    @property
    def rate(self) -> float:
        """log P of a word, in nats."""
        return self.log_prob / max(self.words, 1)


def refuse_other_dictionary(name: str, language: str, found: Likelihood, dictionary: Dictionary):
    """Refuse a model that says less about the words than no model at all."""
    uniform = -math.log(len(dictionary))
    if found.rate < uniform - MARGIN and found.repeated < found.words / 2:
        raise BadInput(
            f"{name}: looks like a model of another dictionary or language: log P of a {language} word of the training data "
            f"is {found.rate:.1f} nats, that of equal probability for all {len(dictionary)} symbols {uniform:.1f}; expected a "
            "model trained with the dictionary of the data folder"
        )


def refuse_swapped(names: Sequence[str], kind: str, what: Sequence[str], found: Sequence[Sequence[Likelihood]]):
    """Refuse two models given for one another, or one that is of what the other is of.

    Args:
        names: of the two models.
        kind: what both are, for messages, such as "language model".
        what: they are given for, such as languages.
        found: ``found[i][j]`` is what model i says of the sentences that model j is given for.
    """
    rates = [[likelihood.rate for likelihood in row] for row in found]
    given, swapped = rates[0][0] + rates[1][1], rates[0][1] + rates[1][0]
    if swapped > given + LEAST_ADVANTAGE:
        raise BadInput(
            f"{names[0]} and {names[1]} look swapped: log P of a word is {rates[0][0]:.1f} and {rates[1][1]:.1f} nats as "
            f"given, {rates[0][1]:.1f} and {rates[1][0]:.1f} the other way round; expected the {kind} of {what[0]}, then "
            f"that of {what[1]}"
        )
    for i, j in ((0, 1), (1, 0)):
        # Some text is easier for every model: one is of the other language where it is no better than the other model.
        if rates[i][j] > rates[i][i] + MARGIN and rates[i][i] < rates[j][i] + LEAST_ADVANTAGE:
            raise BadInput(
                f"{names[i]}: looks like a {kind} of {what[j]}: log P of a word is {rates[i][j]:.1f} nats there, and "
                f"{rates[i][i]:.1f} for {what[i]}, which it is given for"
            )


def refuse_same_parameters(
    names: Sequence[str], kind: str, what: Sequence[str], first: Dict[str, Tensor], second: Dict[str, Tensor]
):
    """Refuse one model given for two, be it under two names."""
    if first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first):
        raise BadInput(
            f"{names[0]} and {names[1]}: are the same model; expected the {kind} of {what[0]} and that of {what[1]}"
        )


class TranslationModels:
    """Models of both directions of which at least one was read from a checkpoint, which may not tell what it is of.

    Refuses at once what is the same in both directions.

    Args:
        starts: the checkpoint of each direction, or None.
        languages: the (source, target) of each direction.
        dictionaries: the dictionaries of the data, by language.
    """

    def __init__(
        self,
        starts: Dict[str, Optional[Checkpoint]],
        languages: Dict[str, Tuple[str, str]],
        dictionaries: Dict[str, Dictionary],
    ):
        self.languages = languages
        self.dictionaries = dictionaries
        # Models of other tasks, such as denoising, start to learn either direction, and translate neither.
        starts = {key: start for key, start in starts.items() if start and "translation" in (start.task_name or "")}
        self.names = {key: start.name for key, start in starts.items()}
        self.untold = [key for key, start in starts.items() if not start.dictionaries]
        named = (start.task.get("source_lang") and start.task.get("target_lang") for start in starts.values())
        self.unnamed = not all(named)
        if len(starts) == 2:
            first, second = starts.values()
            refuse_same_parameters((first.name, second.name), KIND, tuple(starts), first.parameters, second.parameters)

    @torch.no_grad()
    def check(self, models: Dict[str, nn.Module], batches: Callable[..., Iterable[Dict[str, Dict[str, Any]]]]):
        """Refuse what their likelihood of sentence pairs shows: another dictionary, or another direction.

        Args:
            models: by direction, in evaluation mode.
            batches: yields so many pairs, where the models are, as ordinary batches by direction.
        """
        if not self.untold:
            return
        sizes = {len(dictionary) for dictionary in self.dictionaries.values()}
        swappable = self.unnamed and len(sizes) == 1  # else each fits one direction alone
        first, second = self.languages
        found: Dict[Tuple[str, str], Likelihood] = collections.defaultdict(Likelihood)
        for by_direction in batches(CHECKED_SENTENCES, models):
            for key, batch in by_direction.items():
                for name in (first, second) if swappable else (key,):
                    found[name, key] += self._likelihood(models[name], batch, self._target_dictionary(key))
        if swappable:
            names = [self.names.get(key, f"the {key} model") for key in (first, second)]
            square = [[found[name, key] for key in (first, second)] for name in (first, second)]
            refuse_swapped(names, KIND, (first, second), square)
        for key in self.untold:
            refuse_other_dictionary(self.names[key], self.languages[key][1], found[key, key], self._target_dictionary(key))

    def _target_dictionary(self, direction: str) -> Dictionary:
        return self.dictionaries[self.languages[direction][1]]

    @staticmethod
    def _likelihood(model: nn.Module, batch: Dict[str, Any], dictionary: Dictionary) -> Likelihood:
        net_input, target = batch["net_input"], batch["target"]
        lprobs = model.get_normalized_probs(model(**net_input), log_probs=True)
        return Likelihood.of(lprobs, target, net_input["prev_output_tokens"], dictionary)
