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
from ..marginals import Marginal, marginal_of, marginals_of
from ..models import restore
from ..objectives import dual_cross_entropy, duality_gap
from ..swaps import MARGIN, refuse_other_language_model
from .forced import ForcedDecoder, Item, each, marginals
from .segmentation import Encoder, encoders_of

MAX_TOKENS = 4096  # of a batch
SAMPLE, LONGEST_IN_SAMPLE = 50, 64  # pairs, and tokens, by which swapped sides are told

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
        reason: why scores are missing; empty where none is, or no language model was given.
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
        return self.dictionaries[language].encode_line(words, add_if_not_exist=False).long()

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

    def refuse_swapped_sides(self, pairs: Sequence[Tuple[str, str]]):
        """Refuse texts that the models find likelier as each other's side, and two language models for one another.

        Args:
            pairs: of texts, some of which are looked at.
        """
        some = pairs[:: 1 + len(pairs) // SAMPLE]
        given, swapped = (self._log_prob(sides) for sides in (some, [(y, x) for x, y in some]))
        source, target = self.directions.languages
        if swapped > given + MARGIN:
            raise BadInput(
                f"--source and --target look swapped: log P of a token is {given:.2f} nats by both models as given, "
                f"{swapped:.2f} the other way round; expected --source of {source}, --target of {target}"
            )
        self._refuse_swapped_language_models(some)

    def _log_prob(self, pairs: Sequence[Tuple[str, str]]) -> float:
        """log P of a token by both models, in nats; 0 if none can be scored."""
        found = [one for one in self._score(pairs, {}) if not one.reason]
        tokens = sum(one.source_length + one.target_length for one in found)
        return sum(one.forward + one.reverse for one in found) / max(tokens, 1)

    def _refuse_swapped_language_models(self, pairs: Sequence[Tuple[str, str]]):
        """Refuse two language models of which each finds the other side of some pairs likelier than its own.

        With a dictionary for each language another model is refused at once; with a joined one, by what it says. One
        model alone may do so of noisy text.
        """
        source, target = self.directions.languages
        if len(self.marginals) < 2 or self.dictionaries[source].symbols != self.dictionaries[target].symbols:
            return
        sides = [(self.symbols(x, source), self.symbols(y, target)) for x, y in pairs]
        sides = [pair for pair in sides if 1 < min(map(len, pair)) and max(map(len, pair)) <= LONGEST_IN_SAMPLE]
        if not sides or not all(self._prefers_sources(direction, sides) for direction in self.directions):
            return
        names = " and ".join(self.marginals[language].name for language in (source, target))
        raise BadInput(
            f"{names}: each finds the other side of the text likelier than its own; expected --source-lm of {source}, "
            f"--target-lm of {target}"
        )

    def _prefers_sources(self, direction: Direction, sides: List[Tuple[Tensor, Tensor]]) -> bool:
        """Whether the language model of a direction's target language finds its sources likelier."""
        sources, targets = zip(*sides) if direction == self.directions.primal else zip(*((y, x) for x, y in sides))
        try:
            refuse_other_language_model(self.marginals[direction.target], direction, sources, targets)
        except BadInput:
            return True
        return False


def _marginals(given, languages, dictionaries, device) -> Dict[str, Marginal]:
    if all(given.values()):
        found = marginals_of(given, languages, dictionaries, device)
    else:
        found = {
            language: marginal_of(path, flag, language, dictionaries[language], device)
            for (flag, path), language in zip(given.items(), languages)
            if path
        }
    for marginal in found.values():
        marginal.require_samples("scoring text")
    return found
