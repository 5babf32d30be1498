"""Dual Supervised Learning for fairseq: ``fairseq-train --user-dir fairseq_dsl --task dual_translation``."""

from . import compat, criterions, models, patches, tasks  # noqa: F401  (first: they mend what the imports below rely on)  # noqa: F401
