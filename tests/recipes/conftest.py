"""Fixtures of the tests of the data recipes."""

import unicodedata

import pytest
from recipes import DE, EN, run_prepare, write

from fairseq_dsl_cli.preparing import binarize


@pytest.fixture
def raw(tmp_path):
    """A folder with a small aligned de-en corpus under the usual names."""
    folder = tmp_path / "raw"
    for split, repeat in (("train", 20), ("valid", 1), ("test", 1)):
        write(folder / f"{split}.de", DE * repeat)
        write(folder / f"{split}.en", EN * repeat)
    return folder


@pytest.fixture
def preprocess_calls(monkeypatch):
    """Stands in for the slow fairseq-preprocess; the destinations it was asked for."""
    calls = []

    def stand_in(arguments, folder, shown_folder):
        destination = arguments[arguments.index("--destdir") + 1]
        (folder / destination).mkdir(exist_ok=True)
        for ending in ("bin", "idx"):
            (folder / destination / f"train.{ending}").touch()
        calls.append(destination)
        return ""

    monkeypatch.setattr(binarize, "fairseq_preprocess", stand_in)
    return calls


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """`fairseq-dsl prepare`, run once for real on Korean-English text with decomposed and invisible characters.

    It is far too small for the default --vocab-size.
    """
    folder = tmp_path_factory.mktemp("recipes")
    korean = ["집에 갑니다.", "개가 크게 짖습니다.", "새가 노래합니다.", "고양이가 잠을 잡니다.", "이것은 집입니다."]
    for split, repeat in (("training", 20), ("dev", 1), ("test", 1)):
        write(folder / "raw" / f"{split}.ko", [unicodedata.normalize("NFD", line) for line in korean] * repeat)
        write(folder / "raw" / f"{split}.en", [line.replace(" ", "\u00a0 ") + "…" for line in EN] * repeat)
    done = run_prepare("-s", "ko", "-t", "en", "--raw", "raw", "--out", "data/x", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout
