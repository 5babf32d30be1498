"""Fixtures of the unit tests; `tiny` and `toys` make what they hold."""

from types import SimpleNamespace

import pytest
import tiny
import torch
from fairseq import tasks, utils
from toys import ToyPairs

from fairseq_dsl.tasks import stages

PADDINGS = {"left source": (True, False), "right": (False, False)}
if torch.__version__ >= "2":  # before, all that a decoder says of left-padded targets is nan
    PADDINGS.update({"left": (True, True), "left target": (False, True)})


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A data folder whose two sides differ in vocabulary, and whose sentences sort differently by length."""
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder, tiny.PAIRS)
    return str(folder)


@pytest.fixture(scope="session")
def joined(tmp_path_factory):
    """The same with one dictionary for both languages."""
    folder = tmp_path_factory.mktemp("joined")
    words = [word for pair in tiny.PAIRS for side in pair for word in side]
    tiny.write_data(folder, tiny.PAIRS, {"de": tiny.dictionary(words), "en": tiny.dictionary(words)})
    return str(folder)


@pytest.fixture(scope="session")
def scored_pair(data):
    """Pairs of models on data with made-up scores, by their architectures, made once; tests leave them no gradients."""
    made = {}

    def get(primal, dual=None):
        if (primal, dual) not in made:
            made[primal, dual] = tiny.pair(data, primal, dual, tiny.LOG_MARGINALS)
        return made[primal, dual]

    return get


@pytest.fixture
def in_float64(monkeypatch):
    """fairseq takes softmaxes in float32, whatever the model's precision is."""
    monkeypatch.setattr(utils, "log_softmax", lambda x, dim, onnx_trace=False: torch.log_softmax(x, dim))
    monkeypatch.setattr(utils, "softmax", lambda x, dim, onnx_trace=False: torch.softmax(x, dim))


@pytest.fixture(scope="session")
def toy_pairs(tmp_path_factory):
    return ToyPairs(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def toy_pair(toy_pairs, in_float64, monkeypatch):
    """`ToyPairs`: a pair of toy models by its architecture."""
    monkeypatch.setattr(stages, "marginals_of", toy_pairs.marginals_of)
    return toy_pairs


@pytest.fixture(scope="session")
def made_in_float64(data):
    """A pair of the corpus of `tiny`, in float64."""
    made = tiny.pair(data, "transformer", marginals=None)
    made.model.double()
    return made


@pytest.fixture
def pair_in_float64(made_in_float64, in_float64):
    return made_in_float64


@pytest.fixture(params=PADDINGS.values(), ids=PADDINGS.keys())
def pads(request):
    """Have a task and its data pad sources and targets on the left or right; 1-layer transformers see no padding."""
    changed = []

    def pad(*parts):
        for part in parts:
            changed.append((part, part.left_pad_source, part.left_pad_target))
            part.left_pad_source, part.left_pad_target = request.param

    yield pad
    for part, *before in changed:
        part.left_pad_source, part.left_pad_target = before


@pytest.fixture(scope="session", params=["two architectures", "one ordinary architecture"])
def pair_checkpoint(request, data, tmp_path_factory):
    """A pair that was built from flags, with its training data, and its checkpoint."""
    command = ["--task", "dual_translation", "--criterion", "dsl_cross_entropy", "--dsl-lambda", 0]
    if request.param == "two architectures":
        command += ["--arch", "dual_translation"]
        for role, arch in (("primal", "transformer"), ("dual", "lstm")):
            command += [f"--{role}-arch", arch, f"--{role}-args={tiny.FLAGS[arch]}"]
    else:
        command += ["--arch", "transformer", *tiny.FLAGS["transformer"].split()]
    cfg = tiny.configure(data, *command)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    tiny.spread(model)
    task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    path = tiny.save_checkpoint(tmp_path_factory.mktemp("dual") / "dual.pt", cfg, model)
    return SimpleNamespace(model=model, data=task.dataset("train")), path
