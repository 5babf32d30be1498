"""Whether, and by which weights and models, both directions choose the translation."""

import logging
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq.data import Dictionary
from fairseq.models import FairseqEncoderDecoderModel
from torch import Tensor

from ..directions import Direction, Directions
from ..errors import BadInput
from ..marginals import Marginal
from ..swaps import refuse_other_language_model
from .generator import DualGenerator
from .hypotheses import Hypotheses
from .reranker import Reranker
from .score_file import ScoreFile
from .weights import DEFAULT_LM_WEIGHT, Weights

logger = logging.getLogger(__name__)

ENOUGH_TO_CHECK = 3  # sentences, in which the language of a language model shows


class DualInference:
    """Makes fairseq's generators re-rank, where the weights say so.

    Xia et al. 2017, "Dual Inference for Machine Learning" (IJCAI).

    Args:
        flags: of the task.
        dictionaries: by language.
        marginals: those that there are, by language.
        stored: the weights in the pair's checkpoint, by direction.
        marginals_checked: whether the marginals are known to be of their languages.
    """

    def __init__(
        self,
        flags: Any,
        directions: Directions,
        dictionaries: Mapping[str, Dictionary],
        marginals: Mapping[str, Marginal],
        stored: Mapping[Direction, Weights],
        marginals_checked: bool,
    ):
        self.flags = flags
        self.directions = directions
        self.dictionaries = dictionaries
        self.marginals = marginals
        self.stored = stored
        self._chosen: Dict[Direction, Weights] = {}
        self._marginals_checked = marginals_checked
        self._translated: List[Tuple[Tensor, Tensor]] = []  # what the target language's marginal is checked on

    def weights(self, direction: Direction) -> Weights:
        """A and B of a direction: of the flags, else of the checkpoint; B is safe where neither has it. Said once."""
        if direction not in self._chosen:
            weights = self._choose(direction)
            if weights.lm:
                self.marginals[direction.target].require_samples(f"dual inference by --lm-weight {weights.lm:g}")
            self._chosen[direction] = weights
            self._say(direction)
        return self._chosen[direction]

    def _choose(self, direction: Direction) -> Weights:
        asked = Weights.of_flags(self.flags)
        found = asked.or_else(self.stored.get(direction, Weights()))
        has_marginal = direction.target in self.marginals
        if not found.reverse:
            if asked.lm:
                logger.warning(f"--lm-weight {asked.lm:g}: has no effect on dual inference without --reverse-weight")
            return Weights(0.0, 0.0)
        if found.lm is None:
            return Weights(found.reverse, DEFAULT_LM_WEIGHT if has_marginal else 0.0)
        if found.lm and not has_marginal:
            flag = "--source-lm" if direction.target == self.directions.primal.source else "--target-lm"
            if asked.lm:
                raise BadInput(
                    f"--lm-weight {asked.lm:g}: requires a language model of {direction.target}, the language that is "
                    f"generated; give {flag}"
                )
            logger.warning(
                f"{direction}: the checkpoint's weight {found.lm:g} of a language model is not used: {flag} is missing"
            )
            return Weights(found.reverse, 0.0)
        return found

    def _say(self, direction: Direction):
        weights = self._chosen[direction]
        if weights.reverse:
            name = f" ({self.marginals[direction.target].name})" if weights.lm else ""
            logger.info(
                f"dual inference of {direction}: --reverse-weight {weights.reverse:g} --lm-weight {weights.lm:g}{name}"
            )

    def generator(
        self,
        generator: Any,
        direction: Direction,
        reverse_models: Sequence[FairseqEncoderDecoderModel],
        max_tokens: Optional[int],
        score_file: Optional[ScoreFile] = None,
    ) -> Any:
        """fairseq's generator of a direction, or one that puts its hypotheses into another order.

        Args:
            reverse_models: of the reverse direction, one for each model of an ensemble.
            max_tokens: of a batch of hypotheses.
            score_file: where all scores are written.
        """
        weights = self.weights(direction)
        if not weights.reverse and score_file is None:
            return generator
        marginal = self.marginals.get(direction.target) if weights.lm or score_file else None
        source_marginal = self.marginals.get(direction.source) if marginal and score_file else None
        device = next(reverse_models[0].parameters()).device
        for one in (marginal, source_marginal):
            if one is not None:
                one.require_samples("--dump-scores")  # others were asked with the weights
                one.to(device)
        source = self.dictionaries[direction.source]
        reranker = Reranker(reverse_models, source, self.flags, marginal, source_marginal, max_tokens)

        def on_scores(scored: List[Hypotheses]):
            if marginal is not None:
                self._check_language(marginal, direction, scored)
            if score_file is not None:
                score_file.write(scored)

        return DualGenerator(generator, reranker, weights.reverse or 0.0, weights.lm or 0.0, on_scores)

    def _check_language(self, marginal: Marginal, direction: Direction, scored: List[Hypotheses]):
        """With one dictionary for both languages, a marginal of the other one is told by what it says of translations.

        Once, of enough of them: a single sentence may be of another language than it should.
        """
        source = self.dictionaries[direction.source]
        if self._marginals_checked or len(source) != len(marginal.dictionary):
            return
        empty = 1  # an end of sentence alone is of no language
        self._translated += [(one.source, one.targets[0]) for one in scored if one.found and len(one.source) > empty]
        if len(self._translated) >= ENOUGH_TO_CHECK:
            self._marginals_checked = True
            refuse_other_language_model(marginal, direction, *zip(*self._translated))
            self._translated.clear()
