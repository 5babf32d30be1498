#!/usr/bin/env python3
"""Decides the claims of docs/claims.md by the results of experiments, and prints the table of verdicts.

    scripts/experiments/verdicts.py docs/results/*.json

A claim is decided in the settings that it names, where the systems that it compares were run. Its words, and what
confirms and refutes it, are those of docs/claims.md; here stands the same as code.
"""

import json
from pathlib import Path
from statistics import correlation, fmean

from curves import base

from fairseq_dsl_cli import arguments, main

CONFIRMED, REFUTED, NEITHER = "**confirmed**", "**refuted**", "**not confirmed**"
SMALL, ALL = ("eutrans-1500", "multi30k-6000"), ("eutrans-300", "eutrans-1500", "multi30k-6000", "multi30k-29000")
CURVE = ("multi30k-3000", "multi30k-6000", "multi30k-12000", "multi30k-29000")  # ever more pairs
WEIGHTS = ("dsl-0.003", "dsl-0.01", "dsl-0.03")
# Of the claims that A beats B, and every B where there are several: where it is decided, A, and B.
BETTER = {
    "C1": ((*SMALL, "multi30k-29000"), "dsl-0.01", ["control"]),
    "C2": (SMALL, "dsl-0.01", ["minimum-risk"]),
    "C4": (ALL[:3], "dual-learning", ["back-translation"]),
    "C6": (SMALL, "marginal-regularization", ["back-translation", "dual-learning"]),
    "C8": (("eutrans-300",), "cycle-adversarial", ["dual-learning-reconstruction"]),
    "O1": (ALL, "control + dual inference", ["control"]),
    "O2": ((*SMALL, "multi30k-29000"), "dsl-0.01 + dual inference", ["control + dual inference"]),
    "O5": (SMALL, "back-translation+dsl-0.01", ["back-translation"]),
    "O7": (SMALL, "dsl-0.1-clip-4", ["control"]),
    "O8": (("eutrans-1500-early",), "dsl-0.01", ["control"]),
}


class Results:
    """What an experiment gave: OUT/results.json of run.py."""

    def __init__(self, name, content):
        self.name, self.content = name, content
        self.systems = content["systems"]
        self.comparisons = {one["baseline"]: one for one in (content, *content["against others"])}

    def differences(self, a, b):
        """By direction, the numbers of `fairseq-dsl compare` for the BLEU of A against that of B."""
        directions = self.comparisons[b]["directions"]
        return {direction: metrics["BLEU"]["systems"][a] for direction, metrics in directions.items()}

    def beats(self, a, b, sign=1):
        """In which directions A beats B (by sign -1: loses to it): all runs differ in that way, and p < 0.01."""
        found = self.differences(a, b).items()
        return [way for way, of in found if min(sign * gain for gain in of["differences"]) > 0 and of["p_value"] < 0.01]

    def loses(self, a, b):
        return self.beats(a, b, sign=-1)

    def figures(self, a, b):
        """The differences in words: the mean, p, those of each run, and the direction in which alone one side wins."""
        cells = []
        for direction, of in self.differences(a, b).items():
            runs = ", ".join(f"{difference:+.1f}" for difference in of["differences"])
            cells.append(f"{direction} {of['difference']:+.2f} (p = {of['p_value']:.3f}; {runs})")
        alone = [
            f". {winner} beats {loser} in {found[0]} alone"
            for winner, loser, found in ((a, b, self.beats(a, b)), (b, a, self.loses(a, b)))
            if len(found) == 1
        ]
        return f"{a} against {b}: {'; '.join(cells)}{''.join(alone)}"

    def last(self, system, kind, key):
        return [run[kind][key][-1] for run in self.content["logs"][system]]


def better(results, a, others):
    """The verdict that A beats all of `others`, and the figures; None where one was not run."""
    if not {a, *others} <= {*results.systems}:
        return None
    wins, losses = ([test(a, b) for b in others] for test in (results.beats, results.loses))
    figures = ". ".join(results.figures(a, b) for b in others)
    if all(len(found) == 2 for found in wins):
        return CONFIRMED, figures
    return (REFUTED if any(lost and not won for won, lost in zip(wins, losses)) else NEITHER), figures


def weight(results):
    """C3: λ = 0.01 is the best."""
    if results.name not in SMALL or not {*WEIGHTS} <= {*results.systems}:
        return None
    directions = results.content["directions"].values()
    means = {name: fmean(of["BLEU"]["systems"][name]["score"] for of in directions) for name in WEIGHTS}
    best, others = WEIGHTS[1], (WEIGHTS[0], WEIGHTS[2])
    beaten = any(len(results.loses(other, best)) == 2 for other in others)
    verdict = REFUTED if any(len(results.beats(other, best)) == 2 for other in others) else NEITHER
    if max(means, key=means.get) == best and beaten:
        verdict = CONFIRMED
    scores = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    return verdict, f"mean BLEU {scores}. " + ". ".join(results.figures(other, best) for other in others)


