"""Tells of critics from which the models learn nothing."""

import logging
from collections import defaultdict
from typing import Dict, Optional

logger = logging.getLogger(__name__)

TOO_GOOD, TOO_BAD = 0.95, 0.55
BATCHES = 100
"""As many batches are judged together."""


class CriticWatch:
    """Warns of critics that tell nearly all real and sampled sentences apart, or hardly any: once, until it changes."""

    def __init__(self):
        self._seen = defaultdict(list)  # by language, the accuracies of the last batches
        self._said: Dict[str, Optional[str]] = {}

    def see(self, language: str, accuracy: float):
        """Take note of the mean of a critic's accuracies on the real and on the sampled sentences of a batch."""
        seen = self._seen[language]
        seen.append(accuracy)
        if len(seen) < BATCHES:
            return
        mean = sum(seen) / len(seen)
        seen.clear()
        advice = None
        if mean > TOO_GOOD:
            advice = "its rewards saturate at --critic-clip; raise --critic-every, --critic-dropout or --mono-weight"
        elif mean < TOO_BAD:
            advice = (
                "its rewards are noise, or the samples are as good as real; raise --critic-dim or --critic-start-update"
            )
        if advice and self._said.get(language) != advice:
            logger.warning(f"the critic of {language} tells {mean:.0%} of real and sampled sentences apart: {advice}")
        self._said[language] = advice
