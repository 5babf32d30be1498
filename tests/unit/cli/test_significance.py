"""Paired bootstrap tests, against resampling written out with sacrebleu's public functions."""

import random

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

from fairseq_dsl_cli.evaluation import significance

RESAMPLES = 100
DRAW = random.Random(5)
REFERENCES = [" ".join(DRAW.choices("a b c d e f g h".split(), k=DRAW.randint(4, 12))) for _ in range(60)]


def noisy(seed, share):
    """Translations in which this share of the words is another."""
    draw = random.Random(seed)
    return [" ".join(draw.choice("xyz") if draw.random() < share else w for w in line.split()) for line in REFERENCES]


CONTROL = noisy(1, 0.3)
SYSTEMS = {"near": noisy(2, 0.3), "same": list(CONTROL), "better": noisy(3, 0.1), "worse": noisy(4, 0.5)}


def compare(metric):
    systems = [("control", CONTROL), *SYSTEMS.items()]
    return significance.compare(systems, REFERENCES, metric, RESAMPLES)


def differences(score, lines):
    """The difference of corpus scores on each resample, by scoring its sentences anew."""
    chosen = np.random.default_rng(12345).choice(60, size=(RESAMPLES, 60))

    def scores(lines):
        return [score([lines[i] for i in rows], [[REFERENCES[i] for i in rows]]).score for rows in chosen]

    return np.array(scores(lines)) - np.array(scores(CONTROL))


def interpolated(ascending, share):
    """The value that this share of the others lie below."""
    place = share * (len(ascending) - 1)
    below = int(place)
    return ascending[below] + (place - below) * (ascending[below + 1] - ascending[below])


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        (BLEU(tokenize="none"), lambda lines, refs: sacrebleu.corpus_bleu(lines, refs, tokenize="none")),
        (CHRF(), sacrebleu.corpus_chrf),
    ],
)
def test_numbers_equal_those_of_resampled_test_sets(metric, score):
    _, _, found = compare(metric)
    for name, lines in SYSTEMS.items():
        expected = differences(score, lines)
        whole = score(lines, [REFERENCES]).score - score(CONTROL, [REFERENCES]).score
        assert found[name]["difference"] == pytest.approx(whole, abs=1e-9)
        low, high = (interpolated(sorted(expected.tolist()), share) for share in (0.025, 0.975))
        assert found[name]["interval"] == pytest.approx([low, high], abs=1e-9)
        below, above = sum(d <= 0 for d in expected.tolist()), sum(d >= 0 for d in expected.tolist())
        assert found[name]["p_value"] == pytest.approx(min(1, 2 * min(below + 1, above + 1) / (RESAMPLES + 1)))
        assert found[name]["interval"][0] <= found[name]["difference"] <= found[name]["interval"][1]


def test_near_ties_are_not_significant_and_clear_wins_are():
    _, _, found = compare(BLEU(tokenize="none"))
    assert found["same"]["p_value"] == 1 and found["same"]["interval"] == [0, 0]
    assert found["near"]["p_value"] > 0.2
    assert found["near"]["interval"][0] < 0 < found["near"]["interval"][1]
    assert found["better"]["p_value"] == found["worse"]["p_value"] == pytest.approx(2 / 101)
    assert found["better"]["interval"][0] > 0 > found["worse"]["interval"][1]
    assert [found["control"][key] for key in ("difference", "interval", "p_value")] == [None, None, None]


def test_a_near_tie_has_a_larger_p_value_than_sacrebleus_test():
    """Whose p-value is of |difference| minus its mean: it halves what a two-sided test says of nearly equal systems."""
    tie = [line if n % 2 else other for n, (line, other) in enumerate(zip(CONTROL, SYSTEMS["near"]))]
    metrics = {"BLEU": BLEU(tokenize="none")}
    _, scores = PairedTest([("c", CONTROL), ("t", tie)], metrics, [REFERENCES], test_type="bs", n_samples=1000)()
    _, _, found = significance.compare([("c", CONTROL), ("t", tie)], REFERENCES, BLEU(tokenize="none"), 1000)
    assert found["t"]["p_value"] > 1.5 * scores["BLEU"][1].p_value


def test_scores_and_signature_are_those_of_sacrebleu():
    metrics = {"BLEU": BLEU(tokenize="none"), "chrF": CHRF()}
    systems = [("control", CONTROL), *SYSTEMS.items()]
    signatures, scores = PairedTest(systems, metrics, [REFERENCES], test_type="bs", n_samples=RESAMPLES)()
    for metric in metrics.values():
        name, signature, found = compare(metric)
        assert signature == signatures[name].format()
        for system, result in zip(scores["System"], scores[name]):
            expected = [result.score, result.mean, result.ci]
            assert [found[system][key] for key in ("score", "mean", "ci")] == pytest.approx(expected, abs=1e-3)


def test_the_same_data_give_the_same_numbers():
    assert compare(CHRF()) == compare(CHRF())
