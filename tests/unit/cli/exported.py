"""Small transformers of every shape, as they are restored from a checkpoint to be exported."""

import tiny
from fairseq import tasks

from fairseq_dsl.directions import Direction
from fairseq_dsl.models import Restored


def restored(folder, *flags, arch="transformer"):
    """A model with these flags; of the last one of a flag that is given twice."""
    common = ["--task", "translation", "--arch", arch, "--criterion", "cross_entropy", *tiny.FLAGS[arch].split()]
    cfg = tiny.configure(folder, *common, *flags)
    cfg.task.source_lang, cfg.task.target_lang = "de", "en"
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    tiny.spread(model)
    return Restored(Direction("de", "en"), model.eval(), task.source_dictionary, task.target_dictionary, cfg.task)
