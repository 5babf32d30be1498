"""fairseq's commands in this process, the small corpora that the tests train on, and how results are compared."""

import argparse
import contextlib
import importlib
import io
import json
import logging
import math
import multiprocessing
import os
import random
import re
import sys
import time
import unittest.mock
import warnings
from pathlib import Path
from types import SimpleNamespace

import torch
from fairseq import checkpoint_utils
from fairseq.logging import metrics
from fairseq.models import distributed_fairseq_model

import fairseq_dsl
from fairseq_dsl_cli.main import run

PLUGIN = str(Path(fairseq_dsl.__file__).parent)
REPOSITORY = Path(__file__).resolve().parents[2]

# Everywhere: one process, no progress bars, every update logged as a line of JSON.
TRAINING = (
    "--cpu --num-workers 0 --log-format json --log-interval 1 --no-epoch-checkpoints --seed 7 "
    "--optimizer adam --lr 2e-3 --batch-size 16"
).split()
GENERATION = "--cpu --num-workers 0 --no-progress-bar --beam 3 --batch-size 16".split()
SIZES = "--{0}-embed-dim 16 --{0}-ffn-embed-dim 32 --{0}-layers 1 --{0}-attention-heads 2"
TRANSFORMER = (
    "--arch transformer_iwslt_de_en --dropout 0.1 " + SIZES.format("encoder") + " " + SIZES.format("decoder")
).split()
LSTM = (
    "--arch lstm --dropout 0.1 --encoder-embed-dim 16 --encoder-hidden-size 16 --decoder-embed-dim 16 "
    "--decoder-hidden-size 16 --decoder-out-embed-dim 16"
).split()
FCONV = (
    "--arch fconv --dropout 0.1 --encoder-embed-dim 16 --decoder-embed-dim 16 --decoder-out-embed-dim 16 "
    "--encoder-layers [(16,3)] --decoder-layers [(16,3)] --decoder-attention True"
).split()
TRANSFORMER_LM = ("--arch transformer_lm --dropout 0.1 " + SIZES.format("decoder")).split()
LSTM_LM = (
    "--arch lstm_lm --dropout 0.1 --decoder-embed-dim 16 --decoder-hidden-size 16 --decoder-out-embed-dim 16"
).split()
LM_TASK = "--task language_modeling --sample-break-mode eos --tokens-per-sample 64".split()

UNUSED = re.compile(r"encoder\.layers\.\d+\.(in_proj|out_proj|fc1|fc2)_(weight|bias)$|\._float_tensor$")


# ---- running commands


class Run:
    """What a command printed, and what it logged.

    Attributes:
        stdout: the text on standard output.
        log: the messages of all loggers, in order.
        stats: the lines of JSON by the name of their logger: ``train_inner``, ``train``, ``valid``.
    """

    def __init__(self):
        self.stdout = ""
        self.log = []
        self.stats = {"train_inner": [], "train": [], "valid": []}

    def hypotheses(self):
        """The translations by the sentences' numbers."""
        return {int(n): text for n, text in re.findall(r"^H-(\d+)\t\S+\t(.*)$", self.stdout, re.MULTILINE)}

    def scored_hypotheses(self):
        """The same with their scores, as printed."""
        return dict(re.findall(r"^H-(\d+)\t(.*)$", self.stdout, re.MULTILINE))

    def last(self, kind, key):
        return float(self.stats[kind][-1][key])

    def says(self, pattern):
        return any(re.search(pattern, message) for message in self.log)


class _Recorder(logging.Handler):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def emit(self, record):
        message = record.getMessage()
        self.run.log.append(message)
        if record.name in self.run.stats and message.startswith("{"):
            self.run.stats[record.name].append(json.loads(message))


def forget_earlier_commands():
    """fairseq keeps the best score, the patience and all meters in the process, not in the command."""
    train = importlib.import_module("fairseq_cli.train")
    for function in (checkpoint_utils.save_checkpoint, train.should_stop_early):
        for name in ("best", "num_runs"):
            if hasattr(function, name):
                delattr(function, name)
    metrics.reset()


def command(name, *arguments):
    """Run ``fairseq-<name>`` with the arguments in this process, and return its `Run`."""
    module = importlib.import_module("fairseq_cli." + name.replace("-", "_"))
    argv = ["fairseq-" + name] + [str(argument) for argument in arguments]
    if name not in ("score", "preprocess"):
        argv += ["--user-dir", PLUGIN]
    run, root = Run(), logging.getLogger()
    recorder, level, handlers = _Recorder(run), root.level, list(root.handlers)
    forget_earlier_commands()
    root.addHandler(recorder)
    root.setLevel(logging.INFO)
    stdout = io.StringIO()
    try:
        with unittest.mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(stdout):
            with warnings.catch_warnings(), unittest.mock.patch.object(module, "reset_logging", create=True):
                warnings.simplefilter("ignore")  # fairseq's, of hydra and torch
                module.cli_main()
    finally:
        run.stdout = stdout.getvalue()
        root.setLevel(level)
        for handler in list(root.handlers):
            if handler not in handlers:
                root.removeHandler(handler)
    return run


