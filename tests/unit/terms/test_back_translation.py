"""Back-translation, and the bound on log P(y) that it logs."""

import math

import numpy as np
import pytest
import tiny
import torch
from drawn import is_given
from toys import (
    DIRECTIONS,
    EOS,
    LIMIT,
    REVERSE,
    SENTENCES,
    SYMBOLS,
    assert_same_gradients,
    learns_by,
    log_p,
    log_p_lm,
    proposal,
    sample_of,
    saved,
    translation_logits,
)

from fairseq_dsl.errors import BadInput

DRAWN = [[(4, EOS), (5, 4, EOS), (4, EOS)], [(0, 3, EOS), (5, EOS), (4, 4, EOS)], [(5, 5, EOS), (5, EOS), (4, 5, EOS)]]


def run(made, name, back, folder, drawn, log_q, **settings):
    criterion = learns_by(made, name, num_samples=len(drawn[0]), save_samples=str(folder), **settings)
    is_given(criterion, drawn, log_q)
    language = DIRECTIONS[back][1]
    loss, _, logged = criterion(made.model, sample_of(made, **{language: SENTENCES[language][: len(drawn)]}))
    return loss, logged, saved(folder)


def true_log_q(made, there):
    """The true log-probabilities of the samples above."""
    with torch.no_grad():
        tables = [proposal(made, there, y) for y in SENTENCES[DIRECTIONS[there][0]]]
        return [[table[x].item() for x in drawn] for table, drawn in zip(tables, DRAWN)]


@pytest.mark.parametrize("back", DIRECTIONS)
@pytest.mark.parametrize("arch", ["transformer", "lstm"])
def test_the_bound_is_below_the_importance_estimate_of_the_same_samples(toy_pair, arch, back, tmp_path):
    """Jensen: the mean of the log-weights against the log of the mean weight."""
    made = toy_pair(arch)
    log_q = true_log_q(made, REVERSE[back])
    _, _, by_bound = run(made, "back_translation_cross_entropy", back, tmp_path / "bound", DRAWN, log_q)
    _, _, by_weights = run(made, "marginal_regularized_cross_entropy", back, tmp_path / "weights", DRAWN, log_q)
    assert len(by_bound) == len(by_weights) == 3
    for bound, weights in zip(by_bound, by_weights):
        assert bound["sentence"] == weights["sentence"] and bound["samples"] == weights["samples"]
        values = np.array(bound["log_p_back"]) + bound["log_p_sample"] - np.array(bound["log_q"])
        assert values.std() > 0.1
        assert values.mean() < weights["estimate"]
        assert np.log(np.exp(values).mean()) == pytest.approx(weights["estimate"], rel=1e-9)


@pytest.mark.parametrize("back", DIRECTIONS)
@pytest.mark.parametrize(
    "arch, temperature", [("transformer", 0.5), ("transformer", 1.0), ("transformer", 2.0), ("lstm", 1.0)]
)
def test_the_expected_bound_is_below_the_log_marginal_by_a_divergence(toy_pair, arch, temperature, back):
    """E_q[log w] = log Z - KL(q || the posterior), Z the marginal over all that may be sampled."""
    made, there = toy_pair(arch), REVERSE[back]
    criterion = learns_by(made, "back_translation_cross_entropy", num_samples=1, sample_temperature=temperature)
    language = DIRECTIONS[there][0]
    y = SENTENCES[language][1]
    bound, divergence, joint = 0.0, 0.0, {}
    with torch.no_grad():
        log_qs = {x: q.item() for x, q in proposal(made, there, y, temperature).items()}
        for x, log_q in log_qs.items():
            is_given(criterion, [[x]], [[log_q]])
            bound += (
                math.exp(log_q) * criterion(made.model, sample_of(made, **{language: [y]}))[2][f"bound_{back}"].item()
            )
            joint[x] = log_p_lm(made, DIRECTIONS[back][0], x) + log_p(made, back, x, y).item()
    log_z = math.log(sum(map(math.exp, joint.values())))
    divergence = sum(math.exp(log_qs[x]) * (log_qs[x] - (joint[x] - log_z)) for x in joint)
    assert divergence > 0.01
    assert bound < log_z
    assert bound == pytest.approx(log_z - divergence, rel=1e-9)


