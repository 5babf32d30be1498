"""What a pair and two language models say of sentence pairs that are given."""

import math
from dataclasses import dataclass, fields
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from ..checkpoints import Checkpoint
from ..directions import Direction, Directions
from ..errors import BadInput
from ..marginals import Marginal, given_marginals, marginals_of
from ..models import restore
from ..objectives import dual_cross_entropy, duality_gap
from ..swaps import MARGIN, prefers_other_side
from .forced import ForcedDecoder, Item, each, marginals
from .segmentation import Encoder, encoders_of

MAX_TOKENS = 4096  # of a batch
LONGEST_CHECKED = 64  # tokens of a sentence by which language models are told
MANY_UNKNOWN = 0.1  # of the tokens: then the text is hardly that of the dictionaries

Sentence = Union[str, Tensor]
"""A text, or its symbols with the end-of-sentence symbol."""


@dataclass(frozen=True)
class PairScore:
    """The scores of a pair (x, y), in nats; nan where one is not known, as the reason says.

    Attributes:
        source_length, target_length: |x| and |y|, in tokens with the end-of-sentence symbol.
        forward, reverse: log P(y|x), log P(x|y).
        source_lm, target_lm: log P(x), log P(y).
        gap: of duality.
        cross_entropy: `objectives.dual_cross_entropy`, nats per token.
        score: exp of minus it, from 0 to 1.
        unknown: how many symbols of x and y are not in the dictionaries.
        reason: why a score is missing, be it of an empty or too long sentence; empty where all that are asked for are
            there.
    """

    source_length: int
    target_length: int
    forward: float
    reverse: float
    source_lm: float
    target_lm: float
    gap: float
    cross_entropy: float
    score: float
    unknown: int
    reason: str


COLUMNS = tuple(field.name for field in fields(PairScore))
SCORES = tuple(field.name for field in fields(PairScore) if field.type is float)


