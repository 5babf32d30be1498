"""Corpus scores with confidence intervals, and paired bootstrap tests of their differences (Koehn 2004)."""

import os

import numpy as np
from sacrebleu.significance import estimate_ci


def compare(systems, references, metric, resamples):
    """Scores several systems and holds each against the first, the control.

    The sentences of the test set are resampled with replacement, the same ones for all systems, with sacrebleu's seed
    (SACREBLEU_SEED, 12345) and so its resamples.

    Args:
        systems: [(name, hypotheses)].
        metric: a sacrebleu metric whose corpus score follows from sums over sentences: BLEU or chrF.

    Returns (name of the score, its signature, {system: numbers}). The numbers are

    * ``score``, of the whole test set;
    * ``mean``, ``ci``: mean and half of the 95% interval of the score, over the resamples;
    * ``difference``: the score minus that of the control;
    * ``interval``: its 95% interval, [low, high], by percentiles of the resamples' differences;
    * ``p_value``: of the test, see `two_sided`.

    The last three are None for the control.
    """
    return compare_runs([(name, [lines]) for name, lines in systems], references, metric, resamples)


def compare_runs(systems, references, metric, resamples):
    """The same of several runs of each system: the score is the mean of the runs'.

    A resample has the same sentences for all runs, so that the test is of these runs' mean on other sentences; how much
    other runs would differ is shown by ``scores`` and ``differences`` of each run, which are there where it is not one.

    Args:
        systems: [(name, [hypotheses of a run])]; the runs stand in the same order in each system.
    """

    def of_sentences(lines):
        return np.array(metric._extract_corpus_statistics(lines, [references]))

    statistics = [[of_sentences(lines) for lines in of_runs] for _, of_runs in systems]
    whole = [[metric._compute_score_from_stats(run.sum(0)) for run in of_runs] for of_runs in statistics]
    scores = np.array([[run.score for run in of_runs] for of_runs in whole])

    seed = os.environ.get("SACREBLEU_SEED", "12345").lower()
    generator = np.random.default_rng(None if seed == "none" else int(seed))
    resampled = np.empty((len(systems), resamples))
    for column in range(resamples):
        chosen = generator.choice(len(references), size=len(references))
        for row, of_runs in enumerate(statistics):
            found = [metric._compute_score_from_stats(run[chosen].sum(0)).score for run in of_runs]
            resampled[row, column] = np.mean(found)

    numbers = {}
    for row, (name, _) in enumerate(systems):
        mean, ci = estimate_ci(resampled[row])
        difference = interval = p_value = None
        if row > 0:
            differences = resampled[row] - resampled[0]
            difference = float(scores[row].mean() - scores[0].mean())
            interval = [float(bound) for bound in np.percentile(differences, (2.5, 97.5))]
            p_value = two_sided(differences)
        numbers[name] = {"score": float(scores[row].mean()), "mean": float(mean), "ci": float(ci)}
        numbers[name].update(difference=difference, interval=interval, p_value=p_value)
        if len(whole[row]) > 1:
            numbers[name]["scores"] = scores[row].tolist()
            numbers[name]["differences"] = (scores[row] - scores[0]).tolist() if row > 0 else None

    signature = metric.get_signature()
    signature.update("bs", resamples)
    signature.update("seed", seed)
    return whole[0][0].name, signature.format(), numbers


def two_sided(differences):
    """The p-value of "no difference": twice the share of resamples on the rarer side of 0, at most 1.

    One resample is added to either side, as is usual: no number of resamples makes certain. A difference of 0 lies on
    both sides.

    >>> two_sided(np.array([0.3, 0.1, -0.1, 0.2]))
    0.8
    >>> two_sided(np.zeros(1000))
    1.0
    """
    rarer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return float(min(1.0, 2 * (rarer + 1) / (len(differences) + 1)))
