"""What a start costs as the data grow: time and memory until the first update can be made."""

import multiprocessing
import shutil
import time
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from fairseq import tasks
from fairseq.data import indexed_dataset

from fairseq_dsl.data.folders import HEADER, MARK
from fairseq_dsl.marginals import ScoreCache, marginals_of
from fairseq_dsl.tasks.stages import lm_flags

from .bench import Bench, quiet
from .memory import peak_resident


def scale(bench):
    """Each start has a process of its own, and is measured from after the imports on."""
    args, task = bench.args, bench.dsl_trainer("base").task
    pairs, rows = task.dataset("train"), []
    for count in args.scale_pairs:
        folder = bench.folder / f"pairs-{count}"
        chosen = np.random.RandomState(count).randint(len(pairs), size=count)
        row = {"pairs": count, "tokens": grow(task.splits, folder, chosen)}
        grown = Namespace(**{**vars(args), "data_bin": str(folder)})
        store(Bench(grown, folder), {language: found[chosen] for language, found in pairs.log_marginals.items()})
        for name in ("warm", "stock", *(["cold"] if count <= args.scale_cold else [])):
            # spawned: nothing of this process is in it
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                row[name] = pool.submit(start, grown, str(folder), name).result()
        rows.append(row)
        shutil.rmtree(folder)
    return {"rows": rows}


def start(args, folder, name):
    """Starts a training, up to its first update, and returns its CPU seconds and the peak of memory in bytes."""
    quiet()
    bench, idle = Bench(args, folder), peak_resident()
    torch.optim.SGD([torch.zeros(1)], lr=1)  # torch imports much when it makes its first optimizer
    began = time.process_time()
    if name == "stock":
        trainer = bench.stock_trainer("primal")
        trainer.get_train_iterator(epoch=1, load_dataset=False)
        trainer.begin_epoch(1)
    else:
        bench.dsl_trainer(name)
    return {"seconds": time.process_time() - began, "bytes": peak_resident(), "idle_bytes": idle}


def store(bench, scores):
    """Puts the scores of a training split, by language, where a start finds them: in the folder "warm"."""
    cfg = bench.dsl_configuration("warm").task
    task = tasks.setup_task(cfg)
    cache = ScoreCache(cfg.marginal_cache)
    marginals = marginals_of(lm_flags(cfg), task.directions.languages, task.dictionaries, bench.device)
    for language, found in scores.items():
        files = task.splits.files("train", 0, language, True)
        cache.write(cache.key(marginals[language], len(found), files), found)


def grow(splits, folder, chosen):
    """Writes a data folder of training pairs of another one, by their numbers; without a loop over them.

    Returns the number of their tokens, on both sides.
    """
    folder.mkdir(parents=True)
    direction, tokens = splits.direction, 0
    for language in (direction.source, direction.target):
        data, index = map(Path, splits.files("train", 0, language, False))
        shutil.copy(data.parent / f"dict.{language}.txt", folder)
        with open(index, "rb") as file:
            _, version, code, count = HEADER.unpack(file.read(HEADER.size))
            sizes = np.fromfile(file, np.int32, count)
        begins, sizes = (np.cumsum(sizes, dtype=np.int64) - sizes)[chosen], sizes[chosen]
        new_begins = np.cumsum(sizes, dtype=np.int64) - sizes
        symbols = np.memmap(data, indexed_dataset._code_to_dtype[code], "r")
        symbols[np.repeat(begins - new_begins, sizes) + np.arange(sizes.sum())].tofile(folder / data.name)
        with open(folder / index.name, "wb") as file:
            file.write(HEADER.pack(MARK, version, code, len(chosen)))
            sizes.tofile(file)
            (new_begins * symbols.itemsize).tofile(file)
        tokens += int(sizes.sum())
    return tokens
