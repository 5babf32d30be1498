#!/usr/bin/env python3
"""What dual inference is worth at the weights of the defaults, at others, and at the best ones, for several models.

    fairseq-generate ... --gen-subset valid --beam 10 --dump-scores valid.de-en.jsonl
    scripts/experiments/weights.py valid.de-en.jsonl=valid.en valid.en-de.jsonl=valid.de

BLEU of each file of scores against the text after the =: that of the forward model's order, and what is gained at
A = 0.5 and several B, and at the best A and B that `fairseq-dsl tune` finds.
"""

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import DEFAULT_LM_WEIGHT
from fairseq_dsl_cli import arguments, main, texts
from fairseq_dsl_cli.evaluation.dual_inference import REVERSE_WEIGHT
from fairseq_dsl_cli.tune import LM_WEIGHTS, REVERSE_WEIGHTS
from fairseq_dsl_cli.tuning import measure, score_lists
from fairseq_dsl_cli.tuning.reranking import Reranking
from fairseq_dsl_cli.tuning.surface import search

SHOWN = sorted({0.0, 0.1, DEFAULT_LM_WEIGHT, 1.0, 2.0})


def scores_and_reference(text):
    """The type of an argument SCORES=REFERENCE."""
    path, _, reference = text.rpartition("=")
    return arguments.input_file(path), arguments.input_file(reference)


def row(path, reference):
    """The cells of a file of scores."""
    references = texts.read_lines(reference)
    lists = score_lists.read([path], reference, len(references))
    if not lists.has_lm:
        raise BadInput(f"{path}: no scores of a language model; generate with --source-lm and --target-lm")
    score = Reranking(lists, references, measure.metric_of(lists.target_lang)).score
    tuned = search(score, REVERSE_WEIGHTS, LM_WEIGHTS)
    gains = [score(REVERSE_WEIGHT, weight) - tuned.forward.score for weight in SHOWN]
    cells = [lists.direction, len(references), f"{tuned.forward.score:.2f}", *(f"{gain:+.2f}" for gain in gains)]
    best = tuned.best
    return [*cells, f"{best.score - tuned.forward.score:+.2f}", f"{best.reverse_weight:g}, {best.lm_weight:g}"]


def run():
    parser = arguments.Parser(__doc__)
    help = "scores of `fairseq-generate --dump-scores` with a language model, and the reference, detokenized"
    parser.add_argument("files", metavar="SCORES=REFERENCE", nargs="+", type=scores_and_reference, help=help)
    rows = [[path, *row(path, reference)] for path, reference in parser.parse_args().files]
    header = ["", "direction", "sentences", "A = 0", *(f"A = {REVERSE_WEIGHT:g}, B = {b:g}" for b in SHOWN)]
    header += ["best", "its A, B"]
    for cells in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main.end("weights.py", run)
