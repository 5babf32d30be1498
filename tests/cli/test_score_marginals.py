"""fairseq-dsl score-marginals: training then finds all scores; killed, either goes on."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import binarize, dsl_flags, lm_flags, plugin_command, sentence_pairs, train, write_pairs

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import NeuralMarginal
from fairseq_dsl_cli.scoring import pool

# The command, slowly, with a piece for each batch.
SLOW = """
import sys, time
from fairseq_dsl.marginals import Marginal, pieces
from fairseq_dsl_cli.main import main
pieces.PIECE_SECONDS = 0
score = Marginal.score
Marginal.score = lambda self, sentences: time.sleep(0.05) or score(self, sentences)
main(sys.argv[1:])
"""


def words(chain, cache, *more, data=None):
    words = ["score-marginals", data or chain.data, "-s", "de", "-t", "en", *lm_flags(chain), "--cpu"]
    return [*words, "--marginal-cache", cache, *more]


def scores(cache):
    return {path.name: np.load(path)["scores"] for path in cache.iterdir()}


@pytest.fixture(scope="module")
def whole(chain, tmp_path_factory):
    """The scores of a run that nobody interrupts, in small batches."""
    cache = tmp_path_factory.mktemp("whole") / "cache"
    plugin_command(*words(chain, cache, "--marginal-max-tokens", 16))
    found = scores(cache)
    assert sorted(map(len, found.values())) == [13, 13, 96, 96]
    return found


def trained_without_models(chain, data, cache, folder, monkeypatch, *more):
    """Train where no language model can be loaded."""
    monkeypatch.setattr(NeuralMarginal, "_load", None)
    return train(data, *dsl_flags(chain), *more, "--marginal-cache", cache, "--max-update", 1, "--save-dir", folder)


@pytest.mark.parametrize("filters", [[], ["--max-source-positions", 5, "--skip-invalid-size-inputs-valid-test"]])
def test_training_finds_all_scores_whatever_it_filters(chain, tmp_path, monkeypatch, capsys, filters):
    cache = tmp_path / "cache"
    plugin_command(*words(chain, cache))
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{cache}: has the scores of train, 96 pairs",
        f"{cache}: has the scores of valid, 13 pairs",
    ]
    assert re.search(r"^scoring 96 train sentences in de by --source-lm .*: [\d,]+ tokens$", told.err, re.MULTILINE)
    run = trained_without_models(chain, chain.data, cache, tmp_path / "run", monkeypatch, *filters)
    assert not run.says(r"^scoring \d")
    plugin_command(*words(chain, cache, "--valid-subset", ""))
    assert "scoring" not in capsys.readouterr().err


def test_training_on_two_folders_finds_the_scores_of_both(chain, tmp_path, monkeypatch, capsys):
    for split, count in (("train", 40), ("valid", 3)):
        write_pairs(tmp_path / "text" / split, sentence_pairs(count, seed=17))
    more = ["--srcdict", chain.data / "dict.de.txt", "--tgtdict", chain.data / "dict.en.txt"]
    second = binarize(tmp_path / "text", tmp_path / "bin", *more, joined=False, test=False)
    data, cache = f"{chain.data}:{second}", tmp_path / "cache"
    plugin_command(*words(chain, cache, data=data))
    assert "has the scores of train 2, 40 pairs" in capsys.readouterr().out
    run = trained_without_models(chain, data, cache, tmp_path / "run", monkeypatch)
    assert not run.says(r"^scoring \d")


def test_training_without_a_terminal_says_what_is_scored_and_how_far_it_is(chain, tmp_path):
    flags = ["--marginal-cache", tmp_path / "cache", "--marginal-max-tokens", 64, "--max-update", 1]
    run = train(chain.data, *dsl_flags(chain), *flags, "--save-dir", tmp_path / "run")
    lines = [line for line in run.log if line.startswith("scoring 96 train sentences in de by --source-lm ")]
    assert re.search(r": [\d,]+ tokens$", lines[0])
    assert re.search(r": \d+%, [\d,]+ tokens/s, \d\d:\d\d left$", lines[1]) and len(lines) > 4
    assert re.search(r": done in \d\d:\d\d, [\d,]+ tokens/s$", lines[-1])


def test_two_processes_give_the_scores_of_one(chain, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "BATCHES", 2)
    plugin_command(*words(chain, tmp_path, "--marginal-max-tokens", 16, "--workers", 2))
    found = scores(tmp_path)
    assert found.keys() == whole.keys()
    for name, wanted in whole.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_scores(chain, whole, tmp_path, monkeypatch, workers):
    cache = tmp_path / "cache"
    more = ["--marginal-max-tokens", "16", "--workers", str(workers)]
    arguments = [str(word) for word in words(chain, cache, *more)]
    command = [sys.executable, "-c", SLOW, *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.time() + 60
    while process.poll() is None and time.time() < end and len(list(cache.glob("*.npz"))) < 5:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(ProcessLookupError):
        for _ in range(300):  # no process of its own outlives it
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    kept = list(cache.glob("*.npz"))
    assert len(kept) >= 5 and all(len(path.name) > 60 for path in kept)  # pieces alone
    known = sum(len(np.load(path)["scores"]) for path in kept)
    scored, score = [], NeuralMarginal._score
    monkeypatch.setattr(NeuralMarginal, "_score", lambda *given: scored.extend(given[1]) or score(*given))
    train(
        chain.data, *dsl_flags(chain), *more[:2], "--marginal-cache", cache, "--max-update", 1, "--save-dir", tmp_path
    )
    assert len(scored) == 2 * (96 + 13) - known
    found = scores(cache)
    assert found.keys() == whole.keys()
    for name, wanted in whole.items():
        np.testing.assert_array_equal(found[name], wanted)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(target_lm="de"), "--source-lm .* and --target-lm .*: are the same file"),
        (dict(source_lm="en", target_lm="de"), "look swapped"),
        (dict(valid_subset="valid,dev"), "has no split dev of de-en or en-de"),
        (dict(source_lang="fr"), "--source-lang fr: .*contains no dict.fr.txt"),
        (dict(marginal_cache="/proc/x"), "--marginal-cache /proc/x: cannot be written"),
        (dict(marginal_max_tokens="0"), "argument --marginal-max-tokens: expected a whole number from 1"),
        (dict(max_source_positions="-1"), "argument --max-source-positions: expected a whole number from 1"),
        (dict(workers="none"), "argument --workers: expected a whole number from 1"),
        (dict(source_lm="lm.pt"), "argument --source-lm: expected a file, found 'lm.pt'"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(chain, tmp_path, capsys, change, message):
    change = {name: chain.lm.get(value, value) for name, value in change.items()}
    flags = [word for name, value in change.items() for word in (f"--{name.replace('_', '-')}", value)]
    with pytest.raises((BadInput, SystemExit)) as refused:
        plugin_command(*words(chain, tmp_path / "cache", *flags))
    told = capsys.readouterr().err if refused.type is SystemExit else str(refused.value) + "\n"
    assert re.search(message, told) and told.count("\n") == 1
    assert not (tmp_path / "cache").exists()
