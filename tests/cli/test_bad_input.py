"""Each kind of bad input gets one message that names the flag or file, what was found and what was expected."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from commands import (
    LM_TASK,
    PLUGIN,
    TASK,
    TRAINING,
    TRANSFORMER,
    TRANSFORMER_LM,
    binarize,
    binarize_for_lm,
    command,
    dsl_flags,
    edited,
    generate,
    lm_flags,
    load,
    mono_flags,
    script,
    train,
    train_lm,
    train_translation,
    warm_flags,
    write_pairs,
)

from fairseq_dsl.compat import SAFE_LOADING
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel


class RunsCode:
    """Unpickled, it writes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.fixture(scope="module")
def bad(chain, separate, tmp_path_factory):
    """Files and folders that are wrong in one way each, by name."""
    folder = tmp_path_factory.mktemp("bad")
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
    """The command with other values of its flags; None takes a flag away."""
    flags = list(flags)
    for name, value in values.items():
        name = "--" + name.replace("_", "-")
        if name in flags:
            i = flags.index(name)
            del flags[i : i + 2]
        if value is not None:
            flags += [name, value]
    return flags


def whole(**values):
    return lambda chain, bad: replaced(dsl_flags(chain), **{k: bad.get(v, v) for k, v in values.items()})


def pair(*flags):
    """A pair that is not from checkpoints."""
    return lambda chain, bad: [*TASK, *lm_flags(chain), *flags]


MONO, LMS = ("--source-mono", "--target-mono"), ("--source-lm", "--target-lm")


def method(name, *flags, without=()):
    """A command of a method that samples, but for some flags."""

    def make(chain, bad):
        given = [*TASK, *warm_flags(chain), *lm_flags(chain), *mono_flags(chain.lm_data), "--criterion", name]
        none = {flag[2:].replace("-", "_"): None for flag in (*without, *[f for f in flags if f in MONO])}
        return [*replaced(given, **none), *(bad.get(flag, flag) for flag in flags)]

    return make


ROUND_TRIPS = ("dual_learning", "marginal_regularized_cross_entropy", "back_translation_cross_entropy")
dual_learning, marginal, back_translation = (partial(method, name) for name in ROUND_TRIPS)
minimum_risk = partial(method, "minimum_risk", without=MONO)


def swapped_lms(chain, bad):
    return replaced(dsl_flags(chain), source_lm=chain.lm["en"], target_lm=chain.lm["de"])


def swapped_moved_lms(chain, bad):
    return replaced(dsl_flags(chain), source_lm=bad["lm moved en"], target_lm=bad["lm moved de"])


ARCHS = ("--arch", "dual_translation", "--primal-arch", "lstm", "--dual-arch", "lstm")
FLAGS = ("--primal-checkpoint", "--dual-checkpoint", "--source-lm", "--target-lm")