class PairScorer:
    """Scores sentence pairs by both directions of a pair and by marginals; x is of the primal direction's source.

        >>> scorer = PairScorer.load("dual.pt", source_lm="lm.de.pt", target_lm="lm.en.pt")  # doctest: +SKIP
        >>> scorer.score([("Ein Hund läuft .", "A dog runs .")])[0].score  # doctest: +SKIP
        0.47

    Args:
        decoders: of each direction, primal first.
        dictionaries: by language.
        marginals: those that there are, by language.
        device: where the models are.
        encoders: by language: makes of a text words of the dictionary with spaces between them; without one the text
            is taken as it is.
        max_tokens: of a batch.
    """

    def __init__(
        self,
        decoders: Mapping[Direction, ForcedDecoder],
        dictionaries: Mapping[str, Dictionary],
        marginals: Mapping[str, Marginal],
        device: torch.device,
        encoders: Mapping[str, Optional[Encoder]],
        max_tokens: int = MAX_TOKENS,
    ):
        primal, dual = decoders
        self.directions = Directions(primal, active=primal)
        self.decoders = decoders
        self.dictionaries = dictionaries
        self.marginals = marginals
        self.device = device
        self.encoders = encoders
        self.max_tokens = max_tokens
        forward, reverse = decoders[primal], decoders[dual]
        self.longest = (
            min(forward.longest_source, reverse.longest_target),
            min(forward.longest_target, reverse.longest_source),
        )

    @classmethod
    def load(
        cls,
        path: str,
        data: Optional[str] = None,
        source_lm: Optional[str] = None,
        target_lm: Optional[str] = None,
        bpe: Optional[str] = None,
        sentencepiece_model: Union[str, Sequence[str], None] = None,
        device: Union[str, torch.device] = "cpu",
        max_tokens: int = MAX_TOKENS,
    ) -> "PairScorer":
        """Of the checkpoint of a pair, with the dictionaries that it carries.

        Args:
            data: a folder with the dictionaries of a checkpoint that carries none.
            source_lm, target_lm: what ``--source-lm`` and ``--target-lm`` name; either may be missing.
            bpe: ``sentencepiece``, for text that is not segmented.
            sentencepiece_model: the file of its model, or those of source and target.

        Raises `BadInput` where the files do not fit each other.
        """
        device = torch.device(device)
        checkpoint = Checkpoint(path, "--path")
        if not checkpoint.pair:
            raise BadInput(f"{checkpoint.name}: expected a pair, found one model; fairseq-dsl join makes a pair of two")
        models = restore(checkpoint, data)
        primal = next(iter(models))
        languages = primal.source, primal.target
        encoders = dict(zip(languages, encoders_of(bpe, sentencepiece_model)))
        dictionaries = {direction.source: one.source for direction, one in models.items()}
        found = _marginals({"--source-lm": source_lm, "--target-lm": target_lm}, languages, dictionaries, device)
        decoders = {}
        for direction, one in models.items():
            one.model.to(device).requires_grad_(False)
            decoders[direction] = ForcedDecoder([one.model], one.target, one.cfg)
        return cls(decoders, dictionaries, found, device, encoders, max_tokens)

    def symbols(self, sentence: Sentence, language: str) -> Tensor:
        """The symbols of a sentence, with the end-of-sentence symbol."""
        if isinstance(sentence, Tensor):
            return sentence.cpu()
        encode = self.encoders.get(language)
        words = encode(sentence) if encode else sentence
        dictionary = self.dictionaries[language]
        found = dictionary.encode_line(words, add_if_not_exist=False).long()
        # What reads like fairseq's own symbols is text, of words that it has not; as padding it would not be seen.
        found[:-1][found[:-1] < dictionary.nspecial] = dictionary.unk()
        return found

    def score(self, pairs: Sequence[Tuple[Sentence, Sentence]]) -> List[PairScore]:
        """The scores of pairs (x, y) in their order: of texts, or of symbols with the end-of-sentence symbol."""
        return self._score(pairs, self.marginals)

    def _score(self, pairs: Sequence[Tuple[Sentence, Sentence]], by: Mapping[str, Marginal]) -> List[PairScore]:
        source, target = self.directions.languages
        sentences = [(self.symbols(x, source), self.symbols(y, target)) for x, y in pairs]
        reasons = [self._reason(pair) for pair in sentences]
        scored = [i for i, reason in enumerate(reasons) if not reason]
        columns = {name: np.full(len(pairs), math.nan) for name in SCORES}
        for name, column in self._columns([sentences[i] for i in scored], by).items():
            columns[name][scored] = column
        found = []
        for i, (pair, reason) in enumerate(zip(sentences, reasons)):
            scores = {name: float(column[i]) for name, column in columns.items()}
            reason = reason or self._reason_of_marginals(pair, by)
            found.append(PairScore(len(pair[0]), len(pair[1]), **scores, unknown=self._unknown(pair), reason=reason))
        return found

    def _unknown(self, pair: Tuple[Tensor, Tensor]) -> int:
        dictionaries = (self.dictionaries[language] for language in self.directions.languages)
        return sum(int(side.eq(dictionary.unk()).sum()) for side, dictionary in zip(pair, dictionaries))

    def _columns(self, pairs: List[Tuple[Tensor, Tensor]], by: Mapping[str, Marginal]) -> Dict[str, np.ndarray]:
        source, target = self.directions.languages
        forward, reverse = (self.decoders[direction] for direction in self.directions)
        ways: Dict[str, Tuple[List[Item], Callable[[List[Item]], Sequence[float]]]] = {
            "forward": ([(x, y) for x, y in pairs], lambda items: forward.score(items, self.device)),
            "reverse": ([(y, x) for x, y in pairs], lambda items: reverse.score(items, self.device)),
            "source_lm": ([(x,) for x, _ in pairs], marginals(by.get(source))),
            "target_lm": ([(y,) for _, y in pairs], marginals(by.get(target))),
        }
        found = {
            name: torch.tensor(list(each(items, score, self.max_tokens)), dtype=torch.float64)
            for name, (items, score) in ways.items()
        }
        x_length, y_length = (torch.tensor([float(len(pair[side])) for pair in pairs]) for side in (0, 1))
        found["gap"] = duality_gap(found["source_lm"], found["forward"], found["target_lm"], found["reverse"])
        found["cross_entropy"] = dual_cross_entropy(found["forward"], found["reverse"], y_length, x_length)
        found["score"] = (-found["cross_entropy"]).exp()
        return {name: column.numpy() for name, column in found.items()}

    def _reason(self, pair: Tuple[Tensor, Tensor]) -> str:
        """Why a pair has no scores; empty if it has."""
        for name, sentence, longest in zip(("source", "target"), pair, self.longest):
            if len(sentence) <= 1:
                return f"empty {name}"
            if len(sentence) > longest:
                return f"{name} too long: {len(sentence)} tokens, expected at most {longest}"
        return ""

    def _reason_of_marginals(self, pair: Tuple[Tensor, Tensor], by: Mapping[str, Marginal]) -> str:
        """Why the language models' scores are missing; empty if they are not, or were not asked for."""
        for name, sentence, language in zip(("source", "target"), pair, self.directions.languages):
            marginal = by.get(language)
            if marginal and len(sentence) > marginal.max_length:
                return (
                    f"{name} too long for --{name}-lm: {len(sentence)} tokens, expected at most {marginal.max_length}"
                )
        return ""

    def check(self, pairs: Sequence[Tuple[str, str]]) -> List[str]:
        """Refuse texts that the models find likelier as each other's side, and two language models for one another.

        Args:
            pairs: some pairs of texts.

        Returns what a user should hear of, a line each: a language model that looks like one of the other side, which
        noise may be the reason of; many tokens that are in no dictionary.
        """
        source, target = self.directions.languages
        given, swapped = (self._log_prob(sides) for sides in (pairs, [(y, x) for x, y in pairs]))
        if swapped > given + MARGIN:
            raise BadInput(
                f"--source and --target look swapped: log P of a token is {given:.2f} nats by both models as given, "
                f"{swapped:.2f} the other way round; expected --source of {source}, --target of {target}"
            )
        sides = {
            source: [self.symbols(x, source) for x, _ in pairs],
            target: [self.symbols(y, target) for _, y in pairs],
        }
        looks = self._of_other_sides(sides)
        if len(looks) == 2:
            raise BadInput(
                f"{' and '.join(looks)}: each finds the other side of the text likelier than its own; expected "
                f"--source-lm of {source}, --target-lm of {target}"
            )
        found = [f"{name}: {why}; is it of another language?" for name, why in looks.items()]
        tokens = sum(len(side) - 1 for texts in sides.values() for side in texts)
        unknown = sum(self._unknown(pair) for pair in zip(*sides.values()))
        if unknown > MANY_UNKNOWN * tokens:
            found.append(
                f"{unknown / tokens:.0%} of the tokens of {len(pairs)} pairs are in no dictionary of the models; "
                "expected text in the pieces of training: see --bpe"
            )
        return found

    def _log_prob(self, pairs: Sequence[Tuple[str, str]]) -> float:
        """log P of a token by both models, in nats; 0 if none can be scored."""
        found = [one for one in self._score(pairs, {}) if not one.reason]
        tokens = sum(one.source_length + one.target_length for one in found)
        return sum(one.forward + one.reverse for one in found) / max(tokens, 1)

    def _of_other_sides(self, sides: Mapping[str, List[Tensor]]) -> Dict[str, str]:
        """The language models that find the other side likelier than their own, by name, with the reason.

        With a dictionary for each language they are refused before; with a joined one, by what they say.
        """
        source, target = self.directions.languages
        if self.dictionaries[source].symbols != self.dictionaries[target].symbols:
            return {}
        pairs = [
            pair for pair in zip(*sides.values()) if 1 < min(map(len, pair)) and max(map(len, pair)) <= LONGEST_CHECKED
        ]
        own = dict(zip(sides, zip(*pairs))) if pairs else {}
        found: Dict[str, Optional[str]] = {}
        for language, other in ((source, target), (target, source)):
            marginal = self.marginals.get(language)
            if marginal and own:
                found[marginal.name] = prefers_other_side(marginal, other, own[language], own[other])
        return {name: why for name, why in found.items() if why}


def _marginals(given, languages, dictionaries, device) -> Dict[str, Marginal]:
    found = (marginals_of if all(given.values()) else given_marginals)(given, languages, dictionaries, device)
    for marginal in found.values():
        marginal.require_samples("scoring text")
    return found
