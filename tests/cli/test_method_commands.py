"""The methods that sample: minimum risk, dual learning, marginal regularization, back-translation."""

import json
import math
import os
import shutil
import signal
import time
from collections import Counter

import pytest
import sacrebleu
import torch
from commands import (
    LSTM,
    TASK,
    TRANSFORMER,
    binarize,
    differences,
    direction_of,
    dsl_flags,
    edited,
    generate,
    largest_difference,
    lm_flags,
    load,
    mono_flags,
    plugin_command,
    processes,
    train,
    train_by_two_workers,
    train_in_process,
    train_translation,
    write_pairs,
)
from fairseq.sequence_generator import SequenceGenerator
from test_precision import PRECISIONS

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel

DIRECTIONS = ("de-en", "en-de")
SAMPLED = ["samples_cut", "length_ratio"]
ROUND_TRIP = [*SAMPLED, "mono_weight"]
# what each logs of each direction: of the one whose model makes the samples, and of the one that leads back
KEYS = {
    "minimum_risk": ([*SAMPLED, "risk", "candidates"], []),
    "dual_learning": ([*ROUND_TRIP, "reward", "reward_lm", "reward_reconstruction"], []),
    "cycle_adversarial": (
        [*ROUND_TRIP, "reward", "reward_critic", "reward_lm", "reward_reconstruction", "distinct_bigrams"]
        + ["critic_loss", "critic_accuracy_real", "critic_accuracy_sampled"],
        [],
    ),
    "marginal_regularized_cross_entropy": (
        ROUND_TRIP,
        ["log_marginal", "log_marginal_estimate", "marginal_loss", "effective_samples", "collapsed"],
    ),
    "back_translation_cross_entropy": (ROUND_TRIP, ["round_trip_nll", "bound", "bound_kl", "bound_gap"]),
}
METHODS = tuple(KEYS)
ROUND_TRIPS = METHODS[1:]
WITH_PROPOSALS = METHODS[3:]
SHORT = ["--sample-max-len-a", 0, "--sample-max-len-b", 8]
QUICK = ["--disable-validation", "--no-save"]


def flags(method, chain, mono, *arguments):
    """A command for ``train(chain.data, ...)`` but for its length and ``--save-dir``; of three short samples each."""
    found = [*dsl_flags(chain), "--criterion", method, "--num-samples", 3, *SHORT]
    return [*found, *(mono_flags(mono) if method in ROUND_TRIPS else []), *arguments]


def with_warm_starts(found, primal, dual):
    found = list(found)
    found[found.index("--primal-checkpoint") + 1] = primal
    found[found.index("--dual-checkpoint") + 1] = dual
    return found


def saved(folder, rank=0):
    """The lines that ``--save-samples`` wrote."""
    return [json.loads(line) for line in (folder / f"samples.{rank}.jsonl").read_text().splitlines()]


def updates(lines, *numbers):
    return [line for line in lines if line["update"] in numbers]


def values(lines, key):
    return [value for line in lines for value in line[key]]


@pytest.fixture(scope="module")
def without_dropout(chain, tmp_path_factory):
    """The warm starts, whose dropout is 0."""
    folder = tmp_path_factory.mktemp("without-dropout")
    none = {f"model__{name}": 0.0 for name in ("dropout", "attention_dropout", "activation_dropout")}
    return {direction: edited(path, folder / f"{direction}.pt", **none) for direction, path in chain.warm.items()}


# ---- from warm starts to translations


@pytest.fixture(scope="module")
def lstm(chain, tmp_path_factory):
    """A warm start of another architecture."""
    return train_translation(chain.data, "en-de", tmp_path_factory.mktemp("lstm"), arch=LSTM)


@pytest.fixture(scope="module", params=METHODS)
def run(request, chain, mono, lstm, tmp_path_factory):
    """Of each method, the folder and the statistics of a run whose inputs are then moved away."""
    home = tmp_path_factory.mktemp(request.param)
    shutil.copytree(chain.folder, home / "inputs")
    shutil.copytree(lstm.parent, home / "inputs" / "lstm")
    folders = {language: shutil.copytree(path, home / "inputs" / f"mono.{language}") for language, path in mono.items()}
    found = with_warm_starts(
        flags(request.param, chain, folders), chain.warm["de-en"], home / "inputs" / "lstm" / lstm.name
    )
    if request.param in WITH_PROPOSALS:
        found += ["--proposal-checkpoint", f"{chain.warm['de-en']}:{home / 'inputs' / 'lstm' / lstm.name}"]
    found = [str(part).replace(str(chain.folder), str(home / "inputs")) for part in found]
    found += ["--marginal-cache", home / "inputs" / "cache", "--mono-weight", "0:0.5,4:1.5", "--eval-bleu"]
    result = train(chain.data, *found, "--max-update", 6, "--save-dir", home / "run")
    (home / "inputs").rename(home / "moved")
    return request.param, home / "run", result


