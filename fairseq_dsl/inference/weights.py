"""How much the reverse direction and the language model count."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional

from ..checkpoints import plain
from ..directions import Direction
from ..errors import BadInput
from ..ranges import SHARE, WEIGHT

DEFAULT_LM_WEIGHT = 0.5
"""Near the best in all that was measured, see docs/methods.md; others are found by ``fairseq-dsl tune``."""

RANGES = {"reverse": SHARE, "lm": WEIGHT}


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
        if not isinstance(found, dict) or found.keys() - RANGES.keys():
            raise BadInput(
                f"the checkpoint's weights of dual inference of {direction}: expected those that fairseq-dsl tune "
                f"--store writes, found {found!r}"
            )
        return cls._checked(f"the checkpoint's {{}}_weight of {direction}", found)

    def as_stored(self) -> Dict[str, float]:
        """What `stored` reads.

        By other names than those of the flags: fairseq writes what `from_pretrained` is given into every part of a
        configuration that has a value of its name.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of_flags(cls, task_cfg: Any) -> "Weights":
        """Those of the flags of the task."""
        return cls._checked("--{}-weight", {name: getattr(task_cfg, f"{name}_weight") for name in RANGES})

    @classmethod
    def _checked(cls, flag: str, values: Mapping[str, Any]) -> "Weights":
        for name, within in RANGES.items():
            within.check(flag.format(name), values.get(name))
        return cls(**values)

    def or_else(self, other: "Weights") -> "Weights":
        """With the other's where there is none."""
        return Weights(
            other.reverse if self.reverse is None else self.reverse, other.lm if self.lm is None else self.lm
        )


def given(value: Optional[float]) -> Optional[float]:
    """The value of ``--lm-weight``, whose default is nan: see `tasks.config`."""
    return None if value is None or math.isnan(value) else value
