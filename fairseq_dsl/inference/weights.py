"""How much the reverse direction and the language model count."""

import math
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ..checkpoints import plain
from ..directions import Direction
from ..errors import BadInput
from ..ranges import SHARE, WEIGHT

DEFAULT_LM_WEIGHT = 0.1
"""Safe for weak language models; strong ones of the domain are worth 1 to 2: see ``fairseq-dsl tune``."""

RANGES = {"reverse_weight": SHARE, "lm_weight": WEIGHT}


@dataclass(frozen=True)
class Weights:
    """A and B of `objectives.dual_inference_score`; None where nothing says it."""

    reverse: Optional[float] = None
    lm: Optional[float] = None

    @classmethod
    def stored(cls, model_cfg: Any, direction: Direction) -> "Weights":
        """Those that ``fairseq-dsl tune --store`` left in a pair's configuration for a direction."""
        stored = plain(getattr(model_cfg, "dual_inference", None)) or {}
        found = stored.get(str(direction)) or {} if isinstance(stored, dict) else stored
        if not isinstance(found, dict):
            raise BadInput(
                f"the checkpoint's weights of dual inference of {direction}: expected those that fairseq-dsl tune "
                f"--store writes, found {found!r}"
            )
        return cls._checked(
            {name: f"the checkpoint's {name} of {direction}" for name in RANGES},
            {name: found.get(name) for name in RANGES},
        )

    @classmethod
    def of_flags(cls, task_cfg: Any) -> "Weights":
        """Those of the flags of the task."""
        values = {name: getattr(task_cfg, name) for name in RANGES}
        return cls._checked({name: f"--{name.replace('_', '-')}" for name in RANGES}, values)

    @classmethod
    def _checked(cls, names: Mapping[str, str], values: Mapping[str, Any]) -> "Weights":
        for name, within in RANGES.items():
            within.check(names[name], values[name])
        return cls(values["reverse_weight"], values["lm_weight"])

    def or_else(self, other: "Weights") -> "Weights":
        """With the other's where there is none."""
        return Weights(
            other.reverse if self.reverse is None else self.reverse, other.lm if self.lm is None else self.lm
        )


def given(value: Optional[float]) -> Optional[float]:
    """The value of ``--lm-weight``, whose default is nan: see `tasks.config`."""
    return None if value is None or math.isnan(value) else value
