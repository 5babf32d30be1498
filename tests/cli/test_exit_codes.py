"""A training's exit code is its own, whatever its threads are doing: real processes, to their real end."""

import os
import signal
import subprocess
import sys

import pytest
from commands import (
    LM_TASK,
    PLUGIN,
    TASK,
    TRANSFORMER,
    TRANSFORMER_LM,
    binarize,
    binarize_for_lm,
    sentence_pairs,
    write_pairs,
)

# One update of an epoch of 20 batches, all of which fairseq prepares ahead: that takes longer than the update and the
# end of the training together. Without what ends the thread, 16 of 16 such processes ended with SIGABRT.
STOPPED_WITHIN_AN_EPOCH = (
    "--max-update 1 --batch-size 200 --data-buffer-size 20 --disable-validation --cpu --optimizer adam "
    "--log-format simple"
).split()
TASKS = {
    "dual_translation": [*TASK, "--dsl-lambda", 0, *TRANSFORMER],
    "language_modeling": [*LM_TASK, "--criterion", "cross_entropy", *TRANSFORMER_LM],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The data folders of each task."""
    folder = tmp_path_factory.mktemp("corpus")
    pairs = list(sentence_pairs(4000, seed=5, longest=12, words=30))
    write_pairs(folder / "text" / "train", pairs)
    write_pairs(folder / "text" / "valid", pairs[:10])
    data = binarize(folder / "text", folder / "bin", test=False)
    lm_data = binarize_for_lm(folder / "text", "de", data / "dict.de.txt", folder / "bin-lm")
    return {"dual_translation": data, "language_modeling": lm_data}


def fairseq_train(*arguments, after_an_update=None):
    """The command in a separate Python, with something other than validating and saving after an update."""
    replaced = f"train.validate_and_save = lambda *arguments: {after_an_update}" if after_an_update else ""
    # as a terminal starts it: a test run in the background ignores the signal, and so would its children
    interruptible = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{interruptible}; from fairseq_cli import train; {replaced}\ntrain.cli_main()"
    command = [sys.executable, "-c", code, "--user-dir", PLUGIN, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("task, workers", [("dual_translation", 2), ("language_modeling", 0)])
def test_a_training_stopped_within_an_epoch_exits_with_0(corpus, tmp_path, task, workers):
    flags = [*TASKS[task], *STOPPED_WITHIN_AN_EPOCH, "--num-workers", workers, "--save-dir", tmp_path]
    run = fairseq_train(corpus[task], *flags)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "done training in" in run.stdout.splitlines()[-1]
    assert (tmp_path / "checkpoint_last.pt").exists()


@pytest.mark.parametrize("fails, code", [("1 / 0", 1), ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT)])
def test_a_training_that_fails_exits_with_the_code_of_its_failure(corpus, tmp_path, fails, code):
    flags = [*TASKS["language_modeling"], *STOPPED_WITHIN_AN_EPOCH, "--num-workers", 0, "--save-dir", tmp_path]
    run = fairseq_train(corpus["language_modeling"], *flags, after_an_update=fails)
    assert run.returncode == code, run.stdout[-2000:]
    assert run.stdout.splitlines()[-1] in ("ZeroDivisionError: division by zero", "KeyboardInterrupt")
