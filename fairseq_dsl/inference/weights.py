"""How much the reverse direction and the language model count."""

import math
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from ..checkpoints import plain
from ..directions import Direction
from ..ranges import SHARE, WEIGHT

DEFAULT_LM_WEIGHT = 0.1
"""Safe for weak language models; strong ones of the domain are worth 1 to 2: see ``fairseq-dsl tune``."""


@dataclass(frozen=True)
class Weights:
    """A and B of `objectives.dual_inference_score`; None where nothing says it."""

    reverse: Optional[float] = None
    lm: Optional[float] = None

    @classmethod
    def stored(cls, model_cfg: Any, direction: Direction) -> "Weights":
        """Those that ``fairseq-dsl tune --store`` left in a pair's configuration for a direction."""
        stored: Mapping[str, Dict[str, float]] = plain(getattr(model_cfg, "dual_inference", None)) or {}
        found = stored.get(str(direction)) or {}
        for name, within in (("reverse_weight", SHARE), ("lm_weight", WEIGHT)):
            within.check(f"the checkpoint's {name} of {direction}", found.get(name))
        return cls(found.get("reverse_weight"), found.get("lm_weight"))

    def or_else(self, other: "Weights") -> "Weights":
        """With the other's where there is none."""
        return Weights(
            other.reverse if self.reverse is None else self.reverse, other.lm if self.lm is None else self.lm
        )


def given(value: Optional[float]) -> Optional[float]:
    """The value of ``--lm-weight``, whose default is nan: see `tasks.config`."""
    return None if value is None or math.isnan(value) else value
