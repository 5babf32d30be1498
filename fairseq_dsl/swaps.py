"""Models taken for others: of the other direction or language, twice the same one, or of another dictionary.

Checkpoints may not say what they are of, and joined dictionaries hide it; what they find likely shows it.
"""

import collections
import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqEncoderDecoderModel
from torch import Tensor

from .checkpoints import Checkpoint
from .directions import Direction
from .errors import BadInput

CHECKED_SENTENCES = 200
TRANSLATION_MODEL, LANGUAGE_MODEL = "translation model", "language model"
MARGIN = 0.75
"""Nats per word. Untrained models were measured up to 0.6 below the uniform distribution, or they repeat the symbol
before; models of another dictionary 0.2 to 0.8 below it after 60 updates, 1.2 to 4 after some hundreds, and falling."""
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
            f"{name}: looks like a model of another dictionary or language: log P of a {language} word of the "
            f"training data is {found.rate:.1f} nats, that of equal probability for all {len(dictionary)} symbols "
            f"{uniform:.1f}; expected a model trained with the dictionary of the data folder"
        )


def refuse_swapped(names: Sequence[str], kind: str, what: Sequence[Any], found: Sequence[Sequence[Likelihood]]):
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
            f"{names[0]} and {names[1]} look swapped: log P of a word is {rates[0][0]:.1f} and {rates[1][1]:.1f} "
            f"nats as given, {rates[0][1]:.1f} and {rates[1][0]:.1f} the other way round; expected the {kind} of "
            f"{what[0]}, then that of {what[1]}"
        )
    for i, j in ((0, 1), (1, 0)):
        # Some text is easier for every model: one is of the other language where it is no better than the other model.
        if rates[i][j] > rates[i][i] + MARGIN and rates[i][i] < rates[j][i] + LEAST_ADVANTAGE:
            raise BadInput(
                f"{names[i]}: looks like a {kind} of {what[j]}: log P of a word is {rates[i][j]:.1f} nats there, and "
                f"{rates[i][i]:.1f} for {what[i]}, which it is given for"
            )


