"""Peak memory of a process that trains."""

import gc
from pathlib import Path

import torch
from fairseq.models import FairseqLanguageModel

from .bench import Bench, quiet, train


def peak_memory(args, folder, name, batches):
    """Trains on `batches`, and returns the peak memory of this process in bytes: the GPU's if it is used."""
    quiet()
    bench = Bench(args, folder)
    if name in ("primal", "reverse"):
        train(bench.stock_trainer(name), batches)
    elif name != "idle":
        # "first" scores the marginals on its way, "dual" finds them in the cache.
        train(bench.dsl_trainer("first" if name == "first" else "cache"), batches)
    gc.collect()  # what nothing refers to is not counted, whenever the collector comes by
    language_models = [found for found in gc.get_objects() if issubclass(type(found), FairseqLanguageModel)]
    peak = torch.cuda.max_memory_allocated() if bench.cuda else peak_resident()
    return {"bytes": peak, "language_models": len(language_models)}


def peak_resident():
    """The peak of this process' resident memory. getrusage() is of no use: it begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
