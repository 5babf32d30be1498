"""λ = 0 is two stock runs in one; what training and validation log."""

import math
import shutil

import pytest
from commands import (
    TASK,
    TRANSFORMER,
    direction_of,
    dsl_flags,
    edited,
    largest_difference,
    load,
    train,
    warm_flags,
)

DIRECTIONS = ("de-en", "en-de")
BOTH = ["loss", "nll_loss", "ppl"]
GAP = ["duality_gap", "duality_gap_signed", "duality_loss", "unlearnt", "duality_share"]
EACH = [f"{name}_{direction}" for name in ("nll_loss", "ppl", "lambda") for direction in DIRECTIONS]
NORMS = [f"{name}_{direction}" for name in ("gnorm", "pnorm") for direction in DIRECTIONS]
BLEU = ["bleu"] + [f"bleu_{direction}" for direction in DIRECTIONS]


# Without a larger eps, Adam makes whole steps of rounding errors where the gradient is 0: the bias of attention's keys.
@pytest.mark.parametrize(
    "smoothing, optimizer",
    [(0, ("sgd", "--lr", 0.02)), (0.1, ("adam", "--lr", 2e-3, "--adam-eps", 1e-3))],
    ids=["sgd", "adam and label smoothing"],
)
def test_ten_updates_equal_those_of_two_stock_runs(chain, tmp_path, smoothing, optimizer):
    # One batch an epoch, and the same denominator: both then see the same sentences and the same gradients.
    shared = [
        "--sentence-avg",
        "--label-smoothing",
        smoothing,
        "--batch-size",
        96,
        "--max-update",
        10,
        "--clip-norm",
        0,
    ]
    shared += ["--optimizer", *optimizer, "--disable-validation"]
    none = {f"model__{name}": 0.0 for name in ("dropout", "attention_dropout", "activation_dropout")}
    without_dropout = {d: edited(chain.warm[d], tmp_path / f"{d}.pt", **none) for d in DIRECTIONS}
    flags = dsl_flags(chain)
    flags[flags.index("--primal-checkpoint") + 1] = without_dropout["de-en"]
    flags[flags.index("--dual-checkpoint") + 1] = without_dropout["en-de"]
    run = train(chain.data, *flags, *shared, "--dsl-lambda", 0, "--save-dir", tmp_path / "dual")
    assert run.last("train_inner", "duality_gap") > 0  # given language models, the gap of the control is logged
    assert run.last("train_inner", "unlearnt") == 0
    found = load(tmp_path / "dual" / "checkpoint_last.pt")
    assert found["optimizer_history"][-1]["num_updates"] == 10
    for direction in DIRECTIONS:
        folder = tmp_path / direction
        stock = ["--task", "translation", "-s", direction[:2], "-t", direction[3:], "--finetune-from-model"]
        stock += [without_dropout[direction], *TRANSFORMER, "--dropout", 0, "--save-dir", folder]
        train(chain.data, *stock, *shared, "--criterion", "label_smoothed_cross_entropy")
        wanted = load(folder / "checkpoint_last.pt")["model"]
        assert largest_difference(wanted, load(chain.warm[direction])["model"]) > 1e-3  # it has learned
        assert largest_difference(direction_of(found, direction), wanted) < 1e-6


@pytest.mark.parametrize("models", ["with language models", "without language models"])
@pytest.mark.parametrize("bleu", [True, False], ids=["eval-bleu", "no-bleu"])
def test_the_same_keys_always(chain, tmp_path, models, bleu):
    flags = dsl_flags(chain) if models == "with language models" else [*TASK, *warm_flags(chain), "--dsl-lambda", 0]
    flags += ["--eval-bleu"] if bleu else []
    run = train(chain.data, *flags, "--max-epoch", 2, "--update-freq", 2, "--save-dir", tmp_path)
    assert len(run.stats["valid"]) == 2
    for stats in run.stats["train_inner"]:
        assert set(BOTH + GAP + EACH + NORMS + ["gnorm"]) <= set(stats)
    for kind, names in (("train", BOTH + GAP + EACH + NORMS), ("valid", BOTH + GAP + EACH + (BLEU if bleu else []))):
        for stats in run.stats[kind]:
            assert {f"{kind}_{name}" for name in names} <= set(stats)
    gap = run.last("valid", "valid_duality_gap")
    assert gap > 0 if models == "with language models" else math.isnan(gap)  # unknown, which is not 0
    assert run.says("duality gap before the first update") == (models == "with language models")


