"""The two directions of a pair: what belongs to a direction is keyed by it, what belongs to a language by its name."""

from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, Tuple, Union


@dataclass(frozen=True)
class Direction:
    """From one language to another; as text, and in checkpoints, log keys and file names, ``de-en``.

    >>> Direction("de", "en").reversed
    Direction(source='en', target='de')
    """

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"

    @property
    def reversed(self) -> "Direction":
        return Direction(self.target, self.source)

    @classmethod
    def parse(cls, name: str, names: Iterable[str]) -> "Direction":
        """Read a direction's name, whose languages may have hyphens of their own.

        Args:
            names: both names of a pair; the reverse among them tells where the name divides.

        >>> Direction.parse("zh-cn-en", ["zh-cn-en", "en-zh-cn"])
        Direction(source='zh-cn', target='en')
        """
        for i, symbol in enumerate(name):
            if symbol == "-" and f"{name[i + 1 :]}-{name[:i]}" in names:
                return cls(name[:i], name[i + 1 :])
        raise ValueError(f"{name} has no reverse among {list(names)}")


@dataclass(frozen=True)
class Directions:
    """The directions of a pair, iterated over primal first.

    Attributes:
        primal: source→target of the command that trained the pair, or trains it.
        active: source→target of this command: of the top level of its batches, and of what it translates.
    """

    primal: Direction
    active: Direction

    @property
    def dual(self) -> Direction:
        return self.primal.reversed

    @property
    def languages(self) -> Tuple[str, str]:
        """The languages of the primal direction, source first."""
        return self.primal.source, self.primal.target

    def __iter__(self) -> Iterator[Direction]:
        return iter((self.primal, self.dual))

    def of(self, batch: Dict) -> Dict[Direction, Dict]:
        """The two batches that a batch of the pair is made of, by direction."""
        parts = {self.active: batch, self.active.reversed: batch["reverse"]}
        return {direction: parts[direction] for direction in self}


@dataclass(frozen=True)
class OnlyDirection:
    """The direction of fairseq's own translation task, which has no reverse, as the directions of a pair."""

    direction: Direction

    def __iter__(self) -> Iterator[Direction]:
        return iter([self.direction])

    def of(self, batch: Dict) -> Dict[Direction, Dict]:
        return {self.direction: batch}


TrainedDirections = Union[Directions, OnlyDirection]
