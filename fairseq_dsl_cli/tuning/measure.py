"""What a test set is scored by."""

from sacrebleu.metrics import BLEU, CHRF

from fairseq_dsl.errors import BadInput
from fairseq_dsl.tokenizers import tokenizer_for


def metric_of(direction, tokenize=None, chrf=False):
    """sacrebleu's metric for translations of a direction.

    Args:
        direction: such as ``de-en``.
        tokenize: the name of BLEU's tokenizer, where it is chosen.
    """
    if chrf:
        return CHRF()
    if tokenize is None:
        tokenize = _tokenizer_for(direction)
    try:
        return BLEU(tokenize=tokenize)
    except Exception as error:  # of many kinds: packages that are missing, models that cannot be downloaded
        raise BadInput(f"--tokenize {tokenize}: {' '.join(str(error).split())}") from error


def _tokenizer_for(direction):
    """That of the target language, by the plugin's rule; languages may have hyphens of their own, as zh-cn has."""
    parts = direction.split("-")
    found = {tokenizer_for("-".join(parts[i:])) for i in range(1, len(parts))}
    if len(found) > 1:
        raise BadInput(f"{direction}: where its target language begins is not clear; choose one with --tokenize")
    return found.pop()