def test_the_figures_fit_together(chain, tmp_path):
    run = train(
        chain.data, *dsl_flags(chain), "--max-epoch", 1, "--eval-bleu", "--save-dir", tmp_path, "--dsl-lambda", 0.01
    )
    stats = {key[len("valid_") :]: float(value) for key, value in run.stats["valid"][-1].items() if key != "epoch"}
    for direction in DIRECTIONS:
        # fairseq rounds nll_loss to 3 places, the perplexity to 2
        assert stats[f"ppl_{direction}"] == pytest.approx(2 ** stats[f"nll_loss_{direction}"], rel=1e-3)
    ends = {
        language: sum(len(pair[i].split()) + 1 for pair in chain.pairs["valid"])
        for i, language in enumerate(("de", "en"))
    }
    nll = (stats["nll_loss_de-en"] * ends["en"] + stats["nll_loss_en-de"] * ends["de"]) / sum(ends.values())
    assert stats["nll_loss"] == pytest.approx(nll, abs=2e-3)
    assert stats["bleu"] == pytest.approx((stats["bleu_de-en"] + stats["bleu_en-de"]) / 2, abs=0.01)
    # loss = nll + 2 λ gap², of which duality_share is the part of the regularizer
    pairs = len(chain.pairs["valid"])
    regularizer = 2 * 0.01 * stats["duality_loss"] * pairs / sum(ends.values()) / math.log(2)
    assert stats["loss"] == pytest.approx(stats["nll_loss"] + regularizer, rel=2e-3)
    assert stats["duality_share"] == pytest.approx(regularizer / stats["loss"], abs=2e-3)
    assert abs(stats["duality_gap_signed"]) <= stats["duality_gap"] <= math.sqrt(stats["duality_loss"]) + 1e-3


@pytest.mark.parametrize("metric", ["loss", "nll_loss_de-en", "bleu", "bleu_en-de", "duality_gap"])
def test_best_checkpoint_metric(chain, tmp_path, metric):
    choice = ["--best-checkpoint-metric", metric] + (["--maximize-best-checkpoint-metric"] if "bleu" in metric else [])
    run = train(chain.data, *dsl_flags(chain), *choice, "--eval-bleu", "--max-epoch", 1, "--save-dir", tmp_path)
    best = load(tmp_path / "checkpoint_best.pt")["extra_state"]["best"]
    assert best == pytest.approx(run.last("valid", f"valid_{metric}"), abs=1e-3)


@pytest.mark.parametrize("limit", [0, 2], ids=["no n-gram at all", "short ones"])
def test_bleu_is_there_even_when_no_n_gram_matches(chain, tmp_path, limit):
    run = train(
        chain.data, *dsl_flags(chain), "--max-epoch", 1, "--save-dir", tmp_path, "--eval-bleu", "--eval-bleu-args",
        f'{{"max_len_a": 0, "max_len_b": {limit}, "min_len": 0}}', "--best-checkpoint-metric", "bleu",
    )  # fmt: skip
    for name in BLEU:
        assert 0 <= run.last("valid", f"valid_{name}") < (1e-9 if limit == 0 else 50)
    assert (tmp_path / "checkpoint_best.pt").exists()


def test_lambda_matters(chain, tmp_path):
    """Tests of λ = 0 say nothing of a regularizer without effect."""
    shared = ["--max-epoch", 4, "--label-smoothing", 0.1]
    runs = {}
    for weight in (0, 0.1):
        folder = tmp_path / str(weight)
        runs[weight] = train(chain.data, *dsl_flags(chain), *shared, "--dsl-lambda", weight, "--save-dir", folder)
        shutil.rmtree(folder)
    assert runs[0.1].last("valid", "valid_duality_loss") < 0.85 * runs[0].last("valid", "valid_duality_loss")
