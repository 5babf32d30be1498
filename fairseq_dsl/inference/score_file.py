"""The scores of all hypotheses, written down so that weights can be chosen without a model."""

import json
import math
import os
from typing import IO, Any, Callable, Dict, Iterable, Optional

from torch import Tensor

from ..directions import Direction
from ..errors import BadInput
from ..preflight import check_folder
from .hypotheses import Hypotheses


class ScoreFile:
    """Lines of JSON, one for each sentence: its number, length, and the hypotheses in the forward model's order.

    Each hypothesis has its text, its length and the log-probabilities ``forward``, ``reverse`` and ``lm``, in nats,
    null where one is not known; lengths are in tokens, with the end-of-sentence symbol. With both language models,
    ``gap`` is the duality gap.

    Args:
        path: of ``--dump-scores``, which is replaced.
        direction: that is translated.
        text: what a hypothesis reads.
    """

    def __init__(self, path: str, direction: Direction, text: Callable[[Tensor], str]):
        check_folder("--dump-scores", os.path.dirname(path) or ".")
        self.path = path
        self.direction = direction
        self.text = text
        self._file: Optional[IO] = None

    def write(self, scored: Iterable[Hypotheses]):
        try:
            if self._file is None:
                self._file = open(self.path, "w", encoding="utf-8")
            for one in scored:
                if one.number is None:
                    raise BadInput(
                        f"--dump-scores {self.path}: expected fairseq-generate, whose sentences are numbered"
                    )
                self._file.write(json.dumps(self._line(one), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise BadInput(f"--dump-scores {self.path}: cannot be written ({error})") from error

    def _line(self, one: Hypotheses) -> Dict[str, Any]:
        columns = {"forward": one.forward, "reverse": one.reverse, "lm": one.marginal}
        if not math.isnan(one.source_marginal):
            columns["gap"] = one.gap
        hypotheses = []
        for k, hypothesis in enumerate(one.found):
            values = {name: column[k].item() for name, column in columns.items()}
            known = {name: None if math.isnan(value) else value for name, value in values.items()}
            hypotheses.append({"text": self.text(hypothesis["tokens"]), "length": len(hypothesis["tokens"]), **known})
        return {
            "direction": str(self.direction),
            "target_lang": self.direction.target,  # as languages may have hyphens of their own
            "id": one.number,
            "source_length": len(one.source),
            "hypotheses": hypotheses,
        }
