"""From text to what `fairseq-train` reads: the part that every recipe shares.

A recipe finds or makes its text and calls `prepare`, which leaves four folders side by side:

    OUT          translation data: dict.SRC.txt, dict.TGT.txt, train, valid and test, and the sentencepiece model(s)
    OUT-lm.SRC   the same source sentences as language-model data, with the translation dictionary
    OUT-lm.TGT   the same for the target language
    OUT-text     train, valid and test as plain text (the references), and under spm/ as sentencepiece pieces

and, from monolingual text, with the vocabulary of the parallel text and without its valid and test sentences:

    OUT-mono.LANG   train (monolingual) and valid (parallel) like OUT-lm.LANG; train.LANG as plain text, and under spm/;
                    and train1, the parallel text's train, which fairseq adds where it trains a language model

Each folder contains `recipe.json`: a key of everything that the data depend on, the settings and the sizes. If all
folders have the keys of a run, it has nothing to do; the first four do not depend on the monolingual text. Folders are
built under another name and renamed when all are complete (see staging.py): these names never show half a corpus.
"""

import argparse
import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Callable, Dict, Iterable, Mapping, Sequence, Tuple

from ..inputs import sha256
from . import binarize, pieces, splits, text
from .options import RecipeError
from .staging import staging

STAMP = "recipe.json"


def prepare(
    args: argparse.Namespace,
    langs: Tuple[str, str],
    inputs: Sequence[Path],
    make_splits: Callable[[], Mapping[str, Iterable[text.Pair]]],
    mono: Mapping[str, Path] = {},  # noqa: B006  (never changed)
) -> None:
    """Binarize a corpus, unless an earlier run has done exactly this.

    Args:
        args: the parsed options: those of `options.add_arguments` and the recipe's own.
        langs: source and target language.
        inputs: the files that `make_splits` reads; new content means new data.
        make_splits: returns the sentence pairs of train, valid and test; called only if there is work to do.
        mono: monolingual files by language, from `text.find_mono`.
    """
    # Absolute, so that a change of the working directory does not matter; messages show `--out` as typed.
    out, shown = args.out.absolute(), args.out
    names = [f"{out.name}-text", f"{out.name}-lm.{langs[0]}", f"{out.name}-lm.{langs[1]}", out.name]
    mono_names = {lang: f"{out.name}-mono.{lang}" for lang in langs}

    settings = {k: str(v) for k, v in sorted(vars(args).items()) if k not in ("out", "raw", "mono", "workers")}
    code = [Path(__file__).with_name(f"{name}.py") for name in ("binarize", "pieces", "recipe", "splits", "text")]
    code.append(Path(make_splits.__code__.co_filename))
    key = _digest([langs, settings, pieces.VERSION, [sha256(path) for path in [*code, *inputs]]])
    mono_keys = {lang: _digest([key, sha256(path)]) for lang, path in mono.items()}
    parallel_is_finished = _is_finished([out.parent / name for name in names], key)
    finished = [lang for lang in mono if _is_finished([out.parent / mono_names[lang]], mono_keys[lang])]
    if parallel_is_finished:
        mono = {lang: path for lang, path in mono.items() if lang not in finished}
        if not mono:
            print(f"{shown}: finished already, with these settings and this text")
            return

    made = [mono_names[lang] for lang in mono] + names * (not parallel_is_finished)
    # Monolingual data of an earlier vocabulary must not remain beside the new data.
    outdated = [] if parallel_is_finished else [name for lang, name in mono_names.items() if lang not in mono]
    outdated = [name for name in outdated if (out.parent / name / STAMP).exists()]
    replaced = [(out.parent / name).resolve() for name in made + outdated]
    for path in [*inputs, *mono.values()]:
        if not set(replaced).isdisjoint(path.resolve().parents):
            raise RecipeError(f"{path} is in a folder that this run would replace: choose another --out")

    binarize.require_fairseq()
    if not parallel_is_finished and (out / STAMP).exists():
        print(
            f"note: {shown} has other settings or text and is replaced: what was trained on it has other dictionaries"
        )
    with staging(out, shown) as folder:
        if parallel_is_finished:
            for name in names:  # `_build_mono` reads them
                (folder / name).symlink_to(out.parent / name)
        else:
            _build(folder, names, langs, make_splits, args, {"key": key, "settings": settings})
        for lang, path in mono.items():
            _build_mono(folder, lang, path, args, {"key": mono_keys[lang], "settings": settings})
        _publish(folder, made, outdated)
    for name in outdated:
        print(f"removed {shown.parent / name}, made with the earlier data: --mono DIR makes it again")
    print("wrote " + ", ".join(str(shown.parent / name) for name in sorted(made)))