def test_logs_its_keys_of_each_direction(run):
    method, _, result = run
    there, back = KEYS[method]
    assert len(result.stats["train_inner"]) == 6
    for stats in result.stats["train_inner"]:
        assert {f"{key}_{direction}" for key in [*there, *back] for direction in DIRECTIONS} <= set(stats)
        assert all(math.isfinite(float(value)) for value in stats.values())
        found = {key: float(value) for key, value in stats.items()}
        for direction in DIRECTIONS:
            of = {key: found[f"{key}_{direction}"] for key in [*there, *back]}
            assert 0 <= of["samples_cut"] <= 1 and of["length_ratio"] > 0
            if method == "minimum_risk":
                assert 0 < of["risk"] < 1 and 1 < of["candidates"] <= 3
            else:
                schedule = 0.5 + (found["num_updates"] - 1) / 4
                assert of["mono_weight"] == pytest.approx(min(schedule, 1.5), abs=1e-3)
            if method == "dual_learning":
                reward = 0.01 * of["reward_lm"] + 0.99 * of["reward_reconstruction"]
                assert of["reward"] == pytest.approx(reward, abs=2e-3)
            if method == "cycle_adversarial":
                reward = 0.5 * of["reward_critic"] + 0.5 * of["reward_reconstruction"]
                assert of["reward"] == pytest.approx(reward, abs=2e-3)
                assert all(0 <= of[key] <= 1 for key in of if key.startswith("critic_acc"))
                assert 0 < of["distinct_bigrams"] < 1 and 0 < of["critic_loss"] < 4
            if method == "marginal_regularized_cross_entropy":
                assert 1 <= of["effective_samples"] <= 3 and 0 <= of["collapsed"] <= 1
                distance = of["log_marginal"] - of["log_marginal_estimate"]
                assert of["marginal_loss"] > distance**2 > 0
            if method == "back_translation_cross_entropy":
                assert of["bound"] == pytest.approx(-of["round_trip_nll"] - of["bound_kl"], abs=3e-3)
    assert {f"train_{key}_{direction}" for key in [*there, *back] for direction in DIRECTIONS} <= set(
        result.stats["train"][-1]
    )
    for key in ("loss", "bleu", *(f"{name}_{direction}" for name in ("nll_loss", "bleu") for direction in DIRECTIONS)):
        assert math.isfinite(result.last("valid", f"valid_{key}"))  # validation draws no samples


def test_says_which_sentences_are_skipped(run, mono_text):
    method, _, result = run
    for language, flag in (("de", "--source-mono"), ("en", "--target-mono")):
        for what in ("empty", "longer than 64 tokens"):
            message = rf"^{flag} .*mono\.{language}: 1 {what} sentences of {len(mono_text[language]) + 2} are skipped$"
            assert result.says(message) == (method in ROUND_TRIPS)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_translates_when_its_inputs_are_gone(run, chain, direction):
    _, folder, _ = run
    found = generate(chain.data, direction, folder / "checkpoint_last.pt", "--max-len-b", 10).hypotheses()
    assert sorted(found) == list(range(len(chain.pairs["test"])))


@pytest.mark.parametrize("method", ["minimum_risk", "cycle_adversarial"])
def test_trains_with_dropout_and_samples_without(chain, mono, without_dropout, tmp_path, method):
    """At the first update, models that differ by their dropout draw the same samples and have other losses."""
    losses = {}
    for name, starts in (("with", chain.warm), ("without", without_dropout)):
        found = with_warm_starts(flags(method, chain, mono), starts["de-en"], starts["en-de"])
        found += ["--max-update", 1, "--save-samples", tmp_path / name, "--parallel-weight", 1]
        stats = train(chain.data, *found, *QUICK, "--save-dir", tmp_path).stats["train_inner"][0]
        losses[name] = [float(stats[f"nll_loss_{direction}"]) for direction in DIRECTIONS]
    drawn = [values(saved(tmp_path / name), "samples") for name in losses]
    assert len(drawn[0]) > 32
    assert drawn[0] == drawn[1]
    for with_dropout, without in zip(losses["with"], losses["without"]):
        assert abs(with_dropout - without) > 2e-3


