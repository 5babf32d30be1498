"""Two text files that are parallel, read line by line, however large they are."""

import contextlib
import hashlib
import itertools
from dataclasses import dataclass

from fairseq_dsl.errors import BadInput


@dataclass(frozen=True)
class Text:
    """A file of UTF-8 with a sentence a line; its number of lines, and the digest of its content."""

    name: str
    path: str
    lines: int
    digest: str

    @classmethod
    def inspect(cls, flag, path):
        """Reads a file once; `BadInput` names the first line that is not UTF-8."""
        digest, lines = hashlib.sha256(), 0
        with open(path, "rb") as file:
            for lines, line in enumerate(file, 1):
                digest.update(line)
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise BadInput(
                        f"{flag} {path}:{lines}: expected UTF-8, found a line that is not ({error.reason} at byte "
                        f"{error.start + 1})"
                    ) from error
        return cls(f"{flag} {path}", path, lines, digest.hexdigest())


def parallel(source, target):
    """The `Text` of both sides, which are refused before anything else is done if they are of unequal length."""
    sides = Text.inspect("--source", source), Text.inspect("--target", target)
    names, counts = zip(*((side.name, side.lines) for side in sides))
    if counts[0] != counts[1]:
        found = f"{counts[0]:,} and {counts[1]:,}"
        raise BadInput(f"{' and '.join(names)}: expected as many lines in both, found {found}")
    if not counts[0]:
        raise BadInput(f"{names[0]}: empty; expected a sentence a line")
    return sides


def chunks(source, target, start, size):
    """Lists of at most `size` pairs of lines, without their ends, from the line `start` on (from 0)."""
    with _pairs(source, target) as pairs:
        pairs = itertools.islice(pairs, start, None)
        while chunk := list(itertools.islice(pairs, size)):
            yield chunk


def sample(source, target, lines, size=100):
    """At most `size` of so many pairs of lines, from all of the corpus."""
    with _pairs(source, target) as pairs:
        return list(itertools.islice(pairs, 0, None, -(-lines // size)))


@contextlib.contextmanager
def _pairs(source, target):
    """Pairs of lines. Only a newline ends one; a byte order mark is none of the text."""
    options = {"encoding": "utf-8-sig", "newline": "\n"}
    with open(source, **options) as xs, open(target, **options) as ys:
        yield ((x.rstrip("\n"), y.rstrip("\n")) for x, y in zip(xs, ys))
