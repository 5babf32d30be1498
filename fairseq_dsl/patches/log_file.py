"""fairseq's ``--log-file``."""

import functools
import logging
import os
import sys

from ..preflight import check_log_file


def keep_one_handler():
    """fairseq adds a handler with every progress bar, so that by epoch 10 each line appears ten times: keep one."""
    for name in ("fairseq_cli.train", "fairseq.logging.progress_bar"):
        logger = logging.getLogger(name)
        add = functools.partial(_add_handler, logger, logger.addHandler)
        logger.addHandler = add  # type: ignore[method-assign]


def make_its_folder():
    """fairseq ends where the folder does not exist, such as a new ``--save-dir``: make it before the file is opened."""
    train = sys.modules.get("fairseq_cli.train")
    if train is None:
        return  # another command, which has no such flag
    add_defaults = train.add_defaults  # what is called with the configuration before

    @functools.wraps(add_defaults)
    def then_make_folder(cfg):
        add_defaults(cfg)
        if cfg.common.log_file is not None:
            folder = os.path.dirname(cfg.common.log_file) or "."
            check_log_file(cfg.common.log_file)
            os.makedirs(folder, exist_ok=True)

    train.add_defaults = then_make_folder  # type: ignore[attr-defined]


def _add_handler(logger, add, handler):
    """Add a handler to a logger of fairseq; one for a file replaces the one that the logger already has."""
    if isinstance(handler, logging.FileHandler):
        for earlier in [other for other in logger.handlers if isinstance(other, logging.FileHandler)]:
            logger.removeHandler(earlier)
            earlier.close()
    add(handler)
