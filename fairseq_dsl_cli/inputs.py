"""What a command reads: the files that its words name, told apart by their content."""

import functools
import hashlib
import os
from pathlib import Path

# Flags whose values are no input: names that a folder may happen to have, code, and what the command itself writes.
_NO_INPUT = set(
    "-s --source-lang -t --target-lang -a --arch --task --criterion --optimizer --lr-scheduler --user-dir --save-dir "
    "--log-file --tensorboard-logdir --marginal-cache --save-samples --results-path".split()
)
_SEPARATORS = (os.pathsep, ",", "=", None)  # A:B, A,B, NAME=A, and flags within a flag; None is white space
_QUOTES = "\"'()[]{} "
_NO_DATA = {"preprocess.log"}  # in a data folder: what fairseq-preprocess printed


def files_of(command, besides=None):
    """Returns the files that a command names, in order, and the files of the folders that it names.

    Sub-folders are left out: fairseq reads none, and keeps the marginals' cache in one.

    Args:
        command: words.
        besides: a folder whose files, which the command writes, are none of its inputs.
    """
    paths, flag = {}, None
    for word in command:
        if word.startswith("-"):
            flag = word.partition("=")[0]
        if flag not in _NO_INPUT:
            paths.update(dict.fromkeys(_paths_in(word)))
        if not word.startswith("-"):
            flag = None  # one value; what follows may be a flag's second value, or the data
    files = {}
    for path in map(Path, paths):
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        files.update((file, None) for file in found if file.is_file() and file.name not in _NO_DATA)
    outside = besides and Path(besides).resolve()
    return [file for file in files if not outside or outside not in file.resolve().parents]


def _paths_in(word):
    """Existing paths that a word is or holds, such as both of `--path=a.pt:b.pt`; the longest that exist."""
    if word.startswith("-") and "=" in word:
        return _paths_in(word.partition("=")[2])
    for path in (word, word.strip(_QUOTES)):
        if os.path.exists(path):
            return [path]
    for separator in _SEPARATORS:
        parts = word.split(separator)
        if len(parts) > 1:
            return [path for part in parts for path in _paths_in(part)]
    return []


def sha256(path):
    """The digest of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=None)
def checksum(path):
    """The content of a file in 16 hexadecimal digits; of one that does not change while the command runs."""
    return sha256(path)[:16]
