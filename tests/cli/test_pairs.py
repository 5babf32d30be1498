"""Three ways to make a pair, of any two architectures, from data of any layout."""

import shutil

import pytest
from commands import (
    FCONV,
    LSTM,
    LSTM_LM,
    TASK,
    TRANSFORMER,
    binarize,
    direction_of,
    dsl_flags,
    generate,
    largest_difference,
    lm_flags,
    load,
    train,
    train_lm,
    train_translation,
    warm_flags,
    write_pairs,
)

DIRECTIONS = ("de-en", "en-de")


def two(primal, dual):
    """Flags of the second way, from two commands of single models."""
    flags = ["--arch", "dual_translation"]
    for role, (_, arch, *arguments) in (("primal", primal), ("dual", dual)):
        flags += [f"--{role}-arch", arch, f"--{role}-args=" + " ".join(arguments)]
    return flags


WAYS = {
    "an ordinary transformer": (TRANSFORMER, "TransformerModel", "TransformerModel", "separate"),
    "an ordinary transformer with shared embeddings": (
        [*TRANSFORMER, "--share-all-embeddings"], "TransformerModel", "TransformerModel", "chain",
    ),
    "an ordinary lstm": (LSTM, "LSTMModel", "LSTMModel", "separate"),
    "an ordinary fconv": (FCONV, "FConvModel", "FConvModel", "chain"),
    "transformer and lstm": (two(TRANSFORMER, LSTM), "TransformerModel", "LSTMModel", "chain"),
    "lstm and transformer": (two(LSTM, TRANSFORMER), "LSTMModel", "TransformerModel", "separate"),
    "fconv and lstm": (two(FCONV, LSTM), "FConvModel", "LSTMModel", "separate"),
    "named architectures": (
        two(
            ["--arch", "transformer_tiny", "--dropout", "0.3"],
            ["--arch", "lstm_luong_wmt_en_de", *LSTM[2:], "--encoder-layers 1 --decoder-layers 1"],
        ),
        "TransformerModel", "LSTMModel", "chain",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_architectures(request, tmp_path, way):
    model, *classes, dictionaries = WAYS[way]
    data = request.getfixturevalue(dictionaries)
    run = train(data.data, *TASK, *model, *lm_flags(data), "--max-update", 3, "--save-dir", tmp_path)
    assert len(run.stats["train_inner"]) == 3
    printed = [message for message in run.log if message.startswith("DualTranslationModel(")][0]
    for direction, name in zip(DIRECTIONS, classes):
        assert f"({direction}): {name}(" in printed
    check_gap(run)
    for direction in DIRECTIONS:
        found = generate(data.data, direction, tmp_path / "checkpoint_last.pt", "--max-len-b", 10)
        assert sorted(found.hypotheses()) == list(range(len(data.pairs["test"])))


def check_gap(run):
    """Every statistic is a number."""
    for stats in run.stats["train_inner"] + run.stats["valid"]:
        for key, value in stats.items():
            assert float(value) == float(value), key


def test_own_flags_reach_the_model(chain, tmp_path):
    model = two([*TRANSFORMER, "--dropout", "0.37"], [*TRANSFORMER, "--encoder-layers", "2"])
    train(chain.data, *TASK, *model, "--dsl-lambda", 0, "--max-update", 1, "--save-dir", tmp_path)
    state = load(tmp_path / "checkpoint_last.pt")
    pair = state["cfg"].model.pair
    assert (pair["de-en"].dropout, pair["en-de"].dropout) == (0.37, 0.1)
    assert "encoder.layers.1.fc1.weight" in direction_of(state, "en-de")
    assert "encoder.layers.1.fc1.weight" not in direction_of(state, "de-en")


def test_warm_starts_of_another_architecture(chain, tmp_path):
    flags = warm_flags(chain)
    for name, direction in (("--primal-checkpoint", "de-en"), ("--dual-checkpoint", "en-de")):
        start = train_translation(chain.data, direction, tmp_path / direction, arch=LSTM, updates=2)
        flags[flags.index(name) + 1] = start
    run = train(
        chain.data, *TASK, *flags, *lm_flags(chain), "--max-update", 1, "--lr", 0, "--save-dir", tmp_path / "dual"
    )
    check_gap(run)
    state = load(tmp_path / "dual" / "checkpoint_last.pt")
    for direction in DIRECTIONS:
        wanted = load(tmp_path / direction / "checkpoint_last.pt")["model"]
        assert largest_difference(direction_of(state, direction), wanted) == 0
        assert len(generate(chain.data, direction, tmp_path / "dual" / "checkpoint_last.pt").hypotheses()) > 0


def test_a_checkpoint_with_an_architecture(chain, tmp_path):
    """One direction from a warm start, the other anew."""
    model = [*two(LSTM, LSTM)[:4], "--primal-args=" + " ".join(LSTM[2:]), *warm_flags(chain)[4:]]
    flags = ["--arch", "dual_translation", "--primal-arch", "lstm", model[4], "--dual-checkpoint", chain.warm["en-de"]]
    train(chain.data, *TASK, *flags, *lm_flags(chain), "--max-update", 1, "--lr", 0, "--save-dir", tmp_path)
    state = load(tmp_path / "checkpoint_last.pt")
    assert largest_difference(direction_of(state, "en-de"), load(chain.warm["en-de"])["model"]) == 0
    assert "encoder.lstm.weight_ih_l0" in direction_of(state, "de-en")


def test_lstm_language_models(chain, tmp_path):
    models = [train_lm(chain.lm_data[each], tmp_path / each, arch=LSTM_LM) for each in ("de", "en")]
    flags = [*TASK, *warm_flags(chain), "--source-lm", models[0], "--target-lm", models[1]]
    check_gap(train(chain.data, *flags, "--max-update", 1, "--save-dir", tmp_path / "dual"))


# ---- layouts of data


@pytest.fixture(scope="module")
def reference(chain, tmp_path_factory):
    """The statistics of the warm starts themselves (no learning), and what is the same from en to de."""
    run = train(chain.data, *dsl_flags(chain), *STILL, "--save-dir", tmp_path_factory.mktemp("reference"))
    return run.stats["valid"][-1]


STILL = "--lr 0 --max-epoch 1 --dsl-lambda 0.01 --dsl-lambda-dual 0.02".split()


@pytest.mark.parametrize("files", ["de-en", "en-de"])
@pytest.mark.parametrize("flags", ["de-en", "en-de"])
def test_the_order_of_languages_in_names_and_flags(chain, tmp_path, reference, files, flags):
    data = tmp_path / "bin"
    shutil.copytree(chain.data, data)
    if files == "en-de":
        for path in data.glob("*.de-en.*"):
            path.rename(data / path.name.replace(".de-en.", ".en-de."))
    command = dsl_flags(chain) + STILL
    if flags == "en-de":
        for one, other in (("-s", "-t"), ("--source-lm", "--target-lm"), ("--primal-checkpoint", "--dual-checkpoint"),
                           ("--dsl-lambda", "--dsl-lambda-dual")):  # fmt: skip
            i, j = command.index(one) + 1, command.index(other) + 1
            command[i], command[j] = command[j], command[i]
    found = train(data, *command, "--save-dir", tmp_path / "dual").stats["valid"][-1]
    same = ["loss", "nll_loss", "duality_gap", "duality_loss", "unlearnt", "duality_share"]
    same += [f"{name}_{direction}" for name in ("nll_loss", "lambda") for direction in DIRECTIONS]
    for name in same:
        assert float(found[f"valid_{name}"]) == pytest.approx(float(reference[f"valid_{name}"]), abs=2e-3), name
    sign = 1 if flags == "de-en" else -1
    signed = float(reference["valid_duality_gap_signed"])
    assert signed != 0
    assert float(found["valid_duality_gap_signed"]) == pytest.approx(sign * signed, abs=2e-3)
    for direction in DIRECTIONS:
        assert len(generate(data, direction, tmp_path / "dual" / "checkpoint_last.pt").hypotheses()) == len(
            chain.pairs["test"]
        )


def pairs_seen(run):
    """How many pairs and how many tokens of both sides the updates had."""
    stats = run.stats["train_inner"]
    return round(sum(float(s["bsz"]) for s in stats)), round(sum(float(s["wpb"]) for s in stats))


def tokens(pairs):
    return sum(len(side.split()) + 1 for pair in pairs for side in pair)


def test_shards(chain, tmp_path):
    """Each epoch reads the next folder; the language models score all of them before the first update."""
    parts = [chain.pairs["train"][:32], chain.pairs["train"][32:]]
    for i, part in enumerate(parts):
        write_pairs(tmp_path / str(i) / "train", part)
        shutil.copy(chain.text / "valid.de", tmp_path / str(i))
        shutil.copy(chain.text / "valid.en", tmp_path / str(i))
        binarize(tmp_path / str(i), tmp_path / f"bin{i}", "--srcdict", chain.data / "dict.de.txt", test=False)
    data = f"{tmp_path / 'bin0'}:{tmp_path / 'bin1'}"
    flags = [*dsl_flags(chain), "--marginal-cache", tmp_path / "cache"]
    first = train(data, *flags, "--max-epoch", 1, "--save-dir", tmp_path / "one")
    assert pairs_seen(first) == (32, tokens(parts[0]))
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2 * (2 + 1)  # both sides of two shards and of valid
    check_gap(first)
    written = [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").iterdir())]
    both = train(data, *flags, "--max-epoch", 2, "--save-dir", tmp_path / "two")
    assert pairs_seen(both) == (96, tokens(parts[0] + parts[1]))
    check_gap(both)
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").iterdir())] == written  # not scored again


@pytest.mark.parametrize("size", [("--batch-size", 24), ("--max-tokens", 60)], ids=["batch-size", "max-tokens"])
def test_batches_hold_every_pair_once(chain, tmp_path, size):
    size = [*size, "--batch-size", 1000] if size[0] == "--max-tokens" else size
    run = train(chain.data, *dsl_flags(chain), *size, "--max-epoch", 1, "--save-dir", tmp_path)
    assert pairs_seen(run) == (96, tokens(chain.pairs["train"]))
    largest = max(float(stats["bsz"]) for stats in run.stats["train_inner"])
    assert largest == 24 if size[0] == "--batch-size" else 1 < largest < 60


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_long_and_empty_pairs_are_skipped_in_both_directions(chain, tmp_path, direction):
    """Counted and said, in training and in validation, whichever side is the long or the empty one."""
    limits = {"de": 5, "en": 8}
    added = [("", "v0x v1x v1y"), ("w0 w1", ""), ("", "")]
    text = {"train": chain.pairs["train"] + added, "valid": chain.pairs["valid"] + added}
    for split, part in text.items():
        write_pairs(tmp_path / split, part)
    binarize(tmp_path, tmp_path / "bin", "--srcdict", chain.data / "dict.de.txt", test=False)
    source, target = direction.split("-")
    flags = ["--max-source-positions", limits[source], "--max-target-positions", limits[target], *dsl_flags(chain)]
    if direction == "en-de":
        for one, other in (("-s", "-t"), ("--source-lm", "--target-lm"), ("--primal-checkpoint", "--dual-checkpoint")):
            i, j = flags.index(one) + 1, flags.index(other) + 1
            flags[i], flags[j] = flags[j], flags[i]
    run = train(tmp_path / "bin", *flags, "--max-epoch", 1, "--save-dir", tmp_path / "dual")

    def fits(pair):
        return len(pair[0].split()) < limits["de"] and len(pair[1].split()) < limits["en"]  # and the end of sentence

    for part in text.values():
        long = sum(not fits(pair) for pair in part)
        assert long > 0
        assert run.says(rf"^{long} of {len(part)} pairs longer than .* skipped in both directions")
        assert run.says(rf"^3 of {len(part)} pairs with an empty side are skipped in both directions")
    kept = [pair for pair in chain.pairs["train"] if fits(pair)]
    assert any(
        len(pair[1].split()) >= limits["en"] for pair in chain.pairs["train"] if len(pair[0].split()) < limits["de"]
    )
    assert pairs_seen(run) == (len(kept), tokens(kept))
    check_gap(run)