# name: (what to add to a command that is right, what the message must match, each as a regular expression)
CASES = {
    "no language models": (
        lambda chain, bad: [*TASK, *warm_flags(chain)],
        ["--dsl-lambda 0.01", "language model", "--source-lm", "--target-lm", "--dsl-lambda 0"],
    ),
    "no source language model": (whole(source_lm=None), ["--source-lm", "missing", "--target-lm"]),
    "no target language model": (whole(target_lm=None), ["--target-lm", "missing", "--source-lm"]),
    "lambda of the dual direction alone": (
        lambda chain, bad: [*TASK, *warm_flags(chain), "--dsl-lambda", 0, "--dsl-lambda-dual", 0.1],
        ["--dsl-lambda-dual 0.1", "language model", "--source-lm"],
    ),
    "negative lambda": (whole(dsl_lambda=-0.1), ["--dsl-lambda -0.1", "0 or more"]),
    "negative lambda of the dual direction": (whole(dsl_lambda_dual=-1), ["--dsl-lambda-dual -1", "0 or more"]),
    "lambda that is no number": (whole(dsl_lambda="nan"), ["--dsl-lambda nan", "number"]),
    "infinite lambda": (whole(dsl_lambda="inf"), ["--dsl-lambda inf", "number"]),
    "negative ramp": (whole(dsl_ramp_updates=-5), ["--dsl-ramp-updates -5", "0 or more"]),
    "negative start": (whole(dsl_start_update=-5), ["--dsl-start-update -5", "0 or more"]),
    "gap clip of 0": (whole(dsl_gap_clip=0), ["--dsl-gap-clip 0", "above 0"]),
    "label smoothing of 1": (whole(label_smoothing=1), ["--label-smoothing 1", "below 1"]),
    "negative clip norm": (whole(per_model_clip_norm=-1), ["--per-model-clip-norm -1", "0 or more"]),
    # checkpoints that cannot be read
    **{
        f"{flag} {kind}": (whole(**{flag[2:].replace("-", "_"): kind}), [flag, rf"{kind}\.pt", words])
        for flag in FLAGS
        for kind, words in {
            "missing": "no such file",
            "cut": "truncated|corrupt|not a checkpoint",
            "corrupt": "corrupt|not a checkpoint",
            "empty": "corrupt|truncated|not a checkpoint",
            "damaged": "corrupt|truncated|not a checkpoint|contains no",
        }.items()
    },
    # the wrong kind of model
    "a translation model as language model": (
        lambda chain, bad: replaced(dsl_flags(chain), source_lm=chain.warm["de-en"]),
        ["--source-lm", "task translation", "language model"],
    ),
    "a language model as warm start": (
        lambda chain, bad: replaced(dsl_flags(chain), dual_checkpoint=chain.lm["de"]),
        ["--dual-checkpoint", "language model|task language_modeling", "translation model"],
    ),
    # vocabularies
    "a language model of a vocabulary in another order": (
        whole(source_lm="lm order"), ["--source-lm", r"symbol 4 is '\w+' there and '\w+'", "--srcdict"],
    ),
    "a language model of another vocabulary": (
        whole(source_lm="lm fewer"), ["--source-lm", "dictionary, 24 symbols, found a model with 23", "--srcdict"],
    ),
    "a warm start of a vocabulary in another order": (
        whole(primal_checkpoint="warm order"),
        ["--primal-checkpoint", r"symbol 4 is '\w+' there and '\w+'", "--srcdict"],
    ),
    "a warm start of another vocabulary": (
        whole(primal_checkpoint="warm fewer"),
        ["--primal-checkpoint", "dictionary, 24 symbols, found a model with 23", "--srcdict"],
    ),
    # language models trained otherwise
    "a language model across sentences": (
        whole(source_lm="lm across sentences"), ["--source-lm", "--sample-break-mode none", "--sample-break-mode eos"],
    ),
    "a language model of blocks": (
        whole(source_lm="lm in blocks"), ["--source-lm", "--sample-break-mode complete", "--sample-break-mode eos"],
    ),
    "a language model with bos": (whole(source_lm="lm with bos"), ["--source-lm", "--add-bos-token", "without"]),
    "a language model of short sentences": (
        whole(source_lm="lm too short"), ["--source-lm", "the longest of 7 tokens", "--tokens-per-sample 7"],
    ),
    # swapped
    "swapped language models": (
        swapped_lms, ["--source-lm", "--target-lm", "swapped", "language model of de", "that of en"],
    ),
    "swapped language models without their data": (swapped_moved_lms, ["--source-lm", "--target-lm", "swapped"]),
    "swapped warm starts": (
        lambda chain, bad: replaced(
            dsl_flags(chain), primal_checkpoint=chain.warm["en-de"], dual_checkpoint=chain.warm["de-en"]
        ),
        ["--primal-checkpoint", "translates en-de", "primal model translates de-en", "swapped"],
    ),
    "swapped warm starts that do not tell their direction": (
        whole(primal_checkpoint="untold en-de", dual_checkpoint="untold de-en"),
        ["--primal-checkpoint", "--dual-checkpoint", "look swapped", "translation model of de-en, then that of en-de"],
    ),
    # one for two
    "one language model for both languages": (
        lambda chain, bad: replaced(dsl_flags(chain), target_lm=chain.lm["de"]),
        ["--source-lm", "--target-lm", "the same", "language model of de and that of en"],
    ),
    "one warm start for both directions": (
        whole(primal_checkpoint="untold de-en", dual_checkpoint="untold de-en"),
        ["--primal-checkpoint", "--dual-checkpoint", "the same", "translation model of de-en and that of en-de"],
    ),
    "a warm start of another language pair": (
        whole(primal_checkpoint="warm fr"), ["--primal-checkpoint", "translates de-fr", "translates de-en"],
    ),
    # making a pair
    "an unknown architecture of a sub-model": (
        pair("--arch", "dual_translation", "--primal-arch", "transfomer", "--dual-arch", "lstm"),
        ["--primal-arch transfomer", "no architecture"],
    ),
    "an unknown flag of a sub-model": (
        pair(*ARCHS, "--dual-args=--encoder-heads 3"), ["--dual-args", "--encoder-heads", "architecture lstm"],
    ),
    "a flag of training for a sub-model": (
        pair(*ARCHS, "--primal-args=--max-update 3"), ["--primal-args", "--max-update", "architecture lstm"],
    ),
    "a flag of a sub-model without its value": (
        pair(*ARCHS, "--primal-args=--dropout"), ["--primal-args", "lstm", "--dropout", "expected one argument"],
    ),
    "a flag of a sub-model of another type": (
        pair(*ARCHS, "--primal-args=--dropout much"), ["--primal-args", "lstm", "--dropout", "much"],
    ),
    "an open quote": (pair(*ARCHS, "--primal-args=--dropout '0.3"), ["--primal-args", "quotation"]),
    "a sub-model that is no encoder-decoder": (
        pair("--arch", "dual_translation", "--primal-arch", "transformer_lm", "--dual-arch", "lstm"),
        ["--primal-arch transformer_lm", "no encoder-decoder"],
    ),
    "no model of one direction": (
        pair("--arch", "dual_translation", "--primal-arch", "lstm"),
        ["dual model", "en-de", "--dual-checkpoint", "--dual-arch"],
    ),
    "a checkpoint and an architecture": (whole(primal_arch="lstm"), ["--primal-checkpoint", "--primal-arch"]),
    # the task
    **{
        f"criterion {name}": (whole(criterion=name), [f"--criterion {name}", "de-en alone", "dsl_cross_entropy"])
        for name in ("cross_entropy", "label_smoothed_cross_entropy")
    },
    **{
        flag: (lambda chain, bad, flag=flag: [*dsl_flags(chain), *flag.split()], [flag.split()[0], "dual_translation"])
        for flag in ("--truncate-source", "--load-alignments", "--num-batch-buckets 4")
    },
    "a missing language": (
        lambda chain, bad: [*dsl_flags(chain), "-t", "fr"],
        ["--target-lang fr", r"dict\.fr\.txt", "languages are de, en"],
    ),
    "the same language twice": (lambda chain, bad: [*dsl_flags(chain), "-t", "de"], ["--source-lang and --target-lang", "two languages, found de for both"]),
    "all pairs too long": (whole(max_source_positions=1), ["no pair is left of 96"]),
    # the methods that sample
    **{
        f"{name} without monolingual text": (
            make(without=MONO), [f"--criterion {name}", "monolingual text", "--source-mono, --target-mono, or both"],
        )
        for name, make in zip(ROUND_TRIPS, (dual_learning, marginal, back_translation))
    },
    "marginal regularization without language models": (
        marginal(without=LMS),
        ["--criterion marginal_regularized_cross_entropy", "language model", "--source-lm and --target-lm"],
    ),
    "dual learning without language models": (
        dual_learning(without=LMS), ["--criterion dual_learning", "--reward-alpha 0.01", "--source-lm and --target-lm"],
    ),
    "dual learning without one language model": (
        dual_learning(without=LMS[:1]), ["--source-lm is missing", "--target-lm alone"],
    ),
    "a gap without language models": (
        minimum_risk("--dsl-lambda", 0.1, without=(*MONO, *LMS)), ["--dsl-lambda 0.1", "--source-lm and --target-lm"],
    ),
    **{
        f"importance sampling with {flag}": (
            marginal(flag, *value), [flag, "true probability", "leave the flag out", "--sample-temperature may stay"],
        )
        for flag, *value in (("--sample-topk", 5), ("--sample-topp", 0.9), ("--sample-beam",))
    },
    **{
        f"{flag} {name}": (back_translation(flag, f"mono {name}"), [rf"{flag} /\S+", *words])
        for flag, name, *words in (
            ("--source-mono", "order", r"another vocabulary: symbol 4 is '\w+' there and '\w+'", "--srcdict"),
            ("--target-mono", "fewer", "another vocabulary", "--srcdict"),
            ("--source-mono", "file", "no such folder", "fairseq-preprocess --only-source"),
            ("--target-mono", "nowhere", "no such folder", "fairseq-preprocess --only-source"),
            ("--source-mono", "translation", r"contains no train\.idx", "--only-source --srcdict"),
            ("--target-mono", "bare", r"contains no dict\.txt", "--only-source --srcdict"),
            ("--source-mono", "cut", r"train\.bin", "--only-source --srcdict"),
            ("--target-mono", "empty", "contains no sentences"),
            ("--source-mono", "blank", "at most 64 tokens, found 3 empty"),
            ("--target-mono", "long", "at most 64 tokens", "2 longer than 64 tokens"),
        )
    },
    **{
        f"{flag} {value}": (make(flag, value), [f"{flag} {value}", words])
        for make, flag, value, words in (
            (back_translation, "--num-samples", 0, "1 or more"),
            (minimum_risk, "--num-samples", -3, "1 or more"),
            (dual_learning, "--num-samples", 1, "leave-one-out requires 2 or more.*--reward-baseline none"),
            (dual_learning, "--reward-alpha", 1.5, "from 0 to 1"),
            (dual_learning, "--reward-alpha", -0.1, "from 0 to 1"),
            (minimum_risk, "--sharpness", 0, "above 0"),
            (minimum_risk, "--sharpness", "nan", "above 0"),
            (minimum_risk, "--sharpness", "inf", "number"),
            (minimum_risk, "--risk-weight", 0, "above 0"),
            (minimum_risk, "--parallel-weight", -1, "0 or more"),
            (marginal, "--marginal-lambda", -1, "0 or more"),
            (marginal, "--marginal-lambda", "inf", "number"),
            (back_translation, "--mono-ratio", 0, "above 0"),
            (back_translation, "--mono-ratio", "nan", "above 0"),
            (back_translation, "--mono-weight", "much", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "5:1,2:2", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "0:0,9:1,5:2", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "0:0,5", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", -1, "0 or more"),
            (back_translation, "--mono-weight", "0:1,5:-1", "0 or more"),
            (back_translation, "--mono-weight", "nan", "0 or more"),
            (back_translation, "--sample-temperature", 0, "above 0"),
            (back_translation, "--sample-temperature", "inf", "number"),
            (back_translation, "--sample-topp", 2, "from 0 .* to 1"),
            (back_translation, "--sample-topk", -2, "1 or more"),
            (back_translation, "--sample-max-len-b", 0, "1 or more"),
        )
    },
    "two ways of sampling": (
        dual_learning("--sample-topk", 3, "--sample-beam"), ["--sample-beam and --sample-topk", "one of them"],
    ),
    **{
        f"text of the other language as {flag}": (
            back_translation(flag, f"mono {own}"),
            [f"{flag} /", f"looks like {own}", f"as {other} and", "target language"],
        )
        for flag, own, other in (("--source-mono", "en", "de"), ("--target-mono", "de", "en"))
    },
    "a beam of more than there are symbols": (
        minimum_risk("--num-samples", 30, "--sample-beam"), ["--num-samples 30 --sample-beam", "24 symbols"],
    ),
    **{
        f"--proposal-checkpoint {name}": (make("--proposal-checkpoint", name), ["--proposal-checkpoint /", *words])
        for make, name, words in (
            (back_translation, "missing", ["no such file"]),
            (marginal, "corrupt", ["corrupt|not a checkpoint"]),
            (back_translation, "a lm", ["language model", "translation model"]),
            (back_translation, "warm fr", ["translates de-fr", "translates de-en"]),
            (back_translation, "warm de-en", ["translates de-en", "translates en-de"]),
            (marginal, "swapped", ["translates en-de", "translates de-en", "swapped"]),
            (marginal, "swapped untold", ["look swapped", "translation model of de-en, then that of en-de"]),
            (marginal, "same untold", ["the same", "translation model of de-en and that of en-de"]),
            (back_translation, "three", ["PRIMAL:DUAL"]),
            (marginal, "warm order", [r"symbol 4 is '\w+' there and '\w+'", "--srcdict"]),
            (back_translation, "warm fewer", ["dictionary, 24 symbols, found a model with 23", "--srcdict"]),
        )
    },
    "two proposals": (
        marginal("--proposal", "lm", "--proposal-checkpoint", "warm de-en"), ["--proposal-checkpoint", "--proposal lm"],
    ),
    **{
        f"no place for the samples of {name}": (
            make("--save-samples", "below a file"), [r"--save-samples /\S+corrupt.pt/samples", "cannot be written"],
        )
        for name, make in (("minimum risk", minimum_risk), ("back-translation", back_translation))
    },
}  # fmt: skip


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


@pytest.mark.parametrize("case", CASES)
def test_training_is_refused(chain, bad, tmp_path, case):
    make, patterns = CASES[case]
    flags = [*make(chain, bad), "--max-update", 1, "--save-dir", tmp_path, "--marginal-cache", tmp_path / "cache"]
    check(refusal(tmp_path, train, chain.data, *flags), patterns)


@pytest.mark.parametrize(
    "flags, patterns",
    [
        *(
            (["--criterion", name], [f"--criterion {name}", "both directions", "--task dual_translation"])
            for name in ("dsl_cross_entropy", *ROUND_TRIPS)
        ),
        (["--criterion", "minimum_risk", "--dsl-lambda", 0.1], ["--dsl-lambda 0.1", "gap", "--task dual_translation"]),
        (["--criterion", "minimum_risk", "--dsl-lambda-dual", 2], ["--dsl-lambda-dual 2", "--task dual_translation"]),
    ],
)
def test_methods_with_the_task_of_one_direction(chain, tmp_path, flags, patterns):
    task = ["--task", "translation", "-s", "de", "-t", "en", *TRANSFORMER]
    check(refusal(tmp_path, train, chain.data, *task, *flags, "--max-update", 1, "--save-dir", tmp_path), patterns)


@pytest.mark.parametrize(
    "data, patterns",
    [
        ("/nowhere/bin", ["/nowhere/bin", "no such folder", "fairseq-preprocess"]),
        ("data fr", ["--target-lang en", "bin.fr", r"dict\.en\.txt", "languages are de, fr"]),
        ("no train", ["bin.no-train", "no split train", "de-en"]),
    ],
)
def test_data_folders(chain, bad, tmp_path, data, patterns):
    flags = [*dsl_flags(chain), "--max-update", 1, "--save-dir", tmp_path]
    check(refusal(tmp_path, train, bad.get(data, data), *flags), patterns)


@pytest.mark.parametrize("folder", ["there", "gone"])
def test_swapped_language_models_of_separate_dictionaries(separate, bad, tmp_path, folder):
    """Their dictionaries tell, or, where these are gone and the sizes agree, what they say of sentences."""
    lm = (
        separate.lm if folder == "there" else {language: bad[f"moved separate {language}"] for language in ("de", "en")}
    )
    flags = replaced(dsl_flags(separate), source_lm=lm["en"], target_lm=lm["de"])
    message = refusal(tmp_path, train, separate.data, *flags, "--max-update", 1, "--save-dir", tmp_path)
    check(message, ["--source-lm", "another vocabulary: symbol 4 is.*--srcdict" if folder == "there" else "swapped"])


@pytest.mark.skipif(not SAFE_LOADING, reason="torch < 2.6 cannot load fairseq's checkpoints safely")
@pytest.mark.parametrize("flag", FLAGS)
def test_a_checkpoint_that_carries_code_is_not_run(chain, bad, tmp_path, flag):
    flags = replaced(dsl_flags(chain), **{flag[2:].replace("-", "_"): bad["code"]})
    message = refusal(tmp_path, train, chain.data, *flags, "--max-update", 1, "--save-dir", tmp_path)
    check(message, [flag, "code.pt", "run code"])
    assert not bad["marker"].exists()


@pytest.mark.parametrize("kind", ["cut", "corrupt", "empty"])
def test_resuming_from_a_damaged_checkpoint(chain, bad, tmp_path, kind):
    last = tmp_path / "checkpoint_last.pt"
    shutil.copy(bad[kind], last)
    before = last.read_bytes()
    with pytest.raises(BadInput, match="checkpoint_last.pt"):
        train(chain.data, *dsl_flags(chain), "--max-update", 1, "--save-dir", tmp_path)
    assert [path.name for path in tmp_path.glob("*.pt*")] == ["checkpoint_last.pt"]
    assert last.read_bytes() == before


def test_resuming_from_a_checkpoint_of_one_model(chain, tmp_path):
    """The warm start's own folder given as --save-dir: it is not overwritten."""
    last = tmp_path / "checkpoint_last.pt"
    shutil.copy(chain.warm["de-en"], last)
    before = last.read_bytes()
    with pytest.raises(Exception, match="checkpoint_last.pt") as caught:  # fairseq's own exception names the file
        train(chain.data, *dsl_flags(chain), "--max-update", 100, "--save-dir", tmp_path)
    assert isinstance(caught.value.__context__, BadInput)
    check(str(caught.value.__context__), ["single model", "--primal-checkpoint", "--save-dir"])
    assert last.read_bytes() == before


# ---- generation

GENERATION_CASES = {
    "a plain checkpoint": ("warm", "de-en", [], ["single model", "--task translation", "--primal-checkpoint"]),
    "a language model": ("lm", "de-en", [], ["--task"]),
    "a missing checkpoint": ("missing", "de-en", [], [r"missing\.pt"]),
    "a truncated checkpoint": ("cut", "de-en", [], [r"cut\.pt", "truncated|corrupt"]),
    "a corrupt checkpoint": ("corrupt", "de-en", [], [r"corrupt\.pt", "not a checkpoint|corrupt"]),
    "a direction that the checkpoint lacks": ("dual", "de-fr", [], ["de.*fr", "de-en and en-de"]),
    "a sentence that is too long": (
        "dual", "de-en", ["--max-source-positions", 3], ["sentence", "limit", "--max-source-positions"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_generation_is_refused_before_it_writes(chain, bad, dual, capsys, case):
    path, direction, flags, patterns = GENERATION_CASES[case]
    path = {"warm": chain.warm["de-en"], "lm": chain.lm["de"], "dual": dual}.get(path) or bad[path]
    data = bad["data fr"] if "fr" in direction else chain.data
    with pytest.raises((BadInput, OSError)) as caught:  # of a missing file, fairseq's own
        generate(data, direction, path, *flags)
    check(str(caught.value), patterns)
    assert "H-" not in capsys.readouterr().out


OTHER_DICTIONARY = [r"bin\.order/dict\.(de|en)\.txt", "another (de|en) dictionary", r"symbol 4 is '\w+' there and '\w+' here"]


@pytest.mark.parametrize("command_name", ["generate", "validate", "interactive", "from_pretrained"])
def test_another_dictionary_is_refused(bad, dual, command_name):
    """Of the same size, as folders made anew have: garbage, and no error, otherwise."""
    data, flags = bad["data order"], ["--task", "dual_translation", "--path", dual, "--cpu"]
    with pytest.raises(BadInput) as caught:
        if command_name == "from_pretrained":
            DualTranslationModel.from_pretrained(str(dual.parent), dual.name, str(data))
        elif command_name == "validate":
            command(command_name, data, *flags, "--batch-size", 8)
        else:
            command(command_name, data, *flags, "-s", "en", "-t", "de")
    check(str(caught.value), OTHER_DICTIONARY)


@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file"])
def test_training_goes_on_with_the_same_dictionary_alone(chain, bad, dual, tmp_path, flag):
    given = [*TASK, *TRANSFORMER, "--dsl-lambda", 0, flag, dual, "--max-update", 7, "--save-dir", tmp_path]
    with pytest.raises(Exception, match="checkpoint_last.pt") as caught:  # fairseq's own exception names the file
        train(bad["data order"], *given)
    check(str(caught.value.__context__), OTHER_DICTIONARY)
    train(chain.data, *given)


@pytest.mark.parametrize(
    "direction, words", [("de-fr", ["de-fr", "de-en and en-de"]), ("de-en", ["no dual checkpoint"])]
)
def test_export_is_refused(chain, dual, tmp_path, direction, words):
    export = script("export")
    source = dual if direction == "de-fr" else chain.warm["de-en"]
    with pytest.raises(BadInput) as caught:
        export.main([str(source), "--direction", direction, str(tmp_path / "out.pt")])
    check(str(caught.value), words)
    assert not list(tmp_path.iterdir())


# ---- what a person sees


def test_a_model_that_is_no_encoder_decoder(chain, tmp_path, capsys):
    """Refused while the flags are read."""
    with pytest.raises(SystemExit) as caught:
        train(chain.data, *TASK, *TRANSFORMER_LM, *lm_flags(chain), "--max-update", 1, "--save-dir", tmp_path)
    assert caught.value.code not in (0, None)
    check(capsys.readouterr().err.splitlines()[-1], ["--arch transformer_lm", "no encoder-decoder"])


def test_sub_model_flags_without_the_equals_sign(chain, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        train(chain.data, *TASK, *ARCHS, "--primal-args", "--share-all-embeddings", "--save-dir", tmp_path)
    assert caught.value.code not in (0, None)
    check(capsys.readouterr().err.splitlines()[-1], ["--primal-args"])


def test_one_line_and_no_traceback(chain, tmp_path):
    """And the same command, mended, trains in the same folder."""
    program = Path(sys.executable).with_name("fairseq-train")
    flags = [*dsl_flags(chain), "--max-update", 1, "--save-dir", tmp_path]
    wrong = replaced(flags, dsl_lambda=-3)
    arguments = [program, chain.data, *TRAINING, *wrong, "--user-dir", PLUGIN]
    result = subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, env=dict(os.environ, COLUMNS="80")
    )
    assert result.returncode not in (0, None)
    lines = result.stderr.strip().splitlines()
    assert lines[-1] == "fairseq_dsl: error: --dsl-lambda -3.0: expected a number of 0 or more"
    assert "Traceback" not in result.stderr
    train(chain.data, *flags)
    assert load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 1
