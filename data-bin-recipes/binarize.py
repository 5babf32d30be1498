"""Parallel text -> sentencepiece -> `fairseq-preprocess`, the part that every recipe shares.

A recipe finds or makes its text and calls `prepare`, which leaves four folders side by side:

    OUT          translation data: dict.SRC.txt, dict.TGT.txt, train, valid and test, and the sentencepiece model(s)
    OUT-lm.SRC   the same source sentences as language-model data, numbered with the translation dictionary
    OUT-lm.TGT   the same for the target language
    OUT-text     train, valid and test as plain text (the references), and under spm/ as sentencepiece pieces

and, of monolingual text, made with the vocabulary of the parallel text and without its valid and test sentences:

    OUT-mono.LANG   train (monolingual) and valid (parallel) like OUT-lm.LANG; train.LANG as plain text, and under spm/

Each of them holds `recipe.json`: a key of everything that the data depends on, the settings and the sizes. A run whose
keys they all have is finished already; the first four do not depend on the monolingual text. Folders are built under
another name and renamed when all are complete (see staging.py): what stands under these names is never half a corpus.
"""

import argparse
import gzip
import hashlib
import importlib.util
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
import unicodedata
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from options import RecipeError, existing_folder, new_folder, number
from staging import staging

try:
    import sentencepiece
except ImportError:
    sys.exit(f"error: {sys.executable} has no sentencepiece: install fairseq_dsl into that Python (pip install .), "
             f"or set PYTHON to the one that has it")  # fmt: skip

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
import children  # noqa: E402  (the scripts' own; a second copy of it would have to learn the same lessons)

Pair = Tuple[str, str]

SPLITS = ("train", "valid", "test")
# What corpora call these files; the first name found is taken.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "dev"),
    "test": ("test", "test_2016_flickr"),
}
STAMP = "recipe.json"

# Control characters, zero-width spaces and byte order marks: invisible to a reader of the text, but symbols to a model.
_REPLACED = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2060, 0xFEFF], " ")
# What pieces have for a space: joining them, by sentencepiece or by fairseq, would make a space of the text's own too.
SPACE_MARK = "\u2581"
_REPLACED[ord(SPACE_MARK)] = "_"
# A run of characters that the vocabulary lacks is one piece. fairseq must not take it for a symbol of its own.
_FAIRSEQ_SYMBOLS = frozenset(("<s>", "<pad>", "</s>", "<unk>"))


def add_arguments(parser: argparse.ArgumentParser, vocab_size: int) -> None:
    """The options that every recipe has."""
    parser.add_argument("--out", type=new_folder, metavar="DIR",
                        help="translation data; the other folders are named after it")  # fmt: skip
    parser.add_argument("--vocab-size", type=number(int, 1, 2**31 - 1), default=vocab_size, metavar="N",
                        help="sentencepiece pieces at most; a small corpus may yield fewer")  # fmt: skip
    parser.add_argument("--character-coverage", type=number(float, 0.98, 1), default=1.0, metavar="X",
                        help="share of characters that get a piece; 0.9995 for large Chinese, Japanese or Korean text")  # fmt: skip
    parser.add_argument("--separate", action="store_true",
                        help="one sentencepiece model and dictionary for each language instead of a joint one")  # fmt: skip
    parser.add_argument("--workers", type=number(int, 1, 256), default=1, metavar="N",
                        help="processes for fairseq-preprocess")  # fmt: skip


def add_mono_argument(parser: argparse.ArgumentParser) -> None:
    """The option of recipes that also take monolingual text; see `find_mono`."""
    parser.add_argument("--mono", type=existing_folder, metavar="DIR",
                        help="folder with monolingual text: mono.LANG or mono.LANG.gz, of one or both languages")  # fmt: skip


def run(command: Sequence[str], **options) -> Tuple[int, str]:
    """Run a command that ends when this process does, however that ends; return its exit code and output.

    Args:
        options: as of `subprocess.Popen`; ``stdout=None`` and ``stderr=None`` show the output instead
    """
    process = children.start(command, **options)
    try:
        output, _ = process.communicate()
    finally:
        children.stop([process])
    return process.returncode, output


