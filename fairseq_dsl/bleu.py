"""BLEU: how text is tokenized everywhere, and validation's BLEU of both directions, summed over batches and workers."""

import contextlib
import functools
import json
import logging
import re
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

logger = logging.getLogger(__name__)

CHINESE = "zh cmn yue wuu nan hak gan hsn lzh zho chi cn"
OTHERS_WITHOUT_SPACES = "ja jpn jp th tha lo lao km khm my mya bur shn mnw ksw bo bod tib dz dzo"
TOKENIZERS = {
    **dict.fromkeys(CHINESE.split(), "zh"),
    **dict.fromkeys(OTHERS_WITHOUT_SPACES.split(), "char"),
}
"""sacrebleu's tokenizers by base language, for languages written without spaces between words.

All others use 13a, sacrebleu's default. So does Korean: it has spaces, and sacrebleu's ko-mecab, like ja-mecab, needs
more packages, so that the same command would give other scores on another machine. The flags can choose these.
"""

STATISTICS = ("sys_len", "ref_len") + tuple(
    f"{kind}_{order}" for kind in ("counts", "totals") for order in range(EVAL_BLEU_ORDER)
)


def tokenizer_for(language: str, chosen: Optional[str] = None) -> str:
    """The name of sacrebleu's tokenizer for a language, unless one is chosen.

    >>> [tokenizer_for(language) for language in ("de", "zh_Hans", "ZH-tw", "ja_XX", "tha_Thai", "ko")]
    ['13a', 'zh', 'zh', 'char', 'char', '13a']
    """
    base = re.split(r"[^a-z]", language.lower())[0]
    return chosen or TOKENIZERS.get(base, BLEU.TOKENIZER_DEFAULT)


def check_tokenizer(chosen: Optional[str], tokenized: bool):
    """Refuse a tokenizer that sacrebleu does not have, or whose packages are missing.

    Args:
        chosen: the value of ``--eval-bleu-tokenize``, if given.
        tokenized: whether ``--eval-tokenized-bleu`` is given, which scores the text without tokenizing it.
    """
    if chosen is None:
        return
    if chosen not in BLEU.TOKENIZERS:
        raise BadInput(f"--eval-bleu-tokenize: expected one of {', '.join(BLEU.TOKENIZERS)}, found {chosen}")
    if tokenized:
        raise BadInput(
            f"--eval-bleu-tokenize {chosen}: has no effect with --eval-tokenized-bleu; expected only one of the two"
        )
    try:
        BLEU(tokenize=chosen)
    except Exception as error:  # of many kinds: missing packages, models that cannot be downloaded
        raise BadInput(f"--eval-bleu-tokenize {chosen}: {' '.join(str(error).split())}") from error


def tokenizer_of(flags: Any, language: str) -> str:
    """The tokenizer for text of a language, in BLEU of validation and the risk of `minimum_risk`.

    Args:
        flags: of fairseq's translation task.
    """
    if flags.eval_tokenized_bleu:
        return "none"
    return tokenizer_for(language, getattr(flags, "eval_bleu_tokenize", None))


def log_tokenizer(task: TranslationTask):
    """Log once for each task how validation tokenizes."""
    if not hasattr(task, "_logged_tokenizer"):
        source, target = task.cfg.source_lang, task.cfg.target_lang
        logger.info(
            f"BLEU of {source}-{target} in validation: with sacrebleu's tokenizer {tokenizer_of(task.cfg, target)}"
        )
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
