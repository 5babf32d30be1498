"""What is decided of a claim, by results that were made up."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
sys.path.insert(0, str(SCRIPTS / "experiments"))

import verdicts  # noqa: E402

WON = dict(differences=[0.5, 0.6, 0.7], difference=0.6, p_value=0.002, score=30.6)
LOST = dict(differences=[-0.5, -0.6, -0.7], difference=-0.6, p_value=0.002, score=29.4)
EVEN = dict(differences=[0.5, 0.6, 0.1], difference=0.4, p_value=0.01, score=30.4)  # by a hair
MIXED = dict(differences=[0.5, 0.6, -0.1], difference=0.3, p_value=0.002, score=30.3)


def results(against, name="eutrans-1500", **content):
    """Results of systems as {baseline: {system: (numbers of de-en, numbers of en-de)}}; the first is the control."""
    comparisons = [
        {
            "baseline": baseline,
            "directions": {
                direction: {"BLEU": {"systems": {system: numbers[i] for system, numbers in systems.items()}}}
                for i, direction in enumerate(("de-en", "en-de"))
            },
        }
        for baseline, systems in against.items()
    ]
    systems = [*against, *(system for systems in against.values() for system in systems)]
    return verdicts.Results(name, {**comparisons[0], "systems": systems, "against others": comparisons[1:], **content})


def verdict(claim, *arguments, **content):
    found = {name: said for name, said, _ in verdicts.verdicts(results(*arguments, **content))}
    return found.get(claim)


@pytest.mark.parametrize(
    "numbers, said",
    [
        ((WON, WON), verdicts.CONFIRMED),
        ((WON, EVEN), verdicts.NEITHER),
        ((WON, MIXED), verdicts.NEITHER),
        ((WON, LOST), verdicts.NEITHER),
        ((EVEN, LOST), verdicts.REFUTED),
        ((LOST, LOST), verdicts.REFUTED),
    ],
)
def test_a_system_beats_another_in_both_directions_and_all_seeds(numbers, said):
    against = {"control": {"dsl-0.01": numbers}}
    assert verdict("C1", against, duality_gap=GAPS, logs=LOGS) == said
    assert verdict("C2", against, duality_gap=GAPS, logs=LOGS) is None


GAPS = {"control": [{"duality_gap": 10}] * 2, "dsl-0.01": [{"duality_gap": 8}] * 2}
LOGS = {
    "control": [{"train": {"duality_gap": [9, 4]}}] * 2,
    "dsl-0.01": [{"train": {"duality_gap": [9, 3]}}] * 2,  # a fourth less, that of the test set a fifth
}


def test_a_claim_is_decided_in_the_settings_that_it_names():
    against = {"control": {"control + dual inference": (WON, WON), "dsl-0.01": (WON, WON)}}
    assert verdict("O1", against, "eutrans-300") == verdicts.CONFIRMED
    assert verdict("C1", against, "eutrans-300") is None


@pytest.mark.parametrize("test, said", [(8, verdicts.CONFIRMED), (9, verdicts.NEITHER), (9.5, verdicts.REFUTED)])
def test_what_is_closed_in_training_is_closed_on_new_pairs(test, said):
    gaps = {"control": [{"duality_gap": 10}] * 2, "dsl-0.01": [{"duality_gap": test}] * 2}
    assert verdict("O6", {"control": {"dsl-0.01": (WON, WON)}}, duality_gap=gaps, logs=LOGS) == said


def test_the_best_of_the_weights():
    against = {"control": {"dsl-0.003": (WON, WON), "dsl-0.01": (WON, WON), "dsl-0.03": (EVEN, EVEN)}}
    for low, high, said in (
        ((EVEN, EVEN), (MIXED, MIXED), verdicts.NEITHER),  # 0.003 has the highest mean
        ((WON, WON), (EVEN, EVEN), verdicts.REFUTED),
    ):
        pairs = {**against, "dsl-0.01": {"dsl-0.003": low, "dsl-0.03": high}}
        assert verdict("C3", pairs, duality_gap=GAPS, logs=LOGS) == said
    best = {"control": {**against["control"], "dsl-0.003": (EVEN, EVEN)}}
    pairs = {**best, "dsl-0.01": {"dsl-0.003": (LOST, LOST), "dsl-0.03": (EVEN, EVEN)}}
    assert verdict("C3", pairs, duality_gap=GAPS, logs=LOGS) == verdicts.CONFIRMED


@pytest.mark.parametrize(
    "values, below, said",
    [([-9, -7], 1, verdicts.CONFIRMED), ([-9, -7], -1, verdicts.NEITHER), ([-7, -9], 1, verdicts.REFUTED)],
)
def test_the_bound_rises_and_is_one(values, below, said):
    log = {f"bound_{direction}": values for direction in ("de-en", "en-de")}
    log.update({f"bound_gap_{direction}": [below, 2] for direction in ("de-en", "en-de")})
    logs = {"back-translation": [{"train": log}] * 3}
    assert verdict("C7", {"control": {"back-translation": (WON, WON)}}, logs=logs) == said


@pytest.mark.parametrize(
    "gaps, of_training, said",
    [
        ([6, 5, 6, 7], [4, 3, 2, 1], verdicts.CONFIRMED),
        ([6, 5, 6, 7], [4, 1, 2, 3], verdicts.NEITHER),  # which rises too
        ([6, 7, 6, 5], [4, 3, 2, 1], verdicts.REFUTED),
        ([6, 5, 5, 5], [4, 3, 2, 1], verdicts.NEITHER),
    ],
)
def test_the_gap_rises_with_the_perplexity(gaps, of_training, said):
    valid = {"nll_loss": [9, 3, 4, 5], "duality_gap": gaps}
    logs = {"control": [{"valid": valid, "train": {"duality_gap": of_training}}] * 3}
    assert verdict("O3", {"control": {}}, "multi30k-3000", logs=logs) == said


def test_a_gap_without_over_fitting_says_nothing():
    run = {"valid": {"nll_loss": [5, 4, 3], "duality_gap": [1, 2, 3]}, "train": {"duality_gap": [3, 2, 1]}}
    assert verdict("O3", {"control": {}}, "multi30k-3000", logs={"control": [run] * 3}) == verdicts.NEITHER


def gaining(method, *gains):
    """Results of the method for each number of pairs."""
    numbers = (dict(differences=[gain] * 3, difference=gain, p_value=0.002) for gain in gains)
    return [results({"control": {method: (one, one)}}, name) for name, one in zip(verdicts.CURVE, numbers)]


@pytest.mark.parametrize(
    "gains, dual_learning, dsl",
    [
        ((4, 3, 2, 1), verdicts.CONFIRMED, verdicts.CONFIRMED),
        ((4, 2, 3, 1), verdicts.NEITHER, verdicts.NEITHER),
        ((1, 2, 3, 4), verdicts.REFUTED, verdicts.NEITHER),
        ((-1, -2, -3, -4), verdicts.CONFIRMED, verdicts.REFUTED),
    ],
)
def test_the_gain_by_the_number_of_pairs(gains, dual_learning, dsl):
    for claim, method, said in (("C5", "dual-learning", dual_learning), ("O4", "dsl-0.01", dsl)):
        curve = gaining(method, *gains)
        assert [(name, decided) for name, decided, _ in verdicts.verdicts_of_curve(curve)] == [(claim, said)]
        assert verdicts.verdicts_of_curve(curve[:3]) == []