# --- text -------------------------------------------------------------------------------------------------------------


def clean(line: str) -> str:
    """Composed Unicode, single spaces, nothing invisible: a line that sentencepiece gives back unchanged."""
    return " ".join(unicodedata.normalize("NFC", line).translate(_REPLACED).split())


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, or of one in gzip format whose name ends in .gz.

    Only a newline ends a line. (Python's text files and `str.splitlines` also break at a carriage return or U+2028
    inside a sentence, and every later sentence would then stand beside a wrong translation.) Lines in which `clean`
    changes more than spaces are counted, and this is said.
    """
    number = changed = marks = 0
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8")
                cleaned = clean(text)
                changed += cleaned != " ".join(text.split())
                marks += text.count(SPACE_MARK)
                yield cleaned
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start + 1} of the line); "
                f"convert it first, for example with iconv -f latin1 -t utf-8"
            ) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecipeError(f"{path}, after line {number}: damaged gzip file ({error}); fetch it again") from None
    if changed:
        print(f"{path}: changed characters in {changed:,} of {number:,} lines: Unicode composed (NFC), invisible "
              f"characters to spaces, U+2581 to '_'")  # fmt: skip
    if marks:
        print(f"note: {path} had {marks:,} times U+2581, which sentencepiece writes for a space: "
              f"if the text is in pieces already, join them first")  # fmt: skip


def read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    """The sentence pairs of two aligned files, without those that have an empty side."""
    empty = number = 0
    source_lines, target_lines = read_lines(source), read_lines(target)
    for number, (x, y) in enumerate(itertools.zip_longest(source_lines, target_lines), start=1):
        if x is None or y is None:
            longer = number + sum(1 for _ in (source_lines if y is None else target_lines))
            counts = (longer, number - 1) if y is None else (number - 1, longer)
            raise RecipeError(
                f"{source} has {counts[0]:,} lines and {target} has {counts[1]:,}: "
                f"line n of one must be the translation of line n of the other"
            )
        if x and y:
            yield x, y
        else:
            empty += 1
    if empty:
        print(f"{source}, {target.name}: dropped {empty:,} of {number:,} pairs, a side is empty")


def find_text(folder: Path, split: str, lang: str) -> Path:
    """The file of `folder` that holds this split and language, under one of its usual names."""
    names = [f"{name}.{lang}{suffix}" for name in SPLIT_NAMES[split] for suffix in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise RecipeError(f"{folder} has no {split} text in '{lang}': looked for {', '.join(names)}")


def find_mono(folder: Optional[Path], langs: Sequence[str]) -> Dict[str, Path]:
    """The monolingual files of `folder` by language; one language is enough. None without `--mono`."""
    if folder is None:
        return {}
    names = {lang: (f"mono.{lang}", f"mono.{lang}.gz") for lang in langs}
    found = {lang: folder / name for lang in langs for name in reversed(names[lang]) if (folder / name).is_file()}
    if not found:
        raise RecipeError(f"--mono {folder}: no text there, looked for {', '.join(itertools.chain(*names.values()))}")
    for lang in langs:
        if lang not in found:
            print(f"note: --mono {folder} has no {' or '.join(names[lang])}: no monolingual data are made in '{lang}'")
    return found


def hold_out(pairs: Iterable[Pair], size: int, key: Callable[[str], str],
             eligible: Callable[[Pair], bool] = lambda pair: True) -> Dict[str, List[Pair]]:  # fmt: skip
    """Split `pairs` into train, `size` for valid and `size` for test.

    The choice depends on each pair's text alone, not on its position. No two of the three splits share a sentence on
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
    return splits


def _write_text(splits: Mapping[str, Iterable[Pair]], langs: Sequence[str], folder: Path) -> Dict[str, Dict[str, int]]:
    """Write each split as plain text; return its numbers of pairs and of words on either side."""
    sizes = {}
    test: List[Set[str]] = [set(), set()]
    repeated: List[Set[str]] = [set(), set()]
    for split in reversed(SPLITS):  # test before train, to see which of its sentences stand in training
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
            raise RecipeError(f"the {split} split has no sentence pairs")
        sizes[split] = {"pairs": count, f"words.{langs[0]}": words[0], f"words.{langs[1]}": words[1]}
    if any(repeated):
        shares = " and ".join(f"{len(found):,} of {len(all_):,} in {lang}"
                              for found, all_, lang in zip(repeated, test, langs))  # fmt: skip
        print(f"note: distinct test sentences that also stand in training: {shares}")
    return {split: sizes[split] for split in SPLITS}