# ---- what a run can be asked for


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "single"])
def test_precisions_with_the_duality_gap_beside(chain, mono, tmp_path, method, precision):
    weights = ["--parallel-weight", 1, "--dsl-lambda", 0.02, "--dsl-lambda-dual", 0.01]
    found = flags(method, chain, mono, "--max-update", 2, *weights, *PRECISIONS[precision])
    result = train(chain.data, *found, *QUICK, "--save-dir", tmp_path)
    assert result.stats["train_inner"]
    there, back = KEYS[method]
    for stats in result.stats["train_inner"]:
        assert all(math.isfinite(float(value)) for value in stats.values())
        assert {f"{key}_{direction}" for key in [*there, *back] for direction in DIRECTIONS} <= set(stats)
        assert [float(stats[f"lambda_{direction}"]) for direction in DIRECTIONS] == [0.02, 0.01]
        assert float(stats["duality_share"]) > 0


@pytest.mark.parametrize("method", [method for method in ROUND_TRIPS if method != "cycle_adversarial"])
def test_monolingual_text_of_one_language(chain, mono, tmp_path, method):
    """Sentences of the target language make a round trip by the dual model; the primal one leads back."""
    found = flags(method, chain, {"en": mono["en"]}, "--max-update", 2, "--save-samples", tmp_path / "samples")
    stats = train(chain.data, *found, *QUICK, "--save-dir", tmp_path).stats["train_inner"][-1]
    there, back = KEYS[method]
    logged = {key for key in stats if any(key.startswith(name) for name in [*there, *back])}
    assert logged == {f"{key}_en-de" for key in there} | {f"{key}_de-en" for key in back}
    assert all(float(stats[f"{key}_de-en"]) for key in back if key != "collapsed")
    assert {line["direction"] for line in saved(tmp_path / "samples")} == {"en-de"}


def test_back_translation_without_language_models(chain, mono, tmp_path):
    """It has no bound to log."""
    found = flags("back_translation_cross_entropy", chain, mono, "--max-update", 1, "--save-dir", tmp_path, *QUICK)
    for flag in lm_flags(chain)[::2]:
        del found[found.index(flag) : found.index(flag) + 2]
    stats = train(chain.data, *found).stats["train_inner"][0]
    assert {"round_trip_nll_de-en", "round_trip_nll_en-de"} <= set(stats)
    assert not [key for key in stats if key.startswith("bound")]


def test_dual_learning_without_language_models(chain, mono, tmp_path):
    """Where they have no share in the reward."""
    found = flags("dual_learning", chain, mono, "--max-update", 1, "--save-dir", tmp_path, *QUICK, "--reward-alpha", 0)
    for flag in lm_flags(chain)[::2]:
        del found[found.index(flag) : found.index(flag) + 2]
    stats = train(chain.data, *found).stats["train_inner"][0]
    for direction in DIRECTIONS:
        assert float(stats[f"reward_lm_{direction}"]) == 0
        assert stats[f"reward_{direction}"] == stats[f"reward_reconstruction_{direction}"]


WAYS = {
    "beam": ["--sample-beam"],
    "topk": ["--sample-topk", 1],
    "topp": ["--sample-topp", 1e-4],
    "all": ["--sample-temperature", 1.3],
}


@pytest.mark.parametrize("method", ["minimum_risk", "back_translation_cross_entropy"])
@pytest.mark.parametrize("way", WAYS)
def test_ways_of_sampling(chain, mono, tmp_path, method, way):
    """The likeliest of one symbol is always the same; a beam has no two that are the same."""
    found = flags(method, chain, mono, "--max-update", 2, "--save-samples", tmp_path / "samples", *WAYS[way])
    result = train(chain.data, *found, *QUICK, "--save-dir", tmp_path)
    lines = saved(tmp_path / "samples")
    assert len(lines) == 64
    distinct = Counter(len(set(line["samples"])) for line in lines)
    if way == "beam":
        assert distinct == {3: 64}
    elif way in ("topk", "topp"):
        assert distinct == {1: 64}
    else:
        assert distinct[3] > 8
    if method == "minimum_risk":
        assert (result.last("train_inner", "candidates_de-en") == 1) == (way in ("topk", "topp"))
    else:
        assert {value is not None for value in values(lines, "log_q")} == {way == "all"}
    if method == "back_translation_cross_entropy":
        assert [key for key in result.stats["train_inner"][-1] if key.startswith("round_trip_nll")]
        bounds = [key for key in result.stats["train_inner"][-1] if key.startswith("bound")]
        assert bool(bounds) == (way == "all")  # of the others the samples' probabilities are not known


