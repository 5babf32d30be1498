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
    statistics = [np.array(metric._extract_corpus_statistics(lines, [references])) for _, lines in systems]
    whole = [metric._compute_score_from_stats(per_sentence.sum(0)) for per_sentence in statistics]

    seed = os.environ.get("SACREBLEU_SEED", "12345").lower()
    generator = np.random.default_rng(None if seed == "none" else int(seed))
    resampled = np.empty((len(systems), resamples))
    for column in range(resamples):
        chosen = generator.choice(len(references), size=len(references))
        for row, per_sentence in enumerate(statistics):
            resampled[row, column] = metric._compute_score_from_stats(per_sentence[chosen].sum(0)).score

    numbers = {}
    for row, (name, _) in enumerate(systems):
        mean, ci = estimate_ci(resampled[row])
        difference = interval = p_value = None
        if row > 0:
            differences = resampled[row] - resampled[0]
            difference = float(whole[row].score - whole[0].score)
            interval = [float(bound) for bound in np.percentile(differences, (2.5, 97.5))]
            p_value = two_sided(differences)
        numbers[name] = {"score": float(whole[row].score), "mean": float(mean), "ci": float(ci)}
        numbers[name].update(difference=difference, interval=interval, p_value=p_value)

    signature = metric.get_signature()
    signature.update("bs", resamples)
    signature.update("seed", seed)
    return whole[0].name, signature.format(), numbers


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