def train(data, *arguments):
    """``fairseq-train``; what is given overrides `TRAINING`."""
    return command("train", data, *TRAINING, *arguments)


def generate(data, direction, path, *arguments, task="dual_translation"):
    """``fairseq-generate`` of one direction, such as ``de-en``."""
    return command("generate", data, "--task", task, *languages(direction), "--path", path, *GENERATION, *arguments)


def languages(direction):
    source, target = direction.split("-")
    return ["-s", source, "-t", target]


def plugin_command(*arguments):
    """Run ``fairseq-dsl`` with the arguments in this process; what it refuses is raised."""
    assert not run([str(argument) for argument in arguments])


def processes():
    """A context for processes that start quickly, from a clean server with torch and fairseq loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairseq_cli.train", "fairseq_dsl", "commands"])
    return context


def train_in_process(log, arguments):
    """The target of a process: ``fairseq-train``, with standard output and error in a file."""
    with open(log, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    train(*arguments)


def train_as_worker(rank, folder, runs):
    """The target of one of two processes that train together, run after run: see `train_by_two_workers`."""
    with open(folder / f"log.{rank}", "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    trainers, module = [], importlib.import_module("fairseq_cli.train")

    def trainer(*arguments, **keywords):
        trainers.append(Trainer(*arguments, **keywords))
        return trainers[-1]

    def on_cpu(device_ids, output_device, **keywords):  # fairseq names a GPU here, also with --cpu
        return DistributedDataParallel(**keywords)

    Trainer, module.Trainer = module.Trainer, trainer
    DistributedDataParallel = distributed_fairseq_model.DistributedDataParallel
    distributed_fairseq_model.DistributedDataParallel = on_cpu
    world = ["--distributed-world-size", 2, "--distributed-rank", rank, "--distributed-init-method"]
    world += [f"file://{folder}/rendezvous", "--distributed-no-spawn", "--distributed-backend", "gloo"]
    for name, arguments in runs.items():
        found = train(*arguments, *world, "--save-dir", folder / name)
        torch.save(trainers[-1].get_model().state_dict(), folder / name / f"worker.{rank}.pt")
        (folder / name / f"stats.{rank}.json").write_text(json.dumps(found.stats))


def train_by_two_workers(folder, runs, limit=120):
    """Some runs, each by the same two data-parallel processes on the CPU (gloo), in folders of their names.

    As on GPUs, gradients are averaged by torch's own module, which wants all that is differentiated to be called by it.

    Beside the checkpoints, ``worker.0.pt`` and ``worker.1.pt`` are the parameters that each worker ended with, and
    ``stats.0.json`` what was logged. A run that fails or hangs (after `limit` seconds) fails the test.

    Args:
        runs: the arguments of `train` by name, without ``--save-dir``.
    """
    for name in runs:
        (folder / name).mkdir(parents=True)
    workers = [processes().Process(target=train_as_worker, args=(rank, folder, runs)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    end = time.time() + limit
    while any(worker.is_alive() for worker in workers) and time.time() < end:
        if any(worker.exitcode for worker in workers):
            break  # one has failed: the other waits for it
        time.sleep(0.05)
    hung = all(worker.is_alive() for worker in workers)
    for worker in workers:
        if worker.is_alive():
            worker.kill()
        worker.join()
    logs = [(folder / f"log.{rank}").read_text()[-3000:] for rank in (0, 1)]
    assert not hung, "the workers wait for each other\n" + "\n\n".join(logs)
    assert [worker.exitcode for worker in workers] == [0, 0], "\n\n".join(logs)


# ---- corpora


def sentence_pairs(count, seed, longest=6, words=6):
    """Pairs of two made-up languages, ``de`` and ``en``.

    The translation is in reverse order, and a word has one to three words there: the sides sort differently by length.
    """
    draw = random.Random(seed)
    for _ in range(count):
        numbers = [draw.randrange(words) for _ in range(draw.randint(1, longest))]
        source = " ".join(f"w{n}" for n in numbers)
        yield source, " ".join(f"v{n}{'xyz'[i]}" for n in reversed(numbers) for i in range(1 + n % 3))


def write_pairs(stem, pairs):
    """Write ``stem.de`` and ``stem.en``."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pairs = list(pairs)
    for i, language in enumerate(("de", "en")):
        Path(f"{stem}.{language}").write_text("".join(pair[i] + "\n" for pair in pairs), encoding="utf-8")


def binarize(text, folder, *arguments, source="de", target="en", joined=True, test=True):
    """``fairseq-preprocess`` of ``text/{train,valid,test}.{de,en}``."""
    files = ["--trainpref", text / "train", "--validpref", text / "valid"]
    files += ["--testpref", text / "test"] if test else []
    joined = ["--joined-dictionary"] if joined else []
    command("preprocess", "-s", source, "-t", target, *files, "--destdir", folder, *joined, *arguments)
    return folder


