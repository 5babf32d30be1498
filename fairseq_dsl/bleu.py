"""BLEU of both directions during validation, from sums that batches and workers add up."""

from typing import Dict, List

from fairseq.logging import metrics
from fairseq.tasks.translation import EVAL_BLEU_ORDER
from sacrebleu.metrics import BLEU

STATISTICS = ("sys_len", "ref_len") + tuple(
    f"{kind}_{order}" for kind in ("counts", "totals") for order in range(EVAL_BLEU_ORDER)
)


def bleu_sums(bleu, direction: str) -> Dict[str, float]:
    """What corpus BLEU is made of, for the logging output of a batch: one number each, so checkpoints hold no arrays."""
    values = [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals]
    return {f"_bleu_{direction}_{name}": value for name, value in zip(STATISTICS, values)}


def log_bleu(logging_outputs: List[Dict[str, float]], directions: List[str]):
    """Log `bleu_de-en`, `bleu_en-de`, and their mean `bleu`, where the logging outputs are of validation."""
    if not any(f"_bleu_{directions[0]}_{STATISTICS[0]}" in log for log in logging_outputs):
        return
    for direction in directions:
        for name in STATISTICS:
            key = f"_bleu_{direction}_{name}"
            metrics.log_scalar(key, sum(float(log.get(key, 0)) for log in logging_outputs))
        metrics.log_derived(f"bleu_{direction}", lambda meters, direction=direction: round(bleu_of(meters, direction), 2))
    metrics.log_derived("bleu", lambda meters: round(sum(bleu_of(meters, d) for d in directions) / len(directions), 2))


def bleu_of(meters, direction: str) -> float:
    """sacrebleu's corpus BLEU of the sums; 0 where no n-gram was counted."""
    system, reference, *ngrams = (int(meters[f"_bleu_{direction}_{name}"].sum) for name in STATISTICS)
    correct, total = ngrams[:EVAL_BLEU_ORDER], ngrams[EVAL_BLEU_ORDER:]
    return BLEU.compute_bleu(correct, total, sys_len=system, ref_len=reference, smooth_method="exp").score
