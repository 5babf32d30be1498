#!/usr/bin/env python3
"""Two languages, xx and yy, that are a substitution of each other's words: a task that can be learned without pairs.

    scripts/cipher.py make FOLDER [--seed N] [--known SHARE] [--wrong SHARE]  # text to binarize
    scripts/cipher.py score REFERENCE HYPOTHESES  # % of words that are right

A sentence is a walk through words, each of which has one likely and some less likely successors. FOLDER has
`text/valid` and `text/test`, sentences with their translations; `mono/mono.xx` and `mono/mono.yy`, other sentences of
either language, which are no translations of each other; and `text/train`, for a warm start: words in no order, some of
which are translated, and all others have random translations, or one that is wrong: what is wrong alike in both
directions comes back from a round trip, and only a look at the translation can tell.
"""

import argparse
import random
import sys
from pathlib import Path

LENGTHS = (4, 9)  # of a sentence, in words
SUCCESSORS = (8, 4, 2, 1)  # weights of what follows a word
LANGUAGES = ("xx", "yy")


class Cipher:
    """The languages of a seed.

    Args:
        known: the share of the words whose translation the warm start shows.
        wrong: how often one of the others has its one wrong translation, and not a random one.
    """

    def __init__(self, seed: int, words: int, known: float, wrong: float):
        self._draw = random.Random(seed)
        self.words = [f"x{i}" for i in range(words)]
        self._next = {word: self._draw.sample(self.words, len(SUCCESSORS)) for word in self.words}
        self.key = dict(zip(self.words, self._draw.sample([f"y{i}" for i in range(words)], words)))
        self._unknown = self._draw.sample(self.words, words - round(known * words))
        self._wrong = dict(zip(self._unknown, self._unknown[1:] + self._unknown[:1]))
        self._share = wrong

    def sentence(self):
        found = [self._draw.choice(self.words)]
        for _ in range(self._draw.randint(*LENGTHS) - 1):
            found += self._draw.choices(self._next[found[-1]], SUCCESSORS)
        return found

    def translated(self, sentence):
        return [self.key[word] for word in sentence]

    def heap(self):
        """Words in no order, with translations, of which those of unknown words are random or wrong."""
        source = self._draw.choices(self.words, k=self._draw.randint(*LENGTHS))
        return source, [self.key[self._taken_for(word)] for word in source]

    def _taken_for(self, word):
        if word not in self._wrong:
            return word
        return self._wrong[word] if self._draw.random() < self._share else self._draw.choice(self._unknown)


def make(args):
    cipher = Cipher(args.seed, args.words, args.known, args.wrong)
    folder = Path(args.folder)
    write_pairs(folder / "text/train", [cipher.heap() for _ in range(args.sentences)])
    for split in ("valid", "test"):
        sentences = [cipher.sentence() for _ in range(500)]
        write_pairs(folder / "text" / split, [(sentence, cipher.translated(sentence)) for sentence in sentences])
    sides = [[cipher.sentence() for _ in range(args.sentences)] for _ in LANGUAGES]
    write(folder / "mono/mono.xx", sides[0])
    write(folder / "mono/mono.yy", [cipher.translated(sentence) for sentence in sides[1]])


def write_pairs(stem, pairs):
    for language, sentences in zip(LANGUAGES, zip(*pairs)):
        write(Path(f"{stem}.{language}"), sentences)


def write(path, sentences):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(sentence) + "\n" for sentence in sentences))


def score(args):
    """Print the share of the references' words that stand at their place in the hypotheses."""
    sides = [
        [line.split() for line in Path(path).read_text().splitlines()] for path in (args.reference, args.hypotheses)
    ]
    if len(sides[0]) != len(sides[1]):
        sys.exit(f"{args.hypotheses}: expected {len(sides[0])} lines, found {len(sides[1])}")
    right = sum(a == b for lines in zip(*sides) for a, b in zip(*lines))
    print(f"{100 * right / sum(map(len, sides[0])):.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("folder")
    making.add_argument("--seed", type=int, default=1)
    making.add_argument("--known", type=float, default=0.5, help="share of the words that the warm start translates")
    making.add_argument("--wrong", type=float, default=0.5, help="share of the others' translations that is one word")
    making.add_argument("--words", type=int, default=50, help="words of each language")
    making.add_argument("--sentences", type=int, default=5000, help="of each language, and of the warm start")
    making.set_defaults(run=make)
    scoring = commands.add_parser("score")
    scoring.add_argument("reference")
    scoring.add_argument("hypotheses", help="translations, one a line")
    scoring.set_defaults(run=score)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
