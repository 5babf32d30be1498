"""``fairseq-validate`` of a pair, which also prints the duality gap of each sentence pair.

    python -m fairseq_dsl_cli.evaluation.gaps DATA --user-dir DIR --task dual_translation --path PAIR.pt ...

After fairseq's own output come lines of `G-NUMBER<tab>GAP`, in nats; none of a pair without language models. In one
process: give --distributed-world-size 1 where there are several GPUs.
"""

import math
import sys
from argparse import Namespace

MOST = 500  # gaps that an evaluation keeps of a system


def run():
    from fairseq.utils import import_user_module
    from fairseq_cli import validate

    import_user_module(Namespace(user_dir=sys.argv[sys.argv.index("--user-dir") + 1]))
    from fairseq_dsl.terms.duality_gap import DualityGap

    gaps = {}
    DualityGap.listeners.append(lambda numbers, values: gaps.update(zip(numbers, values)))
    validate.cli_main()
    for number, gap in sorted(gaps.items()):
        print(f"G-{number}\t{gap:.4f}")


def read(lines):
    """The finite gaps that a run printed, in ascending order: all, or of more than `MOST` as many quantiles.

    >>> read(["2024 | INFO | test | {}", "G-0\\t1.5000", "G-1\\t-0.2500"])
    [-0.25, 1.5]
    """
    gaps = sorted(filter(math.isfinite, (float(line.split("\t")[1]) for line in lines if line.startswith("G-"))))
    if len(gaps) > MOST:
        gaps = [gaps[round(place * (len(gaps) - 1) / (MOST - 1))] for place in range(MOST)]
    return [round(gap, 2) for gap in gaps]


def notes(args, systems, pairs):
    """What is to be said under the scores: which systems have no duality gap, and why.

    Args:
        pairs: the path of each system's pair, and what it was trained with, by its name.
    """
    ensembles = [system.name for system in systems if system.is_ensemble]
    without = []
    if not args.source_lm:  # else a pair that could not be made has a note of its own
        alone = [system.name for system in systems if not system.is_ensemble]
        without = [name for name in alone if name not in pairs or not pairs[name][1].language_models]
    found = [f"No duality gap of {' and '.join(ensembles)}: ensembles have none."] if ensembles else []
    if without:
        found.append(
            f"No duality gap of {' and '.join(without)}: no language models; give --source-lm and --target-lm."
        )
    return found


if __name__ == "__main__":
    run()
