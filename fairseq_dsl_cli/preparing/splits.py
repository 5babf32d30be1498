"""Training, validation and test text: holding out sentences, and writing plain text."""

import hashlib
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Sequence, Set

from .options import RecipeError
from .text import SPLITS, Pair, read_lines


def hold_out(
    pairs: Iterable[Pair], size: int, key: Callable[[str], str], eligible: Callable[[Pair], bool] = lambda pair: True
) -> Dict[str, List[Pair]]:
    """Split `pairs` into train, `size` for valid and `size` for test.

    The choice depends only on each pair's text, not on its position. No two of the three splits share a sentence on
    either side; sentences with the same `key` count as the same.
    """
    pairs = list(pairs)
    order = sorted(set(filter(eligible, pairs)), key=lambda pair: hashlib.sha256("\t".join(pair).encode()).digest())
    splits: Dict[str, List[Pair]] = {"test": [], "valid": []}
    held_sources: Set[str] = set()
    held_targets: Set[str] = set()

    def is_held(pair: Pair) -> bool:
        return key(pair[0]) in held_sources or key(pair[1]) in held_targets

    candidates = iter(order)
    for split in splits.values():
        for pair in candidates:
            if not is_held(pair):
                split.append(pair)
                held_sources.add(key(pair[0]))
                held_targets.add(key(pair[1]))
            if len(split) == size:
                break
        else:
            raise RecipeError(f"cannot hold out 2 x {size:,} of {len(order):,} distinct sentence pairs")
    splits["train"] = [pair for pair in pairs if not is_held(pair)]
    dropped = len(pairs) - len(splits["train"]) - 2 * size
    if dropped:
        print(f"train: dropped {dropped:,} pairs that share a sentence with valid or test")
    return splits


def write_splits(splits: Mapping[str, Iterable[Pair]], langs: Sequence[str], folder: Path) -> Dict[str, Dict[str, int]]:
    """Write each split as plain text; return its numbers of pairs and of words on either side."""
    sizes = {}
    test: List[Set[str]] = [set(), set()]
    repeated: List[Set[str]] = [set(), set()]
    for split in reversed(SPLITS):  # test before train, to see which of its sentences are also in training
        count, words = 0, [0, 0]
        with open(folder / f"{split}.{langs[0]}", "w", encoding="utf-8", newline="\n") as source_file, \
             open(folder / f"{split}.{langs[1]}", "w", encoding="utf-8", newline="\n") as target_file:  # fmt: skip
            for pair in splits[split]:
                count += 1
                for side, (file, sentence) in enumerate(zip((source_file, target_file), pair)):
                    file.write(sentence + "\n")
                    words[side] += len(sentence.split())
                    if split == "test":
                        test[side].add(sentence)
                    elif split == "train" and sentence in test[side]:
                        repeated[side].add(sentence)
        if not count:
            raise RecipeError(f"the {split} split contains no sentence pairs")
        sizes[split] = {"pairs": count, f"words.{langs[0]}": words[0], f"words.{langs[1]}": words[1]}
    if any(repeated):
        shares = " and ".join(
            f"{len(also):,} of {len(distinct):,} in {lang}" for also, distinct, lang in zip(repeated, test, langs)
        )
        print(f"note: distinct test sentences that are also in training: {shares}")
    return {split: sizes[split] for split in SPLITS}


def write_mono(mono: Path, lang: str, text: Path, folder: Path) -> Dict[str, int]:
    """Write each sentence of a monolingual file once, without those of valid and test; return the counts.

    Args:
        mono: the monolingual file.
        text: the folder with the plain text of valid and test.
        folder: where `train.LANG` is written.
    """
    held_out = {line for split in ("valid", "test") for line in read_lines(text / f"{split}.{lang}")}
    seen: Set[str] = set()
    counts = dict.fromkeys(("empty", "held out", "duplicate", "words"), 0)
    with open(folder / f"train.{lang}", "w", encoding="utf-8", newline="\n") as file:
        for line in read_lines(mono):
            if not line:
                counts["empty"] += 1
            elif line in held_out:
                counts["held out"] += 1
            elif line in seen:
                counts["duplicate"] += 1
            else:
                seen.add(line)
                counts["words"] += len(line.split())
                file.write(line + "\n")
    print(
        f"{mono}: {len(seen):,} sentences, {counts['words']:,} words; dropped {counts['empty']:,} empty lines, "
        f"{counts['held out']:,} lines that are in valid or test, {counts['duplicate']:,} duplicates"
    )
    if not seen:
        raise RecipeError(f"--mono: {mono} contains no sentence to train on")
    return {"sentences": len(seen), **counts}