@pytest.mark.parametrize("back", DIRECTIONS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_and_bound_equal_a_calculation_from_the_samples(toy_pair, back, label_smoothing, pads, tmp_path):
    made = toy_pair()
    pads(made.task.cfg, made.data)
    language, there = DIRECTIONS[back][1], REVERSE[back]
    log_q = true_log_q(made, there)
    loss, logged, lines = run(
        made, "back_translation_cross_entropy", back, tmp_path, DRAWN, log_q, label_smoothing=label_smoothing
    )
    found = tiny.gradients(made.model, loss)
    wanted = 0.0
    vocabulary = len(SYMBOLS[language])
    for y, drawn in zip(SENTENCES[language], DRAWN):
        for x in drawn:
            logits = translation_logits(made.model.models[back], torch.tensor(x))(y.tolist()[:-1])
            smooth = torch.full((len(y), vocabulary), label_smoothing / (vocabulary - 1), dtype=torch.float64)
            smooth[range(len(y)), y] = 1 - label_smoothing
            wanted = wanted - (smooth * logits.log_softmax(-1)).sum() / 3
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-9)
    assert_same_gradients(made, found, tiny.gradients(made.model, wanted))
    assert all(gradient.abs().max() == 0 for name, gradient in found.items() if f".{there}." in name)

    sums = dict.fromkeys(("bound", "bound_kl", "bound_gap", "round_trip_nll"), 0.0)
    for line, y, drawn, qs in zip(lines, SENTENCES[language], DRAWN, log_q):
        assert line["direction"] == there and line["log_q"] == pytest.approx(qs, rel=1e-12)
        read = [SYMBOLS[DIRECTIONS[there][1]].encode_line(text, add_if_not_exist=False) for text in line["samples"]]
        assert [tuple(x.tolist()) for x in read] == drawn  # among them <s> and <unk>
        assert line["sentence"] == SYMBOLS[language].string(y)
        assert line["cut"] == [len(x) == LIMIT + 1 for x in drawn]
        assert line["log_p_sample"] == pytest.approx([log_p_lm(made, DIRECTIONS[there][1], x) for x in drawn], rel=1e-9)
        assert line["log_p_back"] == pytest.approx([log_p(made, back, x, y).item() for x in drawn], rel=1e-9)
        assert line["log_p_sentence"] == pytest.approx([log_p_lm(made, language, y)], rel=1e-9)
        kl = np.mean(np.array(qs) - line["log_p_sample"])
        sums["round_trip_nll"] -= np.mean(line["log_p_back"])
        sums["bound_kl"] += kl
        sums["bound"] += np.mean(line["log_p_back"]) - kl
        sums["bound_gap"] += line["log_p_sentence"][0] - (np.mean(line["log_p_back"]) - kl)
    for key, value in sums.items():
        assert float(logged[f"{key}_{back}"]) == pytest.approx(value, rel=1e-9), key
    assert float(logged[f"bounded_{back}"]) == float(logged[f"returns_{back}"]) == 3


def test_no_bound_is_logged_of_samples_of_unknown_probability(toy_pair, tmp_path):
    log_q = [[math.nan] * 3] * 3
    loss, logged, _ = run(
        toy_pair(), "back_translation_cross_entropy", "de-en", tmp_path, DRAWN, log_q, sample_beam=True
    )
    assert loss.isfinite()
    assert all(math.isfinite(value) for value in logged.values())
    assert logged["bounded_de-en"] == logged["bound_de-en"] == 0 and logged["returns_de-en"] == 3


def test_a_refused_weight_is_named(toy_pair):
    with pytest.raises(BadInput, match=r"--parallel-weight -1\.0"):
        learns_by(toy_pair(), "back_translation_cross_entropy", parallel_weight=-1.0)
