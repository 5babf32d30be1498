"""From warm starts to translations: a killed and resumed DSL run, then every command, in both directions."""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from commands import (
    GENERATION,
    command,
    direction_of,
    dsl_flags,
    generate,
    languages,
    largest_difference,
    load,
    plugin_command,
    processes,
    train,
    train_in_process,
)
from fairseq.modules import TransformerEncoderLayer

from fairseq_dsl.models import DualTranslationModel

DIRECTIONS = ("de-en", "en-de")

STOCK = "import sys; from fairseq_cli.generate import cli_main; cli_main(); assert 'fairseq_dsl' not in sys.modules"


@pytest.fixture(scope="module")
def run(chain, tmp_path_factory):
    """The folder of a DSL run that was killed and went on; its warm starts, language models and cache are gone."""
    home = tmp_path_factory.mktemp("run")
    folder, inputs, cache = home / "dsl", home / "inputs", home / "cache"
    shutil.copytree(chain.folder, inputs)
    flags = [str(f).replace(str(chain.folder), str(inputs)) for f in dsl_flags(chain)]
    arguments = [chain.data, *flags, "--marginal-cache", cache, "--save-dir", folder, "--save-interval-updates", 2]
    arguments += ["--max-epoch", 3, "--dsl-lambda", 0.001]
    process = processes().Process(target=train_in_process, args=(home / "log", arguments))
    process.start()
    deadline = time.time() + 120
    while not (folder / "checkpoint_1_2.pt").exists() and time.time() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (folder / "checkpoint_3_18.pt").exists(), (home / "log").read_text()
    train(*arguments)
    assert load(folder / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 18
    shutil.rmtree(inputs)
    shutil.rmtree(cache)
    return folder


@pytest.fixture(scope="module")
def plain(run, tmp_path_factory):
    """The exported checkpoint of each direction."""
    folder = tmp_path_factory.mktemp("export")
    for direction in DIRECTIONS:
        path = str(folder / f"{direction}.pt")
        plugin_command("export", run / "checkpoint_last.pt", "--direction", direction, path)
    return {direction: folder / f"{direction}.pt" for direction in DIRECTIONS}


@pytest.fixture(scope="module")
def translations(chain, run):
    return {direction: generate(chain.data, direction, run / "checkpoint_last.pt") for direction in DIRECTIONS}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_as_many_hypotheses_as_sentences(chain, translations, direction):
    found = translations[direction].hypotheses()
    assert sorted(found) == list(range(len(chain.pairs["test"])))
    assert len(set(found.values())) > 5  # it translates something


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_beam_search_is_that_of_the_plain_checkpoint(chain, translations, plain, direction):
    stored = generate(chain.data, direction, plain[direction], "--required-batch-size-multiple", 1, task="translation")
    assert stored.scored_hypotheses() == translations[direction].scored_hypotheses()


@pytest.mark.skipif(
    "can_use_fastpath" in inspect.getsource(inspect.getmodule(TransformerEncoderLayer)),
    reason='fairseq 0.12.2 itself fails to translate with a transformer: "Mask Type should be defined"',
)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_stock_fairseq_translates_an_exported_checkpoint(chain, translations, plain, direction, tmp_path):
    arguments = [chain.data, *languages(direction), "--path", plain[direction], *GENERATION]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TORCH_", "PYTHON"))}
    result = subprocess.run(
        [sys.executable, "-c", STOCK, *map(str, arguments), "--required-batch-size-multiple", "1"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = dict(re.findall(r"^H-(\d+)\t\S+\t(.*)$", result.stdout, re.MULTILINE))
    assert {int(n): text for n, text in found.items()} == translations[direction].hypotheses()


def test_an_exported_checkpoint_holds_tensors_and_plain_values(plain):
    def kinds(value):
        if isinstance(value, dict):
            return {type(value)}.union(*map(kinds, value), *map(kinds, value.values()))
        if isinstance(value, (list, tuple)):
            return {type(value)}.union(*map(kinds, value))
        return {type(value)}

    for path in plain.values():
        state = torch.load(path, map_location="cpu")
        allowed = {dict, list, str, int, float, bool, type(None), torch.Tensor}
        parameters = type(state["model"])  # an OrderedDict in some versions
        assert kinds(state) - {parameters} <= allowed


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_interactive(chain, run, translations, direction):
    source = direction[:2]
    result = command(
        "interactive", chain.data, "--task", "dual_translation", *languages(direction), "--buffer-size", 16,
        "--path", run / "checkpoint_last.pt", "--input", chain.text / f"test.{source}", *GENERATION,
    )  # fmt: skip
    assert result.hypotheses() == translations[direction].hypotheses()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_from_pretrained(chain, run, translations, direction):
    source, target = direction.split("-")
    hub = DualTranslationModel.from_pretrained(
        str(run), "checkpoint_last.pt", str(chain.data), source_lang=source, target_lang=target
    )
    sentences = [pair[0] if source == "de" else pair[1] for pair in chain.pairs["test"]]
    found = hub.translate(sentences, beam=3)
    assert dict(enumerate(found)) == translations[direction].hypotheses()


def test_from_pretrained_translates_the_direction_of_training_unless_told(chain, run, translations):
    hub = DualTranslationModel.from_pretrained(str(run), "checkpoint_last.pt", str(chain.data))
    assert hub.translate(chain.pairs["test"][0][0], beam=3) == translations["de-en"].hypotheses()[0]


def test_validate_gives_both_directions_whichever_is_named(chain, tmp_path):
    run = train(chain.data, *dsl_flags(chain), "--max-epoch", 1, "--save-dir", tmp_path, "--eval-bleu")
    wanted = run.stats["valid"][-1]
    names = ["loss", "nll_loss", "ppl", "bleu", "duality_gap", "duality_gap_signed", "duality_loss", "unlearnt"]
    names += ["duality_share"] + [f"{name}_{each}" for name in ("nll_loss", "ppl", "bleu") for each in DIRECTIONS]
    for direction, size in (("de-en", 16), ("en-de", 16), ("de-en", 1)):
        found = command(
            "validate", chain.data, "--task", "dual_translation", *languages(direction), "--cpu", "--num-workers", 0,
            "--path", tmp_path / "checkpoint_last.pt", "--log-format", "json", "--batch-size", size,
        ).stats["valid"][-1]  # fmt: skip
        for name in names:
            assert float(found[f"valid_{name}"]) == pytest.approx(float(wanted[f"valid_{name}"]), abs=2e-3), name


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_score_of_what_generate_wrote(translations, direction, tmp_path):
    output = translations[direction].stdout
    for kind, pattern in (("sys", r"^H-\d+\t\S+\t(.*)$"), ("ref", r"^T-\d+\t(.*)$")):
        lines = re.findall(pattern, output, re.MULTILINE)
        (tmp_path / kind).write_text("".join(line + "\n" for line in lines))
    scored = command("score", "--sys", tmp_path / "sys", "--ref", tmp_path / "ref").stdout
    bleu = re.search(r"BLEU4 = ([0-9.]+)", scored).group(1)
    assert f"BLEU4 = {bleu}" in output


def test_average(chain, run, translations, tmp_path):
    parts = [run / "checkpoint_1_2.pt", run / "checkpoint_last.pt"]
    plugin_command("average", "--inputs", *parts, "--output", tmp_path / "average.pt")
    first, last, average = (load(path)["model"] for path in [*parts, tmp_path / "average.pt"])
    wanted = {key: (first[key] + last[key]) / 2 for key in last}
    assert largest_difference(first, last) > 1e-3
    assert largest_difference(average, wanted) < 1e-6
    for direction in DIRECTIONS:
        found = generate(chain.data, direction, tmp_path / "average.pt")
        assert len(found.hypotheses()) == len(chain.pairs["test"])
        assert found.scored_hypotheses() != translations[direction].scored_hypotheses()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_ensemble(chain, run, translations, plain, direction):
    first, last = run / "checkpoint_1_2.pt", run / "checkpoint_last.pt"
    same = generate(chain.data, direction, f"{last}:{last}")
    assert same.hypotheses() == translations[direction].hypotheses()
    two = generate(chain.data, direction, f"{first}:{last}")
    assert len(two.hypotheses()) == len(chain.pairs["test"])
    assert two.scored_hypotheses() != translations[direction].scored_hypotheses()
    # what stock makes of the same two models
    earlier = plain[direction].with_suffix(".earlier.pt")
    plugin_command("export", first, "--direction", direction, earlier)
    paths = f"{earlier}:{plain[direction]}"
    stock = generate(chain.data, direction, paths, "--required-batch-size-multiple", 1, task="translation")
    assert two.scored_hypotheses() == stock.scored_hypotheses()


def test_a_warm_start_from_a_dual_checkpoint_and_from_an_exported_one(chain, run, plain, tmp_path):
    flags = [*dsl_flags(chain)]
    flags[flags.index("--primal-checkpoint") + 1] = run / "checkpoint_last.pt"
    flags[flags.index("--dual-checkpoint") + 1] = plain["en-de"]
    train(chain.data, *flags, "--max-update", 1, "--lr", 0, "--save-dir", tmp_path)
    left, right = load(tmp_path / "checkpoint_last.pt"), load(run / "checkpoint_last.pt")
    for direction in DIRECTIONS:
        assert largest_difference(direction_of(left, direction), direction_of(right, direction)) == 0
