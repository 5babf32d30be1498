"""A pair in the stage of translation, and what its models say of one sentence at a time."""

from types import SimpleNamespace

import tiny
import torch
from fairseq import tasks

BEAM = 4


def translating(folder, source="de", target="en", primal="transformer", dual=None, **flags):
    """A pair in the stage of `fairseq-generate`: its task, model and test data."""
    cfg = tiny.pair_config(folder, primal, dual)
    for name, value in flags.items():
        cfg.task[name] = value
    cfg.task.source_lang, cfg.task.target_lang = source, target
    task = tasks.setup_task(cfg.task)
    made = SimpleNamespace(task=task, model=task.build_model(cfg.model, from_checkpoint=True), cfg=cfg)
    with torch.no_grad():
        for name, p in made.model.named_parameters():
            generator = torch.Generator().manual_seed(sum(map(ord, name)))
            p.copy_(0.5 * torch.randn(p.shape, generator=generator) + ("layer_norm.weight" in name))
    made.model.eval().prepare_for_inference_(cfg)
    task.load_dataset("valid")
    made.data = task.dataset("valid")
    return made


def translate(made, rows=None, others=(), step=None, **settings):
    """The hypotheses of some sentences by their numbers, and the generator that made them.

    Args:
        others: models of an ensemble beside its first.
        step: makes of a batch what `inference_step` is given beside it.
    """
    models = [made.model, *others]
    batch = tiny.batch(made.data, rows)
    generator = made.task.build_generator(models, SimpleNamespace(beam=BEAM, max_len_a=1, max_len_b=5, **settings))
    found = made.task.inference_step(generator, models, batch, **(step(batch) if step else {}))
    return dict(zip(batch["id"].tolist(), found)), generator


def log_p_by_symbol(model, source, target):
    """log P of each symbol of a translation, of one sentence alone."""
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    logits = model(source[None], torch.tensor([len(source)]), target.roll(1)[None])[0][0]
    return logits.double().log_softmax(-1)[range(len(target)), target]
