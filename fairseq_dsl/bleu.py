"""BLEU: how text is tokenized everywhere, and validation's BLEU of both directions, summed over batches and workers."""

import contextlib
import functools
import json
import logging
from argparse import Namespace
from typing import Any, Dict, Iterable, List, Optional, Sequence

import sacrebleu
from fairseq.data import Dictionary, encoders
from fairseq.logging import metrics
from fairseq.tasks.translation import EVAL_BLEU_ORDER, TranslationTask
from sacrebleu.metrics import BLEU
from torch import Tensor

from .directions import Direction
from .errors import BadInput
from .tokenizers import alternative, chosen_tokenizers, tokenizer_for

logger = logging.getLogger(__name__)

FLAG = "--eval-bleu-tokenizer"

STATISTICS = ("sys_len", "ref_len") + tuple(
    f"{kind}_{order}" for kind in ("counts", "totals") for order in range(EVAL_BLEU_ORDER)
)


def check_tokenizer(chosen: Optional[str], tokenized: bool):
    """Refuse tokenizers that cannot be used, or have no effect.

    Args:
        chosen: the value of ``--eval-bleu-tokenizer``, if given.
        tokenized: whether ``--eval-tokenized-bleu`` is given, which scores the text without tokenizing it.
    """
    if chosen is None:
        return
    mentioned = [item.partition("=")[0] for item in chosen.split(",")]  # `tokenizer_of` knows whether the task has them
    chosen_tokenizers(FLAG, chosen, mentioned)
    if tokenized:
        raise BadInput(f"{FLAG} {chosen}: has no effect with --eval-tokenized-bleu; expected only one of the two")


def tokenizer_of(flags: Any, language: str) -> str:
    """The tokenizer for text of a language, in BLEU of validation and the risk of `minimum_risk`.

    Args:
        flags: of fairseq's translation task.

    Raises `BadInput` for tokenizers that cannot be used, and for languages that are not of the task.
    """
    if flags.eval_tokenized_bleu:
        return "none"
    return tokenizer_for(language, _chosen(flags).get(language))


@functools.lru_cache(maxsize=None)
def _checked(chosen: Optional[str], *languages: str) -> Dict[str, str]:
    """Kept, since validation asks at each batch, and some tokenizers take seconds to load."""
    return chosen_tokenizers(FLAG, chosen, languages)


def _chosen(flags: Any) -> Dict[str, str]:
    return _checked(getattr(flags, "eval_bleu_tokenize", None), flags.source_lang, flags.target_lang)


def tokenizer_to_log(flags: Any, language: str) -> str:
    """The tokenizer for a language as logs name it: with what else there is, where nobody has chosen it."""
    name = f"sacrebleu's tokenizer {tokenizer_of(flags, language)}"
    other = alternative(FLAG, language)
    is_chosen = flags.eval_tokenized_bleu or language in _chosen(flags)
    return name if is_chosen or not other else f"{name} ({other})"


def log_tokenizer(task: TranslationTask):
    """Log once for each task how validation tokenizes."""
    if not hasattr(task, "_logged_tokenizer"):
        source, target = task.cfg.source_lang, task.cfg.target_lang
        logger.info(f"BLEU of {source}-{target} in validation: with {tokenizer_to_log(task.cfg, target)}")
        task._logged_tokenizer = True


class ValidationText:
    """Sentences as the text that validation's BLEU sees.

    Args:
        flags: of fairseq's translation task.
    """

    def __init__(self, flags: Any):
        arguments = json.loads(getattr(flags, "eval_bleu_detok_args", None) or "{}")
        detokenizer = Namespace(tokenizer=getattr(flags, "eval_bleu_detok", None), **arguments)
        self._detokenizer = encoders.build_tokenizer(detokenizer)
        self._remove_bpe = getattr(flags, "eval_bleu_remove_bpe", None)

    def of(self, sentence: Tensor, dictionary: Dictionary, unknown: str) -> str:
        """The text of a sentence's symbols.

        Args:
            unknown: what stands for ``<unk>``, which sacrebleu would take apart, and which should match no other.
        """
        text = dictionary.string(sentence, self._remove_bpe, unk_string=unknown)
        return self._detokenizer.decode(text) if self._detokenizer else text


@contextlib.contextmanager
def tokenized(name: str):
    """Make this tokenizer the default of ``sacrebleu.corpus_bleu`` within the block."""
    corpus_bleu = sacrebleu.corpus_bleu
    sacrebleu.corpus_bleu = functools.partial(corpus_bleu, tokenize=name)
    try:
        yield
    finally:
        sacrebleu.corpus_bleu = corpus_bleu


def bleu_sums(bleu, direction: Direction) -> Dict[str, float]:
    """The statistics of corpus BLEU for a logging output; single numbers, so that checkpoints contain no arrays."""
    values = [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals]
    return {f"_bleu_{direction}_{name}": value for name, value in zip(STATISTICS, values)}


def log_bleu(logging_outputs: List[Dict[str, float]], directions: Iterable[Direction]):
    """Log `bleu_de-en`, `bleu_en-de` and their mean `bleu`, if the logging outputs are from validation."""
    directions = list(directions)
    if not any(f"_bleu_{directions[0]}_{STATISTICS[0]}" in log for log in logging_outputs):
        return
    for direction in directions:
        for name in STATISTICS:
            key = f"_bleu_{direction}_{name}"
            metrics.log_scalar(key, sum(float(log.get(key, 0)) for log in logging_outputs))
        metrics.log_derived(f"bleu_{direction}", functools.partial(_mean_bleu, directions=[direction]))
    metrics.log_derived("bleu", functools.partial(_mean_bleu, directions=directions))


def _mean_bleu(meters, directions: Sequence[Direction]) -> float:
    return round(sum(bleu_of(meters, direction) for direction in directions) / len(directions), 2)


def bleu_of(meters, direction: Direction) -> float:
    """sacrebleu's corpus BLEU of the summed statistics; 0 if no n-gram was counted."""
    system, reference, *ngrams = (int(meters[f"_bleu_{direction}_{name}"].sum) for name in STATISTICS)
    correct, total = ngrams[:EVAL_BLEU_ORDER], ngrams[EVAL_BLEU_ORDER:]
    return BLEU.compute_bleu(correct, total, sys_len=system, ref_len=reference, smooth_method="exp").score
