"""What is wrong in one way each, and how a command refuses it."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from commands import (
    LM_TASK,
    TRANSFORMER_LM,
    binarize,
    binarize_for_lm,
    edited,
    train,
    train_lm,
    train_translation,
    write_pairs,
)

from fairseq_dsl.errors import BadInput

CHECKPOINT_FLAGS = ("--primal-checkpoint", "--dual-checkpoint", "--source-lm", "--target-lm")


class RunsCode:
    """Unpickled, it writes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


def make_bad(folder, chain, separate):
    """Make files and folders that are wrong in one way each; return their paths by name."""
    whole = Path(chain.warm["de-en"]).read_bytes()
    made = {"missing": folder / "missing.pt", "cut": folder / "cut.pt", "corrupt": folder / "corrupt.pt"}
    made["cut"].write_bytes(whole[: len(whole) // 2])
    made["corrupt"].write_bytes(b"this is text, not a checkpoint\n" * 20)
    made["empty"] = folder / "empty.pt"
    made["empty"].write_bytes(b"")
    made["damaged"] = folder / "damaged.pt"
    made["damaged"].write_bytes(whole[:100] + bytes(200) + whole[300:])
    made["code"], made["marker"] = folder / "code.pt", folder / "marker"
    torch.save({**torch.load(chain.warm["de-en"]), "extra": RunsCode(made["marker"])}, made["code"])
    # language models
    once = ("--max-update", 1, "--disable-validation", "--required-batch-size-multiple", 1)
    data = chain.lm_data["de"]
    task = [*LM_TASK[:2], *LM_TASK[4:]]  # without --sample-break-mode eos
    for name, flags in {
        "lm across sentences": task,
        "lm in blocks": [*task, "--sample-break-mode", "complete"],
        "lm with bos": [*LM_TASK, "--add-bos-token"],
        "lm too short": [*LM_TASK[:4], "--tokens-per-sample", 4, "--skip-invalid-size-inputs-valid-test"],
    }.items():
        train(data, *flags, *TRANSFORMER_LM, *once, "--save-dir", folder / name)
        made[name] = folder / name / "checkpoint_last.pt"
    # vocabularies: the same symbols in another order, and one fewer
    symbols = (chain.data / "dict.de.txt").read_text().splitlines()
    for name, lines in {"order": symbols[::-1], "fewer": symbols[:-1]}.items():
        dictionary = folder / f"dict.{name}.txt"
        dictionary.write_text("\n".join(lines) + "\n")
        made[f"lm {name}"] = train_lm(
            binarize_for_lm(chain.text, "de", dictionary, folder / f"bin-lm.{name}"), folder / f"lm.{name}", *once
        )
        pairs = binarize(chain.text, folder / f"bin.{name}", "--srcdict", dictionary)
        made[f"warm {name}"] = train_translation(pairs, "de-en", folder / f"warm.{name}", *once)
        made[f"data {name}"] = pairs
    # other languages
    made["data fr"] = folder / "bin.fr"
    shutil.copytree(chain.data, made["data fr"])
    for path in sorted(made["data fr"].glob("*en*")):
        path.rename(path.with_name(re.sub(r"\ben\b", "fr", path.name)))
    made["warm fr"] = edited(chain.warm["de-en"], folder / "fr.pt", task__target_lang="fr")
    made["no train"] = folder / "bin.no-train"
    shutil.copytree(chain.data, made["no train"])
    for path in made["no train"].glob("train.*"):
        path.unlink()
    # language models whose own data folder is gone, so that no dictionary is beside them
    for language in ("de", "en"):
        made[f"lm moved {language}"] = edited(
            chain.lm[language], folder / f"moved.{language}.pt", task__data="/nowhere"
        )
        name = f"moved separate {language}"
        made[name] = edited(separate.lm[language], folder / f"{name}.pt", task__data="/nowhere")
    for direction in ("de-en", "en-de"):  # warm starts that do not tell their direction, nor their dictionary
        untold = dict(task__source_lang=None, task__target_lang=None, task__data="/nowhere")
        made[f"untold {direction}"] = edited(chain.warm[direction], folder / f"untold.{direction}.pt", **untold)
    # monolingual text, and where samples are to be saved
    made["mono order"], made["mono fewer"] = folder / "bin-lm.order", folder / "bin-lm.fewer"
    for name, lines in {"mono empty": [], "mono blank": [""] * 3, "mono long": ["w0 " * 100] * 2}.items():
        for split, part in (("train", lines), ("valid", ["w0"])):
            write_pairs(folder / name / split, [(line, line) for line in part])
        made[name] = binarize_for_lm(folder / name, "de", chain.data / "dict.de.txt", folder / f"{name}.bin")
    made["mono cut"] = folder / "mono-cut"
    shutil.copytree(chain.lm_data["de"], made["mono cut"])
    made["mono cut"].joinpath("train.bin").unlink()
    made["mono bare"] = folder / "mono-bare"
    shutil.copytree(chain.lm_data["de"], made["mono bare"])
    made["mono bare"].joinpath("dict.txt").unlink()
    made["mono translation"], made["mono file"], made["mono nowhere"] = chain.data, made["corrupt"], Path("/nowhere")
    made["below a file"] = made["corrupt"] / "samples"
    made["warm en-de"], made["warm de-en"], made["a lm"] = chain.warm["en-de"], chain.warm["de-en"], chain.lm["de"]
    made["mono de"], made["mono en"] = chain.lm_data["de"], chain.lm_data["en"]
    made["swapped"] = f"{chain.warm['en-de']}:{chain.warm['de-en']}"
    made["swapped untold"] = f"{made['untold en-de']}:{made['untold de-en']}"
    made["same untold"] = f"{made['untold de-en']}:{made['untold de-en']}"
    made["three"] = f"{chain.warm['de-en']}:{chain.warm['en-de']}:{chain.warm['de-en']}"
    return made


def replaced(flags, **values):
    """The flags with other values; None removes a flag."""
    flags = list(flags)
    for name, value in values.items():
        name = "--" + name.replace("_", "-")
        if name in flags:
            i = flags.index(name)
            del flags[i : i + 2]
        if value is not None:
            flags += [name, value]
    return flags


def refusal(folder, command, *arguments):
    """The message that a command ends with; nothing was trained or saved."""
    with pytest.raises(BadInput) as caught:
        command(*arguments)
    assert not list(folder.glob("**/*.pt")), "a checkpoint was written"
    message = str(caught.value)
    assert "\n" not in message.strip()
    assert len(message) < 700
    return message


def check(message, patterns):
    for pattern in patterns:
        assert re.search(pattern, message), f"{pattern!r} is not in: {message}"


def check_training_is_refused(folder, data, flags, patterns):
    """One update would have been trained, had nobody objected."""
    own = ["--max-update", 1, "--save-dir", folder, "--marginal-cache", folder / "cache"]
    check(refusal(folder, train, data, *flags, *own), patterns)
