"""fairseq's ``--log-file``."""

import functools
import logging


def keep_one_handler():
    """fairseq adds a handler with every progress bar, so that by epoch 10 each line appears ten times: keep one."""
    for name in ("fairseq_cli.train", "fairseq.logging.progress_bar"):
        logger = logging.getLogger(name)
        add = functools.partial(_add_handler, logger, logger.addHandler)
        logger.addHandler = add  # type: ignore[method-assign]


def _add_handler(logger, add, handler):
    """Add a handler to a logger of fairseq; one for a file replaces the one that the logger already has."""
    if isinstance(handler, logging.FileHandler):
        for earlier in [other for other in logger.handlers if isinstance(other, logging.FileHandler)]:
            logger.removeHandler(earlier)
            earlier.close()
    add(handler)
