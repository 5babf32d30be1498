"""A damaged data folder ends training, validation and translation in the same line."""

import shutil
from pathlib import Path

import pytest
from commands import binarize, command, dsl_flags, generate, train, write_pairs

from fairseq_dsl.errors import BadInput


@pytest.fixture(scope="module")
def damaged(chain, tmp_path_factory):
    """Folders with the dictionary of the chain, by what is wrong with every split."""
    folder = tmp_path_factory.mktemp("damaged")
    for split, pairs in chain.pairs.items():
        (_, target), *others = [pair for pair in pairs if all(pair)]
        write_pairs(folder / "text" / split, [("w0\rw1", target), *others])
    made = {"a carriage return": binarize(folder / "text", folder / "return", "--srcdict", chain.data / "dict.de.txt")}
    made["a cut file"] = Path(shutil.copytree(chain.data, folder / "cut"))
    for path in made["a cut file"].glob("*.de-en.en.bin"):
        path.write_bytes(path.read_bytes()[:-2])
    made["a dictionary with a symbol twice"] = Path(shutil.copytree(chain.data, folder / "twice"))
    with open(made["a dictionary with a symbol twice"] / "dict.en.txt", "a") as file:
        file.write("w0 1\n")
    return made


MESSAGES = {
    "a carriage return": r"the split {split}.de-en, found \d+ (de|en) sentences and \d+ (en|de) sentences",
    "a cut file": r"{split}.de-en.en.bin: expected \d+ bytes for \d+ sentences, found \d+",
    "a dictionary with a symbol twice": "dict.en.txt: not a dictionary of fairseq .*Duplicate word",
}


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize("name", ["train", "validate", "generate"])
def test_every_command_says_what_is_damaged(chain, dual, damaged, tmp_path, name, what):
    data, split = damaged[what], {"train": "train|valid", "validate": "valid", "generate": "test"}[name]
    message = MESSAGES[what].replace("{split}", f"({split})")
    with pytest.raises(BadInput, match=message) as caught:
        if name == "train":
            train(data, *dsl_flags(chain), "--dsl-lambda", 0, "--max-update", 1, "--save-dir", tmp_path)
        elif name == "validate":
            command("validate", data, "--task", "dual_translation", "--path", dual, "--batch-size", 8, "--cpu")
        else:
            generate(data, "en-de", dual)
    assert str(data) in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.pt"))