def binarize_for_lm(text, language, dictionary, folder):
    """One language of the text, for ``--task language_modeling``, with a translation dictionary."""
    files = ["--trainpref", text / f"train.{language}", "--validpref", text / f"valid.{language}"]
    command("preprocess", "--only-source", *files, "--srcdict", dictionary, "--destdir", folder)
    return folder


def train_lm(data, folder, *arguments, arch=TRANSFORMER_LM, updates=30):
    train(data, *LM_TASK, *arch, "--max-update", updates, "--save-dir", folder, *arguments)
    return folder / "checkpoint_last.pt"


def train_translation(data, direction, folder, *arguments, arch=TRANSFORMER, updates=30):
    flags = ["--task", "translation", *languages(direction), *arch, "--max-update", updates, "--save-dir", folder]
    train(data, *flags, "--criterion", "label_smoothed_cross_entropy", *arguments)
    return folder / "checkpoint_last.pt"


def make_chain(folder, pairs, joined=True, arch=TRANSFORMER, lm_updates=30, updates=30, arguments=()):
    """Text, binarized data, both language models and both warm starts, in a folder.

    Args:
        pairs: the sentence pairs of ``train``, ``valid`` and ``test``.
    """
    chain = SimpleNamespace(
        folder=folder, text=folder / "text", pairs={name: list(part) for name, part in pairs.items()}
    )
    for name, part in chain.pairs.items():
        write_pairs(chain.text / name, part)
    chain.data = binarize(chain.text, folder / "bin", joined=joined)
    chain.lm_data = {
        language: binarize_for_lm(
            chain.text, language, chain.data / f"dict.{language}.txt", folder / f"bin-lm.{language}"
        )
        for language in ("de", "en")
    }
    chain.lm = {
        language: train_lm(data, folder / f"lm.{language}", *arguments, updates=lm_updates)
        for language, data in chain.lm_data.items()
    }
    chain.warm = {
        direction: train_translation(chain.data, direction, folder / direction, *arguments, arch=arch, updates=updates)
        for direction in ("de-en", "en-de")
    }
    return chain


def warm_flags(chain):
    warm = chain.warm
    return ["--arch", "dual_translation", "--primal-checkpoint", warm["de-en"], "--dual-checkpoint", warm["en-de"]]


def lm_flags(chain):
    return ["--source-lm", chain.lm["de"], "--target-lm", chain.lm["en"]]


def mono_flags(folders):
    """Monolingual text; of languages that are missing, none."""
    flags = {"de": "--source-mono", "en": "--target-mono"}
    return [part for language, folder in folders.items() for part in (flags[language], folder)]


TASK = "--task dual_translation -s de -t en --criterion dsl_cross_entropy".split()


def dsl_flags(chain):
    """A DSL command for ``train(chain.data, ...)`` but for its length and ``--save-dir``."""
    return [*TASK, *warm_flags(chain), *lm_flags(chain)]


# ---- comparing


def load(path):
    """A checkpoint's state, and a failure of the test where it is cut or corrupt.

    Without what fairseq 0.12.2 stores and never uses: copies of parameters that are made anew whenever it loads, and
    tensors that it does not initialize.
    """
    state = checkpoint_utils.load_checkpoint_to_cpu(str(path))
    state["model"] = {key: value for key, value in state["model"].items() if not UNUSED.search(key)}
    return state


def edited(path, copy, **changes):
    """A copy of a checkpoint with other values in ``cfg``, given as ``task__data="..."``."""
    state = torch.load(path, map_location="cpu")  # the plugin has allowed the types of fairseq's checkpoints
    for name, value in changes.items():
        part, _, key = name.partition("__")
        part = state["cfg"][part]
        setattr(part, key, value) if isinstance(part, argparse.Namespace) else part.update({key: value})
    torch.save(state, copy)
    return copy


def direction_of(state, direction):
    """The parameters of one direction of a dual checkpoint."""
    prefix = f"models.{direction}."
    return {key[len(prefix) :]: value for key, value in state["model"].items() if key.startswith(prefix)}


def differences(left, right, where=""):
    """Where two nested states differ at all, as a list of paths."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return [] if torch.equal(left, right) else [where]
    if isinstance(left, dict) and isinstance(right, dict):
        keys = set(left) | set(right)
        absent = object()
        pairs = ((key, left.get(key, absent), right.get(key, absent)) for key in sorted(keys, key=str))
        return [path for key, a, b in pairs for path in differences(a, b, f"{where}/{key}")]
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)) and len(left) == len(right):
        return [path for i, (a, b) in enumerate(zip(left, right)) for path in differences(a, b, f"{where}/{i}")]
    return [] if type(left) is type(right) and left == right else [where]


def largest_difference(left, right):
    """Of two sets of parameters with the same names, and the largest over all of them, a float."""
    assert set(left) == set(right)
    return max((left[key].double() - right[key].double()).abs().max().item() for key in left)


def distance(left, right):
    """The Euclidean norm of the change of a model's parameters."""
    return math.sqrt(sum((left[key].double() - right[key].double()).pow(2).sum().item() for key in left))
