"""What the numbers of flags may be, declared beside each flag, and checked at one place."""

from dataclasses import field, fields
from typing import Any, NamedTuple, Optional

from omegaconf import DictConfig, OmegaConf

from .errors import BadInput

MANY = 10**9  # updates: more are never reached


class Range(NamedTuple):
    """Numbers from `low` to `high`; neither nan nor an infinity is among them."""

    low: float
    high: float
    text: str
    """What is wanted, as the message says it."""
    beyond: Optional[str] = None
    """The same where a number is too large, for a bound that is met by mistake alone."""
    hole: Optional[float] = None
    """A number in between that is not in the range."""

    def check(self, flag: str, value: Optional[float]):
        """Raise `BadInput` for a number outside; None, which stands for a flag that is not given, is accepted."""
        if value is None or (self.low <= value <= self.high and value != self.hole):
            return
        raise BadInput(f"{flag} {value}: {value > self.high and self.beyond or self.text} is wanted")


def at_least(low: float, high: float, text: str = "a number of {} or more") -> Range:
    return Range(low, high, text.format(low), f"a number of at most {high:g}")


WEIGHT = at_least(0, 1e6)
POSITIVE = Range(1e-6, 1e6, "a number above 0 (from 1e-06 to 1e+06)")
SHARE = Range(0, 1, "a number from 0 to 1")
BELOW_1 = Range(0, 1 - 1e-9, "a number from 0 to below 1")
UPDATES = at_least(0, MANY)


def number(default: Any, within: Range, help: str) -> Any:
    """A numeric field of a configuration, with the range of its values."""
    return field(default=default, metadata={"help": help, "range": within})


def check_numbers(cfg: Any):
    """Refuse a configuration of ours with a number that is outside of the range of its flag."""
    kind = OmegaConf.get_type(cfg) if isinstance(cfg, DictConfig) else type(cfg)
    for flag in fields(kind):
        if "range" in flag.metadata:
            flag.metadata["range"].check(f"--{flag.name.replace('_', '-')}", getattr(cfg, flag.name))
