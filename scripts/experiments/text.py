#!/usr/bin/env python3
"""Makes the text of an experiment of one parallel corpus: few pairs, and much monolingual text.

    scripts/experiments/text.py -s es -t en --train training --valid dev --test test --pairs 300 --test-size 1000 OUT

Of the distinct pairs of the training text, the first --pairs are parallel data. The sentences of all others, and those
of --mono, are monolingual text, each language in an order of its own, so that nothing tells which belong together. The
test set is the first --test-size pairs of the test text neither side of which stands in the training text. Writes
OUT/raw and OUT/mono for `fairseq-dsl prepare`, which keeps sentences of the validation and test set out of the
monolingual text.
"""

import random
from pathlib import Path

from fairseq_dsl_cli import arguments, texts
from fairseq_dsl_cli.preparing.options import run_main
from fairseq_dsl_cli.preparing.text import read_lines, read_parallel


def pairs_of(prefix, langs):
    """The distinct pairs of two aligned files, without those of an empty sentence."""
    return list(dict.fromkeys(read_parallel(*(Path(f"{prefix}.{lang}") for lang in langs))))


def unaligned(sentences, draw):
    """The distinct sentences, in a random order.

    >>> sorted(unaligned(["b", "a", "b"], random.Random(1)))
    ['a', 'b']
    """
    distinct = list(dict.fromkeys(sentences))
    draw.shuffle(distinct)
    return distinct


def split(train, valid, test, pairs, test_size, more):
    """Return the pairs of train, valid and test, and the monolingual sentences of each side.

    Args:
        train, valid, test: distinct pairs of sentences.
        pairs: how many pairs of `train` are parallel data, at most.
        test_size: how many pairs of `test` are the test set, at most.
        more: further monolingual sentences of each side.
    """
    seen = [set(side) for side in zip(*train)]
    new = [pair for pair in test if not any(sentence in side for sentence, side in zip(pair, seen))]
    mono = []
    for side, others in enumerate(more):
        known = {pair[side] for pair in train[:pairs]}
        sentences = [*(pair[side] for pair in train[pairs:]), *others]
        mono.append(unaligned([sentence for sentence in sentences if sentence not in known], random.Random(side)))
    return {"train": train[:pairs], "valid": valid, "test": new[:test_size]}, mono


def write(path, sentences):
    path.parent.mkdir(parents=True, exist_ok=True)
    texts.write(path, "".join(f"{sentence}\n" for sentence in sentences))


def run():
    parser = arguments.Parser(__doc__)
    add = parser.add_argument
    add("--source-lang", "-s", required=True, metavar="LANG")
    add("--target-lang", "-t", required=True, metavar="LANG")
    add("--train", required=True, metavar="PREFIX", help="training text in PREFIX.LANG")
    add("--valid", required=True, metavar="PREFIX")
    add("--test", required=True, metavar="PREFIX")
    add("--mono", metavar="PREFIX", help="more monolingual text, in PREFIX.LANG.gz (default: none)")
    add("--pairs", type=arguments.positive, required=True, help="pairs of training, at most")
    add("--test-size", type=arguments.positive, default=1000, help="pairs of test, at most (default: %(default)s)")
    add("out", metavar="OUT", type=arguments.output_folder)
    args = parser.parse_args()
    langs, out = (args.source_lang, args.target_lang), Path(args.out)

    train, valid, test = (pairs_of(prefix, langs) for prefix in (args.train, args.valid, args.test))
    if len(train) <= args.pairs and not args.mono:
        parser.error(
            f"--pairs {args.pairs}: leaves nothing of the {len(train)} distinct pairs in {args.train} as monolingual "
            "text; expected fewer, or --mono"
        )
    more = [filter(None, read_lines(Path(f"{args.mono}.{lang}.gz"))) if args.mono else [] for lang in langs]
    splits, mono = split(train, valid, test, args.pairs, args.test_size, more)
    for side, lang in enumerate(langs):
        write(out / "mono" / f"mono.{lang}", mono[side])
        for name, pairs in splits.items():
            write(out / "raw" / f"{name}.{lang}", (pair[side] for pair in pairs))
    print(", ".join(f"{name}: {len(pairs):,} pairs" for name, pairs in splits.items()))
    print("monolingual: " + ", ".join(f"{len(side):,} sentences in {lang}" for side, lang in zip(mono, langs)))


if __name__ == "__main__":
    run_main(run, "text.py: ")
