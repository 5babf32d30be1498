#!/usr/bin/env python3
"""Measures fairseq-dsl score and filter: mixes known noise into a clean corpus, and counts how much of it is found.

    scripts/filtering.py --source test.de --target test.en --other-language text.fr --output DIR \\
        --path dual.pt --source-lm lm.de.pt --target-lm lm.en.pt --bpe sentencepiece --sentencepiece-model spm.model

Of the lines, 30% become noise, a quarter of them each: misaligned (the target of another line), copied (the source for
a target), of another language (its line for a target), truncated (the first half of the target's words). What is thrown
out are as many lines as are noise, so that precision, the share of noise in them, is also recall, the share of the
noise that is in them; this one by kind, too. Beside it stands filtering by the ratio of lengths, in characters. All
other flags are those of fairseq-dsl score.
"""

import argparse
import random
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
from tabulate import tabulate

from fairseq_dsl_cli import main, texts
from fairseq_dsl_cli.arguments import input_file, output_folder
from fairseq_dsl_cli.filter import BY

CLEAN, *NOISE = KINDS = ["clean", "misaligned", "copied", "other language", "truncated"]
Pairs = List[Tuple[str, str]]


def mix(pairs: Pairs, others: Sequence[str], share: float = 0.3, seed: int = 1) -> Tuple[Pairs, List[str]]:
    """The pairs, of which a share is noise now, and the kind of each."""
    draw = random.Random(seed)
    noisy = draw.sample(range(len(pairs)), round(share * len(pairs)))
    mixed, kinds = list(pairs), [CLEAN] * len(pairs)
    for place, row in enumerate(noisy):
        (x, y), kind = pairs[row], NOISE[place % len(NOISE)]
        words = y.split()
        made = {
            "misaligned": draw.choice(pairs)[1],
            "copied": x,
            "other language": draw.choice(others),
            "truncated": " ".join(words[: len(words) // 2]),
        }[kind]
        if made and made != y:  # else it would be no noise
            mixed[row], kinds[row] = (x, made), kind
    return mixed, kinds


def length_ratio(pairs: Pairs) -> np.ndarray:
    """How far the ratio of each pair's lengths is from the median, as |log|; ``(pairs,)``."""
    ratios = np.log([(len(y) + 1) / (len(x) + 1) for x, y in pairs])
    return np.abs(ratios - np.median(ratios))


def found(cost: np.ndarray, kinds: Sequence[str]) -> List[float]:
    """The share of the noise that is thrown out, of all and by kind, in percent: as many lines as are noise, which cost
    most. Of all it is recall and precision."""
    is_noise = np.array(kinds) != CLEAN
    thrown = np.zeros(len(cost), dtype=bool)
    thrown[np.argsort(-np.nan_to_num(cost, nan=np.inf), kind="stable")[: is_noise.sum()]] = True
    masks = [is_noise, *(np.array(kinds) == kind for kind in NOISE)]
    return [100 * float(thrown[mask].mean()) if mask.any() else float("nan") for mask in masks]


def measure(args: argparse.Namespace, flags: List[str]) -> str:
    from fairseq_dsl_cli.scoring.score_table import ScoreTable

    pairs = list(zip(texts.read_lines(args.source), texts.read_lines(args.target)))
    mixed, kinds = mix(pairs, texts.read_lines(args.other_language), seed=args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    files = {name: args.output / f"mixed.{name}" for name in ("source", "target")}
    for path, lines in zip([*files.values(), args.output / "kinds"], [*zip(*mixed), kinds]):
        texts.write(path, "".join(f"{line}\n" for line in lines))
    scores = args.output / "scores.tsv"
    main.run(["score", *(f"--{name}={path}" for name, path in files.items()), "--output", str(scores), *flags])
    lines = list(ScoreTable(str(scores)).values())
    costs: Dict[str, np.ndarray] = {"length ratio": length_ratio(mixed)}
    for name, (better, value) in BY.items():
        values = np.array([value(line) for line in lines])
        if name != "cross_entropy" and not np.isnan(values).all():  # which has the order of score
            costs[f"--by {name}"] = values if better == "at most" else -values
    counts = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in KINDS)
    header = ["thrown out by", "precision = recall", *NOISE]
    rows = [[name, *(f"{value:.1f}" for value in found(cost, kinds))] for name, cost in costs.items()]
    return f"{counts}\n{tabulate(rows, header, tablefmt='github', disable_numparse=True)}"


def arguments() -> Tuple[argparse.Namespace, List[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, what in (
        ("--source", "a clean corpus"),
        ("--target", "its translations"),
        ("--other-language", "sentences of a third language"),
    ):
        parser.add_argument(flag, required=True, type=input_file, metavar="FILE", help=what)
    parser.add_argument(
        "--output", required=True, type=output_folder, help="folder for the mixed corpus and its scores"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the noise (default: %(default)s)")
    args, flags = parser.parse_known_args()
    args.output = Path(args.output)
    return args, flags


if __name__ == "__main__":
    main.end("filtering.py", lambda: print(measure(*arguments())))
