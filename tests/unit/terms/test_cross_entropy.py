"""The cross-entropy of the parallel data, against stock fairseq."""

import pytest
import tiny
import torch
from drawn import SETTINGS
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from toys import METHODS, learns_by, sample_of

from fairseq_dsl.errors import BadInput


@pytest.mark.parametrize("architecture", ["transformer", "lstm"])
@pytest.mark.parametrize("sentence_avg", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_at_lambda_0_the_gradients_equal_those_of_two_ordinary_runs(
    scored_pair, architecture, sentence_avg, label_smoothing
):
    made = scored_pair(architecture)
    criterion = tiny.criterion(made, sentence_avg=sentence_avg, label_smoothing=label_smoothing)
    loss, sample_size, _ = criterion(made.model, tiny.batch(made.data))
    found = tiny.gradients(made.model, loss)

    wanted, sizes = {}, []
    for direction, task in made.task.tasks.items():
        task.load_dataset("train")
        stock = LabelSmoothedCrossEntropyCriterion(task, sentence_avg, label_smoothing)
        loss, size, _ = stock(made.model.models[str(direction)], tiny.batch(task.dataset("train")))
        sizes.append(size)
        for name, gradient in tiny.gradients(made.model.models[str(direction)], loss).items():
            wanted[f"models.{direction}.{name}"] = gradient
    assert sample_size == (len(tiny.PAIRS) if sentence_avg else sum(sizes))
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("weight, counts", [(0.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("method", METHODS)
def test_validation_s_loss_has_the_cross_entropy(toy_pair, method, weight, counts):
    """Also where training has none: the best checkpoint would be chosen by a constant."""
    made = toy_pair()
    plain = tiny.learns_by(made, "dsl_cross_entropy", dsl_lambda=0.0, label_smoothing=0.1).eval()
    wanted = counts * plain(made.model, sample_of(made))[0].item()
    criterion = learns_by(made, method, **SETTINGS[method], parallel_weight=weight).eval()
    loss, _, logged = criterion(made.model, sample_of(made))
    assert loss.item() == logged["loss"].item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("label_smoothing", [1.0, -0.1])
def test_a_refused_label_smoothing_is_named(scored_pair, label_smoothing):
    with pytest.raises(BadInput, match=f"--label-smoothing {label_smoothing}"):
        tiny.criterion(scored_pair("transformer"), label_smoothing=label_smoothing)