def _write_mono(mono: Path, lang: str, text: Path, folder: Path) -> Dict[str, int]:
    """Write each sentence of a monolingual file once, without those that stand in valid or test; return the counts."""
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
    print(f"{mono}: {len(seen):,} sentences, {counts['words']:,} words; dropped {counts['empty']:,} empty lines, "
          f"{counts['held out']:,} lines that stand in valid or test, {counts['duplicate']:,} duplicates")  # fmt: skip
    if not seen:
        raise RecipeError(f"--mono: no sentence of {mono} is left")
    return {"sentences": len(seen), **counts}


def _show(command: Sequence[str], folder: Path) -> None:
    """Print a command as the reader could type it, in the folder where its result will stand."""
    print(f"cd {shlex.quote(str(folder))} && {shlex.join(command)}", flush=True)


# --- sentencepiece ----------------------------------------------------------------------------------------------------


def _train_sentencepiece(texts: Sequence[Path], model: Path, vocab_size: int, character_coverage: float,
                         shown_folder: Path) -> None:  # fmt: skip
    """Train one BPE model on all `texts` together. Lines are `clean` already: sentencepiece shall not change them."""
    options = dict(
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,  # a small corpus has fewer pieces than asked for: take what there is
        character_coverage=character_coverage,
        normalization_rule_name="identity",
        input_sentence_size=2_000_000,
        shuffle_input_sentence=True,
    )
    # The Python package has no such command; who has the C++ tools can type it.
    text_folder = model.parent.name
    command = ["spm_train", "--input=" + ",".join(f"{text_folder}/{text.name}" for text in texts),
               f"--model_prefix={text_folder}/{model.stem}"]  # fmt: skip
    _show([*command, *(f"--{name}={str(value).lower()}" for name, value in options.items())], shown_folder)
    sentencepiece.set_random_generator_seed(1)  # which sentences are taken when there are more than that
    trained = io.BytesIO()

    def train() -> None:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=itertools.chain.from_iterable(map(read_lines, texts)),
            model_writer=trained,
            minloglevel=2,
            **options,
        )

    thread = ThreadPoolExecutor(1)
    training = thread.submit(train)
    thread.shutdown(wait=False)
    try:
        training.result()  # in a thread, so that Ctrl-C need not wait for it
    except RuntimeError as error:
        raise RecipeError(
            f"sentencepiece could not train {model.name} with --vocab-size {vocab_size}: {error}. "
            f"If the characters alone are more than that, raise --vocab-size or lower --character-coverage"
        ) from None
    model.write_bytes(trained.getvalue())


