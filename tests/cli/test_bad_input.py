"""Bad input of a DSL run gets one message that names the flag or file, what was expected and what was found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bad import CHECKPOINT_FLAGS, check, check_training_is_refused, refusal, replaced
from commands import PLUGIN, TASK, TRAINING, TRANSFORMER_LM, dsl_flags, lm_flags, load, train, warm_flags


def whole(**values):
    return lambda chain, bad: replaced(dsl_flags(chain), **{k: bad.get(v, v) for k, v in values.items()})


def pair(*flags):
    """A pair that is not from checkpoints."""
    return lambda chain, bad: [*TASK, *lm_flags(chain), *flags]


def swapped_lms(chain, bad):
    return replaced(dsl_flags(chain), source_lm=chain.lm["en"], target_lm=chain.lm["de"])


def swapped_moved_lms(chain, bad):
    return replaced(dsl_flags(chain), source_lm=bad["lm moved en"], target_lm=bad["lm moved de"])


ARCHS = ("--arch", "dual_translation", "--primal-arch", "lstm", "--dual-arch", "lstm")

# name: (the flags of the command, what its message must match, each as a regular expression)
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
    # numbers; tests/unit/test_ranges.py has all of them
    "negative lambda": (whole(dsl_lambda=-0.1), ["--dsl-lambda -0.1", "0 or more"]),
    "label smoothing of 1": (whole(label_smoothing=1), ["--label-smoothing 1", "below 1"]),
    "negative clip norm": (whole(per_model_clip_norm=-1), ["--per-model-clip-norm -1", "0 or more"]),
    # checkpoints that cannot be read
    **{
        f"{flag} {kind}": (whole(**{flag[2:].replace("-", "_"): kind}), [flag, rf"{kind}\.pt", words])
        for flag in CHECKPOINT_FLAGS
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
        ["--primal-arch transfomer", "not the name of an architecture"],
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
    "the same language twice": (
        lambda chain, bad: [*dsl_flags(chain), "-t", "de"],
        ["--source-lang", "two languages, found de for both"],
    ),
    "all pairs too long": (whole(max_source_positions=1), ["no pair is left of 96"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_training_is_refused(chain, bad, tmp_path, case):
    make, patterns = CASES[case]
    check_training_is_refused(tmp_path, chain.data, make(chain, bad), patterns)


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
    """Their dictionaries show it; if these are gone and the sizes agree, the scores of sentences do."""
    lm = (
        separate.lm if folder == "there" else {language: bad[f"moved separate {language}"] for language in ("de", "en")}
    )
    flags = replaced(dsl_flags(separate), source_lm=lm["en"], target_lm=lm["de"])
    message = refusal(tmp_path, train, separate.data, *flags, "--max-update", 1, "--save-dir", tmp_path)
    check(message, ["--source-lm", "another vocabulary: symbol 4 is.*--srcdict" if folder == "there" else "swapped"])


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
