"""Checkpoints and logs with nothing in them but what the commands of fairseq-dsl look at."""

import json

import torch

# What evaluation.json holds, in short.
EVALUATION = {
    "subset": "test",
    "sentences": 3,
    "baseline": "control",
    "systems": {"control": "c.pt", "dsl": "d.pt"},
    "directions": {
        "de-en": {
            "BLEU": {
                "signature": "nrefs:1|tok:13a",
                "systems": {
                    "control": {"score": 20.0, "mean": 20.1, "ci": 1.5, "p_value": None},
                    "dsl": {"score": 21.25, "mean": 21.2, "ci": 1.25, "p_value": 0.0125},
                },
            }
        }
    },
    "duality_gap": {"control": {"duality_gap": 5.0, "duality_gap_signed": -1.0, "duality_loss": 46.0}, "dsl": {}},
}


def save_model(path, task, model=None, parameters=None, **settings):
    """The checkpoint of a model, with what tells it from other models."""
    history = {"criterion_name": "c", "optimizer_name": "o", "lr_scheduler_state": {}, "num_updates": 1}
    state = {
        "args": None,
        "cfg": {"model": model or {"_name": "transformer"}, "task": {"_name": task, **settings}},
        "model": parameters or {"w": torch.zeros(2), "steps": torch.tensor(1)},
        "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None},
        "task_state": {},
    }
    torch.save(state, path)
    return str(path)


def save_translation(path, source, target, **settings):
    return save_model(path, "translation", source_lang=source, target_lang=target, **settings)


def save_pair(path, source, target, arch="transformer", **settings):
    pair = {f"{source}-{target}": {"_name": arch}, f"{target}-{source}": {"_name": arch}}
    model = {"_name": "dual_translation", "pair": pair}
    return save_model(path, "dual_translation", model, source_lang=source, target_lang=target, **settings)


def log_line(tag, **statistics):
    """A line of fairseq-train's --log-file."""
    prefix = "" if tag == "train_inner" else f"{tag}_"
    return json.dumps({f"{prefix}{key}": str(value) for key, value in statistics.items()}) + "\n"