def _build(
    folder: Path,
    names: Sequence[str],
    langs: Tuple[str, str],
    make_splits: Callable[[], Mapping[str, Iterable[text.Pair]]],
    args: argparse.Namespace,
    stamp: Dict[str, object],
) -> None:
    """Make the four folders, complete and stamped, in `folder`."""
    plain, translation = folder / names[0], folder / names[-1]
    (plain / "spm").mkdir(parents=True)
    sizes = splits.write_splits(make_splits(), langs, plain)
    for split, size in sizes.items():
        words = ", ".join(f"{size[f'words.{lang}']:,} words in {lang}" for lang in langs)
        print(f"{split}: {size['pairs']:,} pairs, {words}")

    groups = {_model_name(lang, args.separate): [lang] if args.separate else langs for lang in langs}
    for model, group in groups.items():
        texts = [plain / f"train.{lang}" for lang in group]
        pieces.train(texts, plain / model, args.vocab_size, args.character_coverage, args.out.parent)
        for lang, split in itertools.product(group, text.SPLITS):
            pieces.encode(plain / model, plain / f"{split}.{lang}", plain / "spm" / f"{split}.{lang}")
    binarize.binarize_parallel(translation.name, langs, folder, args.out.parent, not args.separate, args.workers)
    for model in groups:
        shutil.copyfile(plain / model, translation / model)
    for name in names:
        _write_stamp(folder / name, {**stamp, "sizes": sizes})


def _build_mono(parent: Path, lang: str, mono: Path, args: argparse.Namespace, stamp: Mapping[str, object]) -> None:
    """Make one monolingual folder, complete and stamped, in `parent`, where the parallel data are already."""
    plain, folder = parent / f"{args.out.name}-text", parent / f"{args.out.name}-mono.{lang}"
    (folder / "spm").mkdir(parents=True)
    sizes = splits.write_mono(mono, lang, plain, folder)
    pieces.encode(plain / _model_name(lang, args.separate), folder / f"train.{lang}", folder / "spm" / f"train.{lang}")
    binarize.binarize_mono(args.out.name, lang, parent, args.out.parent, args.workers)
    for ending in ("bin", "idx"):
        shutil.copyfile(parent / f"{args.out.name}-lm.{lang}" / f"train.{ending}", folder / f"train1.{ending}")
    _write_stamp(folder, {**stamp, "sizes": sizes})


def _model_name(lang: str, separate: bool) -> str:
    """The file name of a language's sentencepiece model.

    The joint one has the name under which fairseq's `from_pretrained` looks for it beside a checkpoint.
    """
    return f"sentencepiece.bpe.{lang}.model" if separate else "sentencepiece.bpe.model"


def _publish(folder: Path, made: Sequence[str], outdated: Sequence[str]) -> None:
    """Move the folders `made` from `folder` to beside it, and what they replace into it: all of them, or none."""
    (folder / "replaced").mkdir()
    moves = [(folder.parent / name, folder / "replaced" / name) for name in [*outdated, *made]]
    moves = [(source, target) for source, target in moves if (source / STAMP).exists()]
    moves += [(folder / name, folder.parent / name) for name in made]
    moved = []
    try:
        for source, target in moves:
            source.rename(target)
            moved.append((source, target))
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        raise


# ---- what a folder was made from


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_stamp(folder: Path, stamp: Mapping[str, object]) -> None:
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def _is_finished(folders: Sequence[Path], key: str) -> bool:
    """Whether all folders come from a run with this key. A folder that no recipe made is refused, never overwritten."""
    keys = []
    for folder in folders:
        try:
            keys.append(json.loads((folder / STAMP).read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, LookupError, TypeError):
            if folder.is_symlink() or folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise RecipeError(
                    f"{folder} exists and no recipe made it: remove it, or choose another --out"
                ) from None
    return keys == [key] * len(folders)