def _encode(model: Path, text: Path, pieces: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    with open(pieces, "w", encoding="utf-8", newline="\n") as file:
        for line in read_lines(text):
            encoded: List[str] = []
            for piece in processor.encode(line, out_type=str):
                encoded.extend(piece if piece in _FAIRSEQ_SYMBOLS else [piece])
            if "".join(encoded).replace(SPACE_MARK, " ").strip() != line:
                raise RecipeError(f"sentencepiece's pieces do not give this sentence of {text.name} back: {line!r}")
            file.write(" ".join(encoded) + "\n")


# --- fairseq-preprocess -----------------------------------------------------------------------------------------------


def _find_fairseq() -> None:
    if importlib.util.find_spec("fairseq_cli") is None:
        raise RecipeError(
            f"{sys.executable} has no fairseq-preprocess: "
            f"install fairseq_dsl into that Python (pip install .), or set PYTHON to the one that has it"
        )


def _fairseq_preprocess(arguments: Sequence[str], folder: Path, shown_folder: Path) -> str:
    """Run it; return what it printed. Every sentence has to be in what it made."""
    _show(["fairseq-preprocess", *arguments], shown_folder)
    environment = {**os.environ, "LOGLEVEL": "INFO", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    program = Path(__file__).with_name("preprocess.py")
    code, output = run([sys.executable, str(program), *arguments], cwd=folder, env=environment)
    if code:
        print(output)
        raise RecipeError(f"fairseq-preprocess ended with exit code {code}: {(output.splitlines() or [''])[-1]}")
    counted = re.findall(r"\[\w+\] (.+): (\d+) sents, ", output)
    if not counted:
        raise RecipeError("fairseq-preprocess did not say how many sentences it made")
    for text, sentences in counted:
        with open(folder / text, "rb") as file:
            lines = sum(1 for _ in file)
        if int(sentences) != lines:
            raise RecipeError(f"fairseq-preprocess made {int(sentences):,} sentences of the {lines:,} lines in {text}")
    return output


def _binarize(name: str, langs: Sequence[str], folder: Path, shown_folder: Path, joint: bool,
              workers: int) -> None:  # fmt: skip
    def preprocess(destination: str, suffix: str, *arguments: str) -> None:
        for split in SPLITS:
            arguments += (f"--{split}pref", f"{name}-text/spm/{split}{suffix}")
        arguments += ("--destdir", destination, "--workers", str(workers))
        _fairseq_preprocess(arguments, folder, shown_folder)

    preprocess(name, "", "--source-lang", langs[0], "--target-lang", langs[1], *(["--joined-dictionary"] * joint))
    for lang in langs:
        preprocess(f"{name}-lm.{lang}", f".{lang}", "--only-source", "--srcdict", f"{name}/dict.{lang}.txt")


# --- the whole recipe -------------------------------------------------------------------------------------------------


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_stamp(folder: Path, stamp: Mapping[str, object]) -> None:
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def _is_finished(folders: Sequence[Path], key: str) -> bool:
    """Whether all folders come from a run with this key. One that no recipe made is refused, never overwritten."""
    keys = []
    for folder in folders:
        try:
            keys.append(json.loads((folder / STAMP).read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, LookupError, TypeError):
            if folder.is_symlink() or folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise RecipeError(f"{folder} exists and no recipe made it: remove it, or choose another --out") from None
    return keys == [key] * len(folders)


def prepare(args: argparse.Namespace, langs: Tuple[str, str], inputs: Sequence[Path],
            make_splits: Callable[[], Mapping[str, Iterable[Pair]]], mono: Mapping[str, Path] = {}) -> None:  # fmt: skip
    """Binarize a corpus, unless an earlier run has done exactly this.

    Args:
        args: the parsed options: those of `add_arguments` and the recipe's own
        langs: source and target language
        inputs: files that `make_splits` reads; new content means new data
        make_splits: returns the sentence pairs of train, valid and test; called only where there is work to do
        mono: monolingual files by language, of `find_mono`
    """
    # Absolute, so that a changed working directory does not matter; `--out` as typed is what the user wants to read.
    out, shown = args.out.absolute(), args.out
    names = [f"{out.name}-text", f"{out.name}-lm.{langs[0]}", f"{out.name}-lm.{langs[1]}", out.name]
    mono_names = {lang: f"{out.name}-mono.{lang}" for lang in langs}

    settings = {k: str(v) for k, v in sorted(vars(args).items()) if k not in ("out", "raw", "mono", "workers")}
    code = [Path(__file__), Path(make_splits.__code__.co_filename)]
    key = _digest([langs, settings, sentencepiece.__version__, [_sha256(path) for path in [*code, *inputs]]])
    mono_keys = {lang: _digest([key, _sha256(path)]) for lang, path in mono.items()}
    parallel_is_finished = _is_finished([out.parent / name for name in names], key)
    finished = [lang for lang in mono if _is_finished([out.parent / mono_names[lang]], mono_keys[lang])]
    if parallel_is_finished:
        mono = {lang: path for lang, path in mono.items() if lang not in finished}
        if not mono:
            print(f"{shown}: finished already, with these settings and this text")
            return

    made = [mono_names[lang] for lang in mono] + names * (not parallel_is_finished)
    # Monolingual data of an earlier vocabulary must not stand beside the new one.
    outdated = [] if parallel_is_finished else [name for lang, name in mono_names.items() if lang not in mono]
    outdated = [name for name in outdated if (out.parent / name / STAMP).exists()]
    replaced = [(out.parent / name).resolve() for name in made + outdated]
    for path in [*inputs, *mono.values()]:
        if not set(replaced).isdisjoint(path.resolve().parents):
            raise RecipeError(f"{path} is in a folder that this run would replace: choose another --out")

    _find_fairseq()  # what is not installed is said before the work, not after
    with staging(out, shown) as folder:
        if parallel_is_finished:
            for name in (names[0], names[-1]):  # what `_build_mono` reads
                (folder / name).symlink_to(out.parent / name)
        else:
            _build(folder, names, langs, make_splits, args, {"key": key, "settings": settings})
        for lang, path in mono.items():
            _build_mono(folder, lang, path, args, {"key": mono_keys[lang], "settings": settings})
        _publish(folder, made, outdated)
    for name in outdated:
        print(f"removed {shown.parent / name}, made with the earlier data: --mono DIR makes it again")
    print("wrote " + ", ".join(str(shown.parent / name) for name in reversed(made)))


def _publish(folder: Path, made: Sequence[str], outdated: Sequence[str]) -> None:
    """Put the folders `made` in `folder` beside it, and into it what stood there: all of them, or none."""
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


def _build(folder: Path, names: Sequence[str], langs: Tuple[str, str],
           make_splits: Callable[[], Mapping[str, Iterable[Pair]]], args: argparse.Namespace,
           stamp: Dict[str, object]) -> None:  # fmt: skip
    """Make the four folders, complete and stamped, inside `folder`."""
    text, translation = folder / names[0], folder / names[-1]
    (text / "spm").mkdir(parents=True)
    sizes = _write_text(make_splits(), langs, text)
    for split, size in sizes.items():
        words = ", ".join(f"{size[f'words.{lang}']:,} words in {lang}" for lang in langs)
        print(f"{split}: {size['pairs']:,} pairs, {words}")

    # The joint model has the name under which fairseq's `from_pretrained` looks for one beside a checkpoint.
    groups = {f"sentencepiece.bpe.{lang}.model": [lang] for lang in langs} if args.separate else {
        "sentencepiece.bpe.model": langs}  # fmt: skip
    for model, group in groups.items():
        _train_sentencepiece([text / f"train.{lang}" for lang in group], text / model,
                             args.vocab_size, args.character_coverage, args.out.parent)  # fmt: skip
        for lang, split in itertools.product(group, SPLITS):
            _encode(text / model, text / f"{split}.{lang}", text / "spm" / f"{split}.{lang}")
    _binarize(translation.name, langs, folder, args.out.parent, not args.separate, args.workers)
    for model in groups:
        shutil.copyfile(text / model, translation / model)
    for name in names:
        _write_stamp(folder / name, {**stamp, "sizes": sizes})


def _build_mono(parent: Path, lang: str, mono: Path, args: argparse.Namespace, stamp: Mapping[str, object]) -> None:
    """Make one monolingual folder, complete and stamped, inside `parent`, where the parallel data stand already."""
    data, text, folder = args.out.name, parent / f"{args.out.name}-text", parent / f"{args.out.name}-mono.{lang}"
    model = text / (f"sentencepiece.bpe.{lang}.model" if args.separate else "sentencepiece.bpe.model")
    (folder / "spm").mkdir(parents=True)
    sizes = _write_mono(mono, lang, text, folder)
    _encode(model, folder / f"train.{lang}", folder / "spm" / f"train.{lang}")
    arguments = ["--only-source", "--srcdict", f"{data}/dict.{lang}.txt",
                 "--trainpref", f"{folder.name}/spm/train.{lang}", "--validpref", f"{text.name}/spm/valid.{lang}",
                 "--destdir", folder.name, "--workers", str(args.workers)]  # fmt: skip
    for line in _fairseq_preprocess(arguments, parent, args.out.parent).splitlines():
        if "replaced (by <unk>)" in line:  # a large share: text of another kind than the vocabulary's
            print(line)
    _write_stamp(folder, {**stamp, "sizes": sizes})
