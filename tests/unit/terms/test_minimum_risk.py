"""Minimum risk, on pairs of up to nine words, against its closed form."""

import math

import pytest
import sacrebleu
import tiny
import torch
from drawn import Drawn, is_given_changed_references
from toys import EOS, assert_same_gradients, learns_by, log_p

from fairseq_dsl.errors import BadInput

ROWS = [4, 1, 9, 6]


def closed_form(made, drawn, sample, sharpness, metric, with_reference):
    """The expected risk of both directions' candidates, differentiable; sum, and by direction."""
    found = {}
    for direction, batch in (("de-en", sample), ("en-de", sample["reverse"])):
        side = ("de-en", "en-de").index(direction)
        dictionaries = [made.task.src_dict, made.task.tgt_dict]
        source_symbols, symbols = dictionaries[side], dictionaries[1 - side]
        found[direction] = 0.0
        for number, samples in zip(batch["id"].tolist(), drawn[direction]):
            source, reference = tiny.PAIRS[number][side], tiny.PAIRS[number][1 - side]
            candidates = set(samples)
            if with_reference:
                candidates.add(tuple(tiny.encode(reference, symbols).tolist()))
            weights, risks = [], []
            for candidate in candidates:
                value = log_p(made, direction, tiny.encode(source, source_symbols), candidate)
                weights.append(sharpness * value)
                text = " ".join(symbols[symbol] for symbol in candidate[:-1])
                if metric == "bleu":
                    score = sacrebleu.sentence_bleu(text, [" ".join(reference)], use_effective_order=True).score
                else:
                    score = sacrebleu.sentence_chrf(text, [" ".join(reference)]).score
                risks.append(1 - score / 100)
            weights = torch.stack(weights).softmax(0)
            found[direction] = found[direction] + (weights * torch.tensor(risks, dtype=torch.float64)).sum()
    return found


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("sharpness", [5e-3, 1.0])
def test_loss_and_gradient_equal_the_closed_form(pair_in_float64, metric, with_reference, sharpness, pads):
    """Over the distinct candidates."""
    made = pair_in_float64
    pads(made.task.cfg, made.data)
    criterion = tiny.learns_by(
        made, "minimum_risk", num_samples=6, sharpness=sharpness, risk=metric, risk_weight=3.0,
        risk_with_reference=with_reference, label_smoothing=0.1,
    )  # fmt: skip
    sample = tiny.batch(made.data, ROWS)
    drawn = is_given_changed_references(criterion, made.task, sample)
    sizes = {len(set(samples)) for rows in drawn.values() for samples in rows}
    assert max(sizes) < 6 and len(sizes) > 1  # there are duplicates, and sentences with fewer candidates
    loss, _, logged = criterion(made.model, sample)
    found = tiny.gradients(made.model, loss)
    wanted = closed_form(made, drawn, sample, sharpness, metric, with_reference)
    assert loss.item() == pytest.approx(3 * sum(wanted.values()).item(), rel=1e-9)
    for direction, value in wanted.items():
        assert logged[f"risk_{direction}"].item() == pytest.approx(value.item(), rel=1e-9)
        assert logged[f"sentences_{direction}"] == len(ROWS)
        candidates = sum(len(set(samples)) + with_reference for samples in drawn[direction])
        assert candidates - len(ROWS) * with_reference <= logged[f"candidates_{direction}"] <= candidates
    wanted = tiny.gradients(made.model, 3e3 * sum(wanted.values()))
    assert_same_gradients(made, {name: 1e3 * gradient for name, gradient in found.items()}, wanted)


def test_a_candidate_that_is_the_reference_counts_once(pair_in_float64):
    made = pair_in_float64
    criterion = tiny.learns_by(made, "minimum_risk", num_samples=2, risk_with_reference=True)
    sample = tiny.batch(made.data, [4])
    reference = {"de-en": sample["target"][0].tolist(), "en-de": sample["reverse"]["target"][0].tolist()}
    criterion.terms[-1].sampler = Drawn(*(([[tuple(found), (5, 4, EOS)]], None) for found in reference.values()))
    logged = criterion(made.model, sample)[2]
    assert [logged[f"candidates_{direction}"] for direction in reference] == [2, 2]


def test_an_unknown_word_matches_no_other(pair_in_float64):
    made = pair_in_float64
    criterion = tiny.learns_by(made, "minimum_risk", num_samples=2, risk="bleu")
    unknown = torch.tensor([made.task.tgt_dict.unk(), 5, 6, 7, EOS])
    risks = criterion.terms[-1]._risks(tiny.DE_EN, [unknown, torch.tensor([4, 5, 6, 7, EOS])], unknown)
    assert risks[0] == pytest.approx(risks[1]) and risks[0] > 0.1


@pytest.mark.parametrize("settings, message", [
    (dict(sharpness=0.0), "--sharpness 0.0"),
    (dict(sharpness=math.nan), "--sharpness nan"),
    (dict(sharpness=math.inf), "--sharpness inf"),
    (dict(risk_weight=0.0), "--risk-weight 0.0"),
    (dict(num_samples=0), "--num-samples 0"),
], ids=["sharpness 0", "sharpness nan", "sharpness inf", "weight 0", "no samples"])  # fmt: skip
def test_refused_settings_are_named(toy_pair, settings, message):
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        learns_by(toy_pair(), "minimum_risk", **settings)
