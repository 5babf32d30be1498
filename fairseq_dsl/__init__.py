"""Dual Supervised Learning for fairseq: ``fairseq-train --user-dir fairseq_dsl --task dual_translation``."""

__version__ = "0.4.0.dev0"  # before all imports: setuptools reads it without them

from . import compat, patches  # noqa: F401, I001  (first: they mend what the imports below rely on)
from . import criterions, models, tasks  # noqa: F401
