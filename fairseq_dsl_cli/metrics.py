"""sacrebleu's metrics. What it warns of, such as text that looks tokenized, is said once and not for every resample."""

import logging

from sacrebleu.metrics import BLEU, CHRF

__all__ = ["BLEU", "CHRF"]


class _Once(logging.Filter):
    """Lets each message through once."""

    def __init__(self):
        super().__init__()
        self._seen = set()

    def filter(self, record):
        message = record.getMessage()
        is_new = message not in self._seen
        self._seen.add(message)
        return is_new


logging.getLogger("sacrebleu").addFilter(_Once())
