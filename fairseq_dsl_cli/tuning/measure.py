"""What a test set is scored by."""

from fairseq_dsl.errors import BadInput
from fairseq_dsl.tokenizers import tokenizer_for

from ..metrics import BLEU, CHRF


def metric_of(language, tokenize=None, chrf=False):
    """sacrebleu's metric for translations into a language.

    Args:
        tokenize: the name of BLEU's tokenizer (default: by the plugin's rule for the language).
    """
    if chrf:
        return CHRF()
    if tokenize is None:
        tokenize = tokenizer_for(language)
    try:
        return BLEU(tokenize=tokenize)
    except Exception as error:  # of many kinds: packages that are missing, models that cannot be downloaded
        raise BadInput(f"--tokenize {tokenize}: {' '.join(str(error).split())}") from error
