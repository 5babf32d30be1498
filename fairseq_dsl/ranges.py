"""The range of each numeric flag, declared beside the flag and checked in one place."""

from dataclasses import field, fields
from typing import Any, NamedTuple, Optional

from omegaconf import DictConfig, OmegaConf

from .errors import BadInput

MANY = 10**9  # updates; no run reaches more


class Range(NamedTuple):
    """Numbers from `low` to `high`; NaN is never one of them."""

    low: float
    high: float
    text: str
    """The range in words, for the message: "a number of 0 or more"."""
    beyond: Optional[str] = None
    """Replaces `text` if the number is too large, for an upper bound that is only ever exceeded by mistake."""
    hole: Optional[float] = None
    """A number between `low` and `high` that is not in the range."""

    def check(self, flag: str, value: Any):
        """Raise `BadInput` if the value is no number in the range; None, for a flag that is not given, is accepted."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is None or (is_number and self.low <= value <= self.high and value != self.hole):
            return
        expected = self.beyond if self.beyond and is_number and value > self.high else self.text
        raise BadInput(f"{flag} {value}: expected {expected}")


def at_least(low: float, high: float, text: str = "a number of {} or more") -> Range:
    """Numbers from `low` on, with `high` as a bound against mistakes."""
    return Range(low, high, text.format(low), f"a number of at most {high:g}")


WEIGHT = at_least(0, 1e6)
POSITIVE = Range(1e-6, 1e6, "a number above 0 (from 1e-06 to 1e+06)")
SHARE = Range(0, 1, "a number from 0 to 1")
BELOW_1 = Range(0, 1 - 1e-9, "a number from 0 to below 1")
UPDATES = at_least(0, MANY)


def number(default: Any, within: Range, help: str) -> Any:
    """A numeric field of a configuration dataclass, with the range of its values."""
    return field(default=default, metadata={"help": help, "range": within})


def check_numbers(cfg: Any):
    """Refuse a configuration with a number that is outside the range declared for it by `number`."""
    kind = OmegaConf.get_type(cfg) if isinstance(cfg, DictConfig) else type(cfg)
    if kind is None:  # of an empty configuration
        return
    for flag in fields(kind):
        if "range" in flag.metadata:
            value = getattr(cfg, flag.name)
            if value != value and flag.default != flag.default:  # nan stands for what is not given
                continue
            flag.metadata["range"].check(f"--{flag.name.replace('_', '-')}", value)
