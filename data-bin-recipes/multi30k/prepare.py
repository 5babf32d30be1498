"""Binarize Multi30k task 1 (image captions), German, French or Czech to English, and monolingual captions."""

import http.client
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fairseq_dsl_cli.preparing.options import (
    Parser,
    RecipeError,
    add_arguments,
    add_mono_argument,
    existing_folder,
    run_main,
)
from fairseq_dsl_cli.preparing.recipe import prepare
from fairseq_dsl_cli.preparing.staging import staging
from fairseq_dsl_cli.preparing.text import SPLITS, find_mono, find_text, read_parallel

URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
FILES = {"train": "train", "valid": "val", "test": "test_2016_flickr"}


def download(name: str, folder: Path) -> None:
    """Download one file into `folder`, completely or not at all; one that exists already is kept."""
    if (folder / name).exists():
        return
    print(f"curl -L -o {folder / name} {URL}{name}", flush=True)
    try:
        with urllib.request.urlopen(URL + name, timeout=60) as response:
            body = response.read()  # about 1 MB; read() without a size notices a truncated body
    except (OSError, http.client.HTTPException) as error:
        raise RecipeError(
            f"cannot download {URL}{name}: {error}. Fetch {', '.join(FILES.values())} in both languages from "
            f"https://github.com/multi30k/dataset in another way, and give their folder with --raw DIR"
        ) from None
    with staging(folder / name) as beside:
        (beside / name).write_bytes(body)
        (beside / name).rename(folder / name)


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--lang", choices=("de", "fr", "cs"), default="de", help="the source language (default: %(default)s)"
    )
    parser.add_argument("--raw", type=existing_folder, metavar="DIR",
                        help="folder with the text (train.LANG, val.LANG, test_2016_flickr.LANG, or .gz of these); "
                             "otherwise the text is downloaded")  # fmt: skip
    add_arguments(parser, vocab_size=10000)
    add_mono_argument(parser)
    args = parser.parse_args()
    langs = (args.lang, "en")
    if args.out is None:
        args.out = Path(f"data-bin/multi30k-{args.lang}-en")
    mono = find_mono(args.mono, langs)
    raw = args.raw
    if raw is None:
        raw = args.out.parent / "download" / "multi30k"
        for name in FILES.values():
            for lang in langs:
                download(f"{name}.{lang}.gz", raw)
    files = {split: [find_text(raw, split, lang) for lang in langs] for split in SPLITS}

    def make_splits():
        return {split: read_parallel(*pair) for split, pair in files.items()}

    prepare(args, langs, [path for pair in files.values() for path in pair], make_splits, mono)


if __name__ == "__main__":
    run_main(main)