@pytest.mark.parametrize("method", WITH_PROPOSALS)
def test_proposal_checkpoints(chain, mono, dual, tmp_path, method):
    """A dual checkpoint and its two halves propose the same, and go on to when the live models have moved."""
    halves = [tmp_path / f"{direction}.pt" for direction in DIRECTIONS]
    for direction, half in zip(DIRECTIONS, halves):
        plugin_command("export", dual, "--direction", direction, half)
    found = with_warm_starts(flags(method, chain, mono), dual, dual)
    drawn = {}
    for name, path in {"live": None, "dual": dual, "halves": f"{halves[0]}:{halves[1]}"}.items():
        extra = ["--proposal-checkpoint", path] if path else []
        extra += ["--max-update", 3, "--lr", 0.05, "--save-samples", tmp_path / name]
        train(chain.data, *found, *extra, *QUICK, "--save-dir", tmp_path)
        drawn[name] = saved(tmp_path / name)
    assert len(drawn["dual"]) == 96

    def same(left, right):
        log_q = pytest.approx(values(right, "log_q"), abs=1e-4)  # rounding depends on where parameters lie
        return values(left, "samples") == values(right, "samples") and values(left, "log_q") == log_q

    assert same(drawn["dual"], drawn["halves"])
    assert same(updates(drawn["dual"], 0), updates(drawn["live"], 0))
    assert not same(updates(drawn["dual"], 2), updates(drawn["live"], 2))


@pytest.mark.parametrize("method", WITH_PROPOSALS)
def test_validation_translates_with_the_pair(chain, mono, tmp_path, method):
    """And not with the proposals, which here have learned nothing."""
    fresh = [*TASK, *TRANSFORMER, "--dsl-lambda", 0, "--max-update", 1, "--disable-validation"]
    train(chain.data, *fresh, "--save-dir", tmp_path / "fresh")
    found = [*flags(method, chain, mono), "--eval-bleu", "--lr", 1e-9, "--max-update", 1, "--no-save"]
    proposals = ["--proposal-checkpoint", tmp_path / "fresh" / "checkpoint_last.pt"]
    plain, proposed = (train(chain.data, *found, *more, "--save-dir", tmp_path) for more in ([], proposals))
    for key in ("valid_bleu", "valid_bleu_de-en", "valid_bleu_en-de"):
        assert proposed.last("valid", key) == plain.last("valid", key)
    assert plain.last("valid", "valid_bleu_de-en") > 1


def test_proposals_of_the_language_model(chain, mono, tmp_path):
    """Each has the probability that the language model says, but for what is never drawn: an end as first word."""
    spread = {}
    for name in ("lm", "model"):
        found = flags("marginal_regularized_cross_entropy", chain, mono, "--max-update", 2, "--proposal", name)
        train(chain.data, *found, *QUICK, "--save-dir", tmp_path, "--save-samples", tmp_path / name)
        lines = saved(tmp_path / name)
        ratios = [
            log_q - log_p
            for line in lines
            for log_q, log_p, cut in zip(line["log_q"], line["log_p_sample"], line["cut"])
            if not cut
        ]
        assert len(ratios) > 30
        spread[name] = max(ratios) - min(ratios)
    assert spread["lm"] < 0.05 < 1 < spread["model"]


