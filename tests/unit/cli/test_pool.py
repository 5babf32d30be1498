"""Several processes score as one does."""

import os
import signal
import time

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import NeuralMarginal
from fairseq_dsl.marginals.computing import in_this_process
from fairseq_dsl_cli.scoring import pool
from fairseq_dsl_cli.scoring.pool import Pool

SYMBOLS = tiny.dictionary(tiny.WORDS["de"])
SENTENCES = [tiny.encode(pair[0], SYMBOLS) for pair in tiny.random_pairs(300)]
BATCHES = np.array_split(np.arange(300), 60)


class Whose(NeuralMarginal):
    """Gives each sentence the number of the process that scores it."""

    def _score(self, sentences):
        time.sleep(0.02)  # so that no process is done before the other has begun
        return np.full(len(sentences), os.getpid())


class Killed(NeuralMarginal):
    """Is killed at a sentence of a process of the pool, as for lack of memory."""

    def _score(self, sentences):
        os.kill(os.getpid(), signal.SIGKILL)


class Refusing(NeuralMarginal):
    def _score(self, sentences):
        raise BadInput("--source-lm: expected another sentence")


@pytest.fixture
def made(tmp_path):
    path, _ = tiny.language_model(tmp_path, SYMBOLS)
    return lambda kind: kind(path, "--source-lm", "de", SYMBOLS, torch.device("cpu"))


def scored(marginal, workers, batches=BATCHES):
    return list(Pool(workers).score_batches(marginal, SENTENCES, batches))


def test_the_scores_are_those_of_one_process_in_the_same_order(made):
    marginal = made(NeuralMarginal)
    one, two = list(in_this_process(marginal, SENTENCES, BATCHES)), scored(marginal, 2)
    assert len(one) == len(two) == len(BATCHES)
    np.testing.assert_allclose(np.concatenate(two), np.concatenate(one), rtol=1e-6)


def test_all_processes_take_part_and_not_this_one(made):
    processes = set(np.concatenate(scored(made(Whose), 2)))
    assert len(processes) == 2 and os.getpid() not in processes


def test_few_batches_are_scored_in_this_process(made):
    assert set(np.concatenate(scored(made(Whose), 2, BATCHES[: pool.BATCHES]))) == {os.getpid()}


def test_a_killed_process_ends_all_with_a_line(made):
    with pytest.raises(BadInput, match="--workers 2: a worker process was killed.*goes on"):
        scored(made(Killed), 2)


def test_what_a_process_refuses_is_refused(made):
    with pytest.raises(BadInput, match="^--source-lm: expected another sentence$"):
        scored(made(Refusing), 2)