def same_parameters(first: Dict[str, Tensor], second: Dict[str, Tensor]) -> bool:
    """Whether two models are one, be it under two names."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def refuse_same(names: Sequence[str], kind: str, what: Sequence[Any]):
    """Refuse one model that was given for two."""
    raise BadInput(
        f"{names[0]} and {names[1]}: are the same model; expected the {kind} of {what[0]} and that of {what[1]}"
    )


def refuse_wrong_marginals(marginals: Mapping[str, Any], sides: Mapping[str, Any]):
    """Refuse one marginal twice, marginals of each other's language, and those of other dictionaries.

    Args:
        marginals: `marginals.Marginal` by language.
        sides: `marginals.Side` by language: the sentences that they are given for.
    """
    languages = list(sides)
    models = [marginals[language] for language in languages]
    names = [model.name for model in models]
    if models[0].is_same_as(models[1]):
        refuse_same(names, LANGUAGE_MODEL, languages)
    limit = min(model.max_length for model in models)
    wanted = sides[languages[0]].wanted
    fits = np.logical_and.reduce([side.sizes[wanted] <= limit for side in sides.values()])
    pairs = wanted[fits][:CHECKED_SENTENCES]
    batches = [pairs[k : k + 20] for k in range(0, len(pairs), 20)]

    def likelihood(model, language):
        found = [model.likelihood([sides[language].sentences[i] for i in batch]) for batch in batches]
        return None if None in found else sum(found, Likelihood())

    own = [likelihood(*pair) for pair in zip(models, languages)]
    if None not in own and len({len(model.dictionary) for model in models}) == 1:  # else each reads one language alone
        other = [likelihood(*pair) for pair in zip(models, reversed(languages))]
        if None not in other:
            refuse_swapped(names, LANGUAGE_MODEL, languages, [[own[0], other[0]], [other[1], own[1]]])
    for model, language, found in zip(models, languages, own):
        if found is not None:
            refuse_other_dictionary(model.name, language, found, model.dictionary)


def refuse_other_language_model(
    marginal: Any, direction: Direction, sources: Sequence[Tensor], targets: Sequence[Tensor]
):
    """Refuse a language model, given for the language that is generated, that finds the sources likelier.

    Args:
        marginal: `marginals.Marginal` of the target language, with the dictionary of both.
        sources, targets: sentences and their translations.
    """
    why = prefers_other_side(marginal, direction.source, targets, sources)
    if why:
        raise BadInput(
            f"{marginal.name}: expected a language model of {direction.target}, found one that {why}; --source-lm and "
            "--target-lm are of the languages of training, whichever direction is translated"
        )


def prefers_other_side(marginal: Any, language: str, own: Sequence[Tensor], other: Sequence[Tensor]) -> Optional[str]:
    """In words, that a marginal finds the other side of sentence pairs likelier than its own; None if it does not.

    Args:
        marginal: `marginals.Marginal`, with the dictionary of both sides.
        language: of the other side.
        own, other: the sentences of both sides, in the same order.
    """
    fits = [pair for pair in zip(own, other) if max(map(len, pair)) <= marginal.max_length]
    if not fits:
        return None
    here, there = (marginal.likelihood(list(side)) for side in zip(*fits))
    if here is None or there is None or there.rate <= here.rate + MARGIN:
        return None
    return f"looks like {language}: log P of a word is {there.rate:.1f} nats there, and {here.rate:.1f} on its own side"


class TranslationModels:
    """Models of both directions of which at least one was read from a checkpoint, which may not tell what it is of.

    Refuses at once what is the same in both directions.

    Args:
        starts: the checkpoint of each direction, or None; primal first.
        dictionaries: the dictionaries of the data, by language.
    """

    def __init__(self, starts: Mapping[Direction, Optional[Checkpoint]], dictionaries: Mapping[str, Dictionary]):
        self.directions = list(starts)
        self.dictionaries = dictionaries
        self.names = {direction: start.name for direction, start in starts.items() if start}
        # Models of other tasks, such as denoising, start to learn either direction, and translate neither.
        read = {key: start for key, start in starts.items() if start and "translation" in (start.task_name or "")}
        self.untold = [key for key, start in read.items() if not start.dictionaries]
        self.unnamed = not all(
            start.task.get("source_lang") and start.task.get("target_lang") for start in read.values()
        )
        if len(read) == 2:
            first, second = read.values()
            if same_parameters(first.parameters, second.parameters):
                refuse_same((first.name, second.name), TRANSLATION_MODEL, list(read))

    @torch.no_grad()
    def check(
        self,
        models: Mapping[Direction, FairseqEncoderDecoderModel],
        batches: Callable[..., Iterable[Dict[Direction, dict]]],
    ):
        """Refuse what their likelihood of sentence pairs shows: another dictionary, or another direction.

        Args:
            models: by direction, in evaluation mode.
            batches: yields batches of at most so many pairs, on a device, as ordinary ones by direction.
        """
        if not self.untold:
            return
        sizes = {len(dictionary) for dictionary in self.dictionaries.values()}
        swappable = self.unnamed and len(sizes) == 1  # else each fits one direction alone
        found: Dict[Tuple[Direction, Direction], Likelihood] = collections.defaultdict(Likelihood)
        device = next(models[self.directions[0]].parameters()).device
        for by_direction in batches(CHECKED_SENTENCES, device):
            for key, batch in by_direction.items():
                for model in self.directions if swappable else [key]:
                    found[model, key] += self._likelihood(models[model], batch, self.dictionaries[key.target])
        if swappable:
            names = [self.names.get(key, f"the {key} model") for key in self.directions]
            square = [[found[model, key] for key in self.directions] for model in self.directions]
            refuse_swapped(names, TRANSLATION_MODEL, self.directions, square)
        for key in self.untold:
            refuse_other_dictionary(self.names[key], key.target, found[key, key], self.dictionaries[key.target])

    @staticmethod
    def _likelihood(model: FairseqEncoderDecoderModel, batch: Dict[str, Any], dictionary: Dictionary) -> Likelihood:
        net_input, target = batch["net_input"], batch["target"]
        lprobs = model.get_normalized_probs(model(**net_input), log_probs=True)
        return Likelihood.of(lprobs, target, net_input["prev_output_tokens"], dictionary)


def refuse_other_text(name: str, languages: Sequence[str], sentences: Tensor, sides: Sequence[Tensor], size: int):
    """A joined dictionary hides text of the wrong language: see which side's words its sentences are made of.

    Args:
        name: of the text, which is given for the first language.
        languages: the two.
        sentences: the text's first symbols.
        sides: of the first sentences of the parallel data in each language, the symbols.
        size: of the dictionary.
    """
    own, other = (float(_log_frequencies(side, size)[sentences].sum()) for side in sides)
    if other > own:
        raise BadInput(
            f"{name}: expected {languages[0]} text, found text that looks like {languages[1]}: by the word "
            f"frequencies of the parallel data, log P of its first sentences is {own:.0f} nats as {languages[0]} and "
            f"{other:.0f} as {languages[1]}; --source-mono is text of the source language, --target-mono of the target "
            "language"
        )


def _log_frequencies(symbols: Tensor, size: int) -> Tensor:
    """log of each symbol's relative frequency, in nats, with add-one smoothing."""
    counts = torch.bincount(symbols, minlength=size) + 1
    return (counts.double() / counts.sum()).log()
