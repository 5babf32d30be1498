"""Half precision, and the norms and the clipping of each model's gradient."""

import pytest
import torch
from commands import direction_of, distance, dsl_flags, load, train

DIRECTIONS = ("de-en", "en-de")
PRECISIONS = {"single": [], "amp": ["--amp"]}
if tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 2):  # earlier ones have no halves on the CPU
    PRECISIONS["fp16"] = ["--fp16", "--fp16-no-flatten-grads"]


@pytest.fixture(params=PRECISIONS)
def precision(request):
    return request.param, PRECISIONS[request.param]


def one_update(chain, folder, *arguments):
    """A run of one update of plain SGD at rate 1, and how far each model moved: the norm of its gradient."""
    flags = [*dsl_flags(chain), "--optimizer", "sgd", "--lr", 1, "--max-update", 1, "--disable-validation"]
    flags += ["--dsl-lambda", 0, "--dsl-lambda-dual", 0.3]  # so that the norms differ
    run = train(chain.data, *flags, "--save-dir", folder, *arguments)
    state = load(folder / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 1
    moved = {d: distance(direction_of(state, d), load(chain.warm[d])["model"]) for d in DIRECTIONS}
    return run, moved


def test_each_model_is_clipped_on_its_own(chain, tmp_path, precision):
    name, flags = precision
    rounding = 0.05 if name == "fp16" else 0.002  # the parameters are stored in half precision; norms in 3 places
    free_run, free = one_update(chain, tmp_path / "free", *flags)
    norms = {d: free_run.last("train_inner", f"gnorm_{d}") for d in DIRECTIONS}
    for d in DIRECTIONS:
        assert norms[d] == pytest.approx(free[d], rel=rounding, abs=1e-3)
    low, high = sorted(norms.values())
    assert high > 1.1 * low
    limit = (low + high) / 2  # between the two: one is clipped, the other is not
    run, clipped = one_update(chain, tmp_path / "clipped", *flags, "--per-model-clip-norm", limit)
    for d in DIRECTIONS:
        assert run.last("train_inner", f"gnorm_{d}") == pytest.approx(
            norms[d], rel=rounding
        )  # logged as before clipping
        assert clipped[d] == pytest.approx(min(norms[d], limit), rel=rounding, abs=1e-3)
    _, both = one_update(chain, tmp_path / "both", *flags, "--per-model-clip-norm", low / 4)
    for d in DIRECTIONS:
        assert both[d] == pytest.approx(low / 4, rel=rounding, abs=1e-3)


@pytest.mark.parametrize("clipped", ["not clipped", "clipped"])
def test_the_norms_of_the_models_make_up_that_of_the_pair(chain, tmp_path, precision, clipped):
    """Before any clipping, together or of each model."""
    flags = [*precision[1], "--update-freq", 2, "--max-epoch", 2, "--save-dir", tmp_path]
    flags += ["--clip-norm", 0.01, "--per-model-clip-norm", 0.004] if clipped == "clipped" else []
    run = train(chain.data, *dsl_flags(chain), *flags)
    stats = run.stats["train_inner"]
    assert len(stats) >= 5  # of 6: half precision may skip one to find its scale
    for line in stats:
        pair = (float(line["gnorm_de-en"]) ** 2 + float(line["gnorm_en-de"]) ** 2) ** 0.5
        assert pair == pytest.approx(float(line["gnorm"]), rel=0.02, abs=2e-3)
        assert float(line["pnorm_de-en"]) > 1 and float(line["pnorm_en-de"]) > 1
        assert float(line["duality_gap"]) >= 0


def test_half_precision_finds_the_same_gap(chain, tmp_path):
    """Log-probabilities and marginals keep their digits: a half of 150 nats is known to an eighth."""
    found = {}
    for name, flags in PRECISIONS.items():
        run = train(chain.data, *dsl_flags(chain), *flags, "--max-update", 1, "--lr", 0, "--save-dir", tmp_path / name)
        found[name] = [run.last("train_inner", key) for key in ("duality_gap_signed", "duality_loss", "nll_loss")]
    assert found["single"][1] > 0.1
    assert found["amp"] == pytest.approx(found["single"], rel=0.02, abs=0.01)
    if "fp16" in found:
        assert found["fp16"] == pytest.approx(found["single"], rel=0.05, abs=0.03)