def test_monolingual_sentences_go_round(chain, mono, mono_text, tmp_path):
    """Epoch after epoch takes the next of them, whoever makes the batches; all before any comes again."""
    found = flags("back_translation_cross_entropy", chain, mono, "--num-samples", 1, "--mono-ratio", 1.5)
    found += ["--max-epoch", 3, "--update-freq", 2, *QUICK, "--save-dir", tmp_path]
    for workers in (0, 2):
        train(chain.data, *found, "--num-workers", workers, "--save-samples", tmp_path / f"{workers} workers")
    lines = saved(tmp_path / "0 workers")
    assert lines == saved(tmp_path / "2 workers")
    assert {line["update"] for line in lines} == set(range(9))
    epochs = [updates(lines, *range(first, first + 3)) for first in (0, 3, 6)]
    for direction in DIRECTIONS:
        epochs_of = [[line["sentence"] for line in epoch if line["direction"] == direction] for epoch in epochs]
        assert [len(epoch) for epoch in epochs_of] == [144] * 3  # 1.5 for each of 96 pairs
        seen = Counter(sentence for epoch in epochs_of for sentence in epoch)
        text = mono_text[direction[:2]]
        assert set(seen) <= set(text)
        assert {seen[sentence] for sentence in text} == {432 // len(text), 432 // len(text) + 1}
        assert len({tuple(epoch) for epoch in epochs_of}) == 3


def test_data_in_several_folders(chain, mono, tmp_path):
    """Each epoch takes the next folder, and the next monolingual sentences, as many as the folder has pairs."""
    folders = []
    for i, part in enumerate((chain.pairs["train"][:60], chain.pairs["train"][60:])):
        for split, pairs in (("train", part), ("valid", chain.pairs["valid"])):
            write_pairs(tmp_path / f"text{i}" / split, pairs)
        text, folder = tmp_path / f"text{i}", tmp_path / f"bin{i}"
        folders.append(str(binarize(text, folder, "--srcdict", chain.data / "dict.de.txt", test=False)))
    found = flags("back_translation_cross_entropy", chain, mono, "--max-epoch", 4, *QUICK, "--save-dir", tmp_path)
    result = train(":".join(folders), *found, "--save-samples", tmp_path / "samples")
    assert len(result.stats["train_inner"]) == 16
    lines = [line for line in saved(tmp_path / "samples") if line["direction"] == "en-de"]
    epochs = [range(first, end) for first, end in ((0, 5), (5, 8), (8, 13), (13, 16))]
    sentences = [[line["sentence"] for line in updates(lines, *numbers)] for numbers in epochs]
    assert [len(epoch) for epoch in sentences] == [60, 36, 60, 36]
    assert len(set(sum(sentences, []))) == 192


# ---- minimum risk


def test_minimum_risk_of_one_direction_is_that_of_the_pair(chain, without_dropout, tmp_path):
    """With fairseq's own task. One batch an epoch, a beam for samples, and the same denominator: all is the same."""
    shared = ["--criterion", "minimum_risk", "--num-samples", 3, *SHORT, "--sample-beam", "--parallel-weight", 0.5]
    shared += ["--sharpness", 0.5, "--risk-weight", 20, "--optimizer", "sgd", "--lr", 0.05, "--clip-norm", 0]
    shared += ["--sentence-avg", "--batch-size", 96, "--max-update", 4]
    starts = [without_dropout[direction] for direction in DIRECTIONS]
    pair = train(chain.data, *with_warm_starts(dsl_flags(chain), *starts), *shared, "--save-dir", tmp_path / "dual")
    found = load(tmp_path / "dual" / "checkpoint_last.pt")
    for direction, start in zip(DIRECTIONS, starts):
        folder = tmp_path / direction
        stock = ["--task", "translation", "-s", direction[:2], "-t", direction[3:], "--finetune-from-model", start]
        stock += [*TRANSFORMER, "--dropout", 0, "--save-dir", folder]
        one = train(chain.data, *stock, *shared, "--save-samples", tmp_path / "samples")
        wanted = load(folder / "checkpoint_last.pt")["model"]
        assert largest_difference(wanted, load(start)["model"]) > 3e-3  # it has learned
        assert largest_difference(direction_of(found, direction), wanted) < 1e-5
        for left, right in zip(one.stats["train_inner"], pair.stats["train_inner"]):
            for key in ("risk", "candidates", "nll_loss", "samples_cut", "length_ratio"):
                value = float(left[f"{key}_{direction}"])
                assert value == pytest.approx(float(right[f"{key}_{direction}"]), abs=2e-3)
        assert one.last("train_inner", f"risk_{direction}") < float(one.stats["train_inner"][0][f"risk_{direction}"])
        assert one.stats["valid"]
        # an ordinary checkpoint
        short = ("--max-len-b", 5, "--required-batch-size-multiple", 1)
        stored = generate(chain.data, direction, folder / "checkpoint_last.pt", *short, task="translation")
        assert sorted(stored.hypotheses()) == list(range(len(chain.pairs["test"])))
        assert {line["update"] for line in saved(tmp_path / "samples")} == {0, 1, 2, 3}


def test_minimum_risk_does_not_use_monolingual_text(chain, mono, tmp_path):
    found = flags("minimum_risk", chain, mono, *mono_flags(mono), "--max-update", 1, "--save-dir", tmp_path, *QUICK)
    result = train(chain.data, *found)
    assert result.says("^--source-mono and --target-mono: not used, --criterion minimum_risk learns from parallel data")


# ---- interrupted


SCHEDULE = [*SHORT, "--mono-weight", "0:0.2,12:1", "--lr-scheduler", "inverse_sqrt", "--warmup-updates", 4]
SCHEDULE += ["--max-update", 13, "--disable-validation"]


def end_of(folder):
    """What must be the same."""
    state = load(folder / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 13  # in the third epoch
    kept = {key: state[key] for key in ("model", "last_optimizer_state")}
    return {**kept, "iterator": state["extra_state"]["train_iterator"]}


@pytest.fixture(scope="module", params=METHODS)
def uninterrupted(request, chain, mono, tmp_path_factory):
    """Of each method, the command, where it ended, and what it logged.

    In an epoch, the de sentences come round twice, the en do not.
    """
    folder = tmp_path_factory.mktemp("uninterrupted")
    found = [chain.data, *flags(request.param, chain, mono), *SCHEDULE]
    return found, folder, train(*found, "--save-dir", folder, "--save-samples", folder / "samples")


def test_stopped_and_resumed(uninterrupted, tmp_path):
    found, folder, _ = uninterrupted
    found = [*found, "--save-dir", tmp_path, "--save-samples", tmp_path / "samples"]
    for stop, done in (("--max-epoch", 1), 6), (("--max-update", 8), 8):
        train(*found, *stop)
        assert load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == done
    train(*found)
    assert saved(tmp_path / "samples") == saved(folder / "samples")
    assert differences(end_of(tmp_path), end_of(folder)) == []


@pytest.mark.parametrize("uninterrupted", ["cycle_adversarial"], indirect=True)
def test_killed_and_resumed_each_sample_is_there_once(uninterrupted, tmp_path):
    """The checkpoint is of some updates before the kill, which cut a line."""
    found, folder, _ = uninterrupted
    found = [*found, "--save-dir", tmp_path, "--save-samples", tmp_path / "samples"]
    train(*found, "--max-update", 7, "--save-interval-updates", 4)
    shutil.copy(tmp_path / "checkpoint_1_4.pt", tmp_path / "checkpoint_last.pt")
    file = tmp_path / "samples" / "samples.0.jsonl"
    assert updates(saved(file.parent), 6)
    file.write_bytes(file.read_bytes()[:-9])
    train(*found)
    assert file.read_bytes() == (folder / "samples" / file.name).read_bytes()


def test_killed_while_it_samples(chain, mono, tmp_path):
    found = [chain.data, *flags("dual_learning", chain, mono), *SCHEDULE, "--save-interval-updates", 2]
    folders = {name: tmp_path / name for name in ("whole", "killed")}
    runs = {name: [*found, "--save-dir", folder, "--save-samples", folder] for name, folder in folders.items()}
    train(*runs["whole"])
    file = tmp_path / "killed" / "samples.0.jsonl"
    process = processes().Process(target=train_in_process, args=(tmp_path / "log", runs["killed"]))
    process.start()
    deadline = time.time() + 120
    while process.is_alive() and time.time() < deadline:
        if file.exists() and file.stat().st_size > 3e4:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    process.join()
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert 0 < len(updates(saved(file.parent), *range(13))) < 416
    train(*runs["killed"])
    assert file.read_bytes() == (tmp_path / "whole" / file.name).read_bytes()


def log_mean_exp(values):
    return math.log(sum(map(math.exp, values)) / len(values))


def estimate_of(line):
    """What is logged of a direction, as its name and by the samples of one sentence; of the dual one by its reverse."""
    there, back = line["direction"], DIRECTIONS[1 - DIRECTIONS.index(line["direction"])]
    if "risk" in line:
        texts = [text.replace("<s>", "").replace("<unk>", "UNKNOWN") for text in line["samples"]]
        risks = [1 - sacrebleu.sentence_bleu(text, [line["reference"]]).score / 100 for text in texts]
        assert risks == pytest.approx(line["risk"], abs=1e-9)
        weights = [math.exp(5e-3 * log_p) for log_p in line["log_p"]]
        return f"risk_{there}", sum(weight * risk for weight, risk in zip(weights, risks)) / sum(weights)
    if "reward_critic" in line:
        length = len(line["sentence"].split()) + 1
        rewards = [
            0.5 * critic + 0.5 * back / length for critic, back in zip(line["reward_critic"], line["log_p_back"])
        ]
        return f"reward_{there}", sum(rewards) / len(rewards)
    if "reward" in line:
        rewards = [0.01 * lm + 0.99 * back for lm, back in zip(line["reward_lm"], line["log_p_back"])]
        return f"reward_{there}", sum(rewards) / len(rewards)
    log_weights = [sum(terms) for terms in zip(line["log_p_back"], line["log_p_sample"], (-q for q in line["log_q"]))]
    if "estimate" in line:
        return f"log_marginal_estimate_{back}", log_mean_exp(log_weights)
    return f"bound_{back}", sum(log_weights) / len(log_weights)


def test_what_is_logged_can_be_computed_from_the_samples(uninterrupted):
    _, folder, run = uninterrupted
    lines = saved(folder / "samples")
    for update, logged in enumerate(run.stats["train_inner"]):
        estimates = {}
        for line in updates(lines, update):
            key, value = estimate_of(line)
            estimates.setdefault(key, []).append(value)
        assert len(estimates) == 2
        for key, found in estimates.items():
            assert sum(found) / len(found) == pytest.approx(float(logged[key]), abs=1e-3), key


# ---- two workers


def check_workers(folder):
    """Both ended with the same parameters, which are those that were saved."""
    state = load(folder / "checkpoint_last.pt")["model"]
    for rank in (0, 1):
        parameters = torch.load(folder / f"worker.{rank}.pt")
        assert differences({key: parameters[key] for key in state}, state) == []
    return json.loads((folder / "stats.0.json").read_text())


def test_two_workers(chain, mono, tmp_path):
    """Each has sentences, random numbers and samples of its own; the statistics count all. Interrupted, they resume."""
    cache = tmp_path / "cache"  # which the first run writes, and the others read
    runs = {
        method: [chain.data, *flags(method, chain, mono), "--max-update", 3, "--disable-validation"]
        + ["--marginal-cache", cache, "--save-samples", tmp_path / method / "samples"]
        for method in ("minimum_risk", "marginal_regularized_cross_entropy", "cycle_adversarial")
    }
    methods = tuple(runs)
    runs["marginal_regularized_cross_entropy"] += ["--proposal", "lm"]  # whose samples do not depend on the sentences
    last = runs["cycle_adversarial"][:-2]
    runs["stopped"] = [*last, "--max-update", 2]
    runs["resumed"] = [*last, "--restore-file", tmp_path / "stopped" / "checkpoint_last.pt"]
    train_by_two_workers(tmp_path, runs)
    for name in ("stopped", "resumed"):
        check_workers(tmp_path / name)
    names = ("cycle_adversarial", "stopped", "resumed")
    last, stopped, resumed = (load(tmp_path / name / "checkpoint_last.pt") for name in names)
    for key in ("model", "last_optimizer_state"):
        assert differences(last[key], stopped[key])
        assert differences(last[key], resumed[key]) == []
    for method in methods:
        stats = check_workers(tmp_path / method)["train_inner"]
        there, back = KEYS[method]
        assert {f"{key}_{d}" for key in [*there, *back] for d in DIRECTIONS} <= set(stats[-1])
        lines = [saved(tmp_path / method / "samples", rank) for rank in (0, 1)]
        assert [len(part) for part in lines] == [96, 96]  # 3 updates, 2 languages, 16 pairs
        if method != "minimum_risk":
            sentences = [{line["sentence"] for line in part if line["direction"] == "en-de"} for part in lines]
            assert not sentences[0] & sentences[1]
        first = [values(updates(part, 0), "samples") for part in lines]
        assert sum(a == b for a, b in zip(*first)) < len(first[0]) / 2
        cut = [value for part in lines for value in values(updates(part, 0), "cut" if "cut" in part[0] else "risk")]
        if method != "minimum_risk":
            shares = [float(stats[0][f"samples_cut_{d}"]) for d in DIRECTIONS]
            assert sum(shares) / 2 == pytest.approx(sum(cut) / len(cut), abs=2e-3)


def test_two_workers_of_which_one_has_no_monolingual_sentence(chain, mono, tmp_path):
    runs = {
        method: [chain.data, *flags(method, chain, mono), "--max-epoch", 1, "--mono-ratio", 0.03, "--save-samples"]
        + [tmp_path / method / "samples"]
        for method in ("marginal_regularized_cross_entropy", "cycle_adversarial")
    }
    train_by_two_workers(tmp_path, runs)
    for method in runs:
        check_workers(tmp_path / method)
        seen = [
            {(line["update"], line["direction"], rank) for line in saved(tmp_path / method / "samples", rank)}
            for rank in (0, 1)
            if (tmp_path / method / "samples" / f"samples.{rank}.jsonl").exists()
        ]
        seen = set().union(*seen)
        assert any((update, direction, 1 - rank) not in seen for update, direction, rank in seen)


def test_two_workers_do_what_one_does_with_twice_the_batch(chain, mono, without_dropout, tmp_path):
    """96 pairs in batches of 32: in the second update of an epoch, the second worker has none."""
    runs = {}
    for method in ("minimum_risk", "back_translation_cross_entropy", "cycle_adversarial"):  # whose samples may be beams
        found = with_warm_starts(flags(method, chain, mono), without_dropout["de-en"], without_dropout["en-de"])
        runs[method] = [chain.data, *found, "--batch-size", 32, "--max-epoch", 2, "--optimizer", "sgd", "--lr", 0.2]
        runs[method] += ["--sample-beam", "--disable-validation", "--clip-norm", 5]
        runs[method] += ["--save-samples", tmp_path / method / "samples"]
    runs["minimum_risk"][1:1] = ["--sharpness", 1, "--risk-weight", 20]
    runs["cycle_adversarial"][1:1] = ["--critic-dropout", 0, "--reward-baseline", "mean", "--reward-alpha", 0.2]
    train_by_two_workers(tmp_path, runs)
    for method, found in runs.items():
        two = check_workers(tmp_path / method)["train_inner"]
        folder = tmp_path / "one" / method
        one = train(*found[:-1], folder / "samples", "--update-freq", 2, "--save-dir", folder).stats["train_inner"]
        of_one = saved(folder / "samples")
        # none of a dummy batch
        of_two = [line for rank in (0, 1) for line in saved(tmp_path / method / "samples", rank)]
        assert {(line["update"], line["batch"]) for line in of_one} == {(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (3, 0)}
        left, right = (
            Counter((line["update"], line["direction"], line["id"], line["sentence"]) for line in lines)
            for lines in (of_one, of_two)
        )
        assert left == right
        left, right = (load(tmp_path / name / method / "checkpoint_last.pt")["model"] for name in ("one", "."))
        warm = {f"models.{d}.{k}": v for d in DIRECTIONS for k, v in load(chain.warm[d])["model"].items()}
        assert largest_difference({key: left[key] for key in warm}, warm) > 1e-2
        assert largest_difference(left, right) < 1e-5
        there, back = KEYS[method]
        logged = {f"{key}_{d}" for key in [*there, *back] for d in DIRECTIONS if not key.startswith("bound")}
        assert len(one) == len(two) == 4
        for a, b in zip(one, two):
            for key in ("loss", "nll_loss", "gnorm", *logged):
                assert float(a[key]) == pytest.approx(float(b[key]), abs=3e-3), key


# ---- memory

ON_CPU = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "999 bytes. Error code 12 (Cannot allocate memory)\n  a stack"
)
ON_CUDA = "CUDA out of memory. Tried to allocate 999 MiB"


def lacks_memory(monkeypatch, where, name, error):
    """The first call fails, as where a batch does not fit."""
    real, errors = getattr(where, name), [error]

    def call(*arguments, **keywords):
        if errors:
            raise errors.pop()
        return real(*arguments, **keywords)

    monkeypatch.setattr(where, name, call)


FULL = {"cpu": (RuntimeError, ON_CPU), "python": (MemoryError,), "cuda": (RuntimeError, ON_CUDA)}


@pytest.mark.parametrize(
    "where, what",
    [("pair", "cpu"), ("pair", "cuda"), ("samples", "cpu"), ("samples", "python"), ("one direction", "cuda")],
)
def test_a_batch_that_does_not_fit(chain, tmp_path, monkeypatch, where, what):
    error = FULL[what]
    found = [*dsl_flags(chain)[: -len(lm_flags(chain))], "--criterion", "minimum_risk", "--num-samples", 5, *SHORT]
    if where == "one direction":
        task = ["--task", "translation", "-s", "de", "-t", "en", *TRANSFORMER]
        found = [*task, *found[found.index("minimum_risk") - 1 :]]
    found += ["--max-epoch", 1, "--disable-validation", "--save-dir", tmp_path]
    patched = (DualTranslationModel, "forward") if where == "pair" else (SequenceGenerator, "generate")
    monkeypatch.setattr("fairseq_dsl.models.building.require_translation_model", lambda *_: None)  # generates too
    lacks_memory(monkeypatch, *patched, error[0](*error[1:]))
    if error[-1] == ON_CUDA:  # fairseq skips the batch and goes on
        result = train(chain.data, *found)
        message = next(message for message in result.log if ON_CUDA in message)
        assert len(result.stats["train_inner"]) == 5
    else:
        with pytest.raises(BadInput) as caught:
            train(chain.data, *found)
        message = str(caught.value)
        assert "\n" not in message and "out of memory" in message
    for part in ("--num-samples", "it is 5", "--max-tokens", "--batch-size"):
        assert part in message


def test_a_batch_that_does_not_fit_without_samples(chain, tmp_path, monkeypatch):
    lacks_memory(monkeypatch, DualTranslationModel, "forward", RuntimeError(ON_CPU))
    found = [*dsl_flags(chain)[: -len(lm_flags(chain))], "--dsl-lambda", 0, "--max-epoch", 1, "--save-dir", tmp_path]
    with pytest.raises(BadInput, match="out of memory .*--max-tokens or --batch-size"):
        train(chain.data, *found)