def bound(results):
    """C7: the bound rises, and stays below log P(y)."""
    if results.name not in SMALL or "back-translation" not in results.systems:
        return None
    runs = [run["train"] for run in results.content["logs"]["back-translation"]]
    rises = {key: [run[key][-1] - run[key][0] for run in runs] for key in sorted(runs[0]) if base(key) == "bound"}
    below = [value for run in runs for key in run if base(key) == "bound_gap" for value in run[key]]
    verdict = REFUTED if any(rise < 0 for found in rises.values() for rise in found) else NEITHER
    if verdict is NEITHER and min(below) >= 0:
        verdict = CONFIRMED
    figures = "; ".join(f"{key} {', '.join(f'{rise:+.1f}' for rise in found)}" for key, found in rises.items())
    return verdict, f"nats that it rose, each seed: {figures}; at least {min(below):.1f} nats below log P(y)"


def generalization(results):
    """O6: what the regularizer closes on training pairs, it closes on new ones."""
    if results.name not in SMALL or "dsl-0.01" not in results.systems:
        return None
    tested = [[run["duality_gap"] for run in results.content["duality_gap"][name]] for name in ("control", "dsl-0.01")]
    trained = [results.last(name, "train", "duality_gap") for name in ("control", "dsl-0.01")]
    test, training = ([1 - dsl / control for control, dsl in zip(*gaps)] for gaps in (tested, trained))
    shares = [new / old if old > 0 else 0 for new, old in zip(test, training)]
    verdict = CONFIRMED if min(shares) >= 0.5 else REFUTED if max(shares) < 0.25 else NEITHER
    falls = (", ".join(f"{100 * fall:+.0f}%" for fall in found) for found in (training, test))
    return verdict, "how far it falls, each seed, of training: {}; of test: {}".format(*falls)


def over_fitting(results):
    """O3: once validation's perplexity rises, so does its gap, and that of training does not."""
    if results.name not in (CURVE[0], CURVE[-1]) or "control" not in results.systems:
        return None
    valid, training = [], []
    for run in results.content["logs"]["control"]:
        losses = run["valid"]["nll_loss"]
        after = slice(losses.index(min(losses)), None)
        if len(losses[after]) < 3:
            return NEITHER, f"a run has {len(losses[after])} checkpoints from the lowest perplexity on"
        for found, kind in ((valid, "valid"), (training, "train")):
            found.append(rank_correlation(losses[after], run[kind]["duality_gap"][after]))
    verdict = REFUTED if sum(rho < 0 for rho in valid) >= 2 else NEITHER
    if min(valid) > 0.8 and max(training) <= 0.8:
        verdict = CONFIRMED
    words = (", ".join(f"{rho:+.2f}" for rho in found) for found in (valid, training))
    return verdict, "ρ with validation's perplexity, each seed, of its gap: {}; of that of training: {}".format(*words)


def rank_correlation(left, right):
    """Spearman's ρ; 0 where all of one side are the same."""
    ranks = [[sorted(values).index(value) for value in values] for values in (left, right)]
    return correlation(*ranks) if all(len(set(side)) > 1 for side in ranks) else 0


def gains(curve, method):
    """The mean gain over the control, by the number of pairs; None where it was not run for each."""
    if any(method not in results.systems for results in curve):
        return None
    return [fmean(of["difference"] for of in results.differences(method, "control").values()) for results in curve]


def in_words(found):
    return "mean gains, from few pairs to many: " + ", ".join(f"{gain:+.2f}" for gain in found)


def falls(values):
    return all(left > right for left, right in zip(values, values[1:]))


def shrinking(curve):
    """C5: dual learning gains less the more pairs there are."""
    if not (found := gains(curve, "dual-learning")):
        return None
    return CONFIRMED if falls(found) else REFUTED if found[-1] > found[0] else NEITHER, in_words(found)


def few_pairs(curve):
    """O4: DSL gains most where pairs are few."""
    if not (found := gains(curve, "dsl-0.01")):
        return None
    verdict, figures = better(curve[0], "dsl-0.01", ["control"])
    if verdict is CONFIRMED and not falls(found):
        verdict = NEITHER
    return verdict, f"{in_words(found)}. With the fewest, {figures}"


def verdicts(results):
    """(claim, verdict, figures) of all that is decided in a setting."""
    found = {claim: better(results, a, others) for claim, (where, a, others) in BETTER.items() if results.name in where}
    found.update({"C3": weight(results), "C7": bound(results)})
    found.update({"O3": over_fitting(results), "O6": generalization(results)})
    return sorted((claim, *verdict) for claim, verdict in found.items() if verdict)


def verdicts_of_curve(all_results):
    """(claim, verdict, figures) of what is decided by all sizes of Multi30k together."""
    curve = [results for name in CURVE for results in all_results if results.name == name]
    found = {"C5": shrinking(curve), "O4": few_pairs(curve)} if len(curve) == len(CURVE) else {}
    return [(claim, *verdict) for claim, verdict in found.items() if verdict]


def run():
    parser = arguments.Parser(__doc__)
    help = "results.json of an experiment, by its setting's name: SETTING.json"
    parser.add_argument("results", metavar="FILE", nargs="+", type=arguments.input_file, help=help)
    paths = map(Path, parser.parse_args().results)
    found = [Results(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    rows = [(claim, results.name, *rest) for results in found for claim, *rest in verdicts(results)]
    rows += [(claim, "multi30k, all sizes", *rest) for claim, *rest in verdicts_of_curve(found)]
    print("| | setting | verdict | figures: differences of BLEU |\n|---|---|---|---|")
    for row in sorted(rows):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main.end("verdicts.py", run)
