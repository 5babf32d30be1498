"""The parts of a benchmark: each measures a ratio, and returns it with what else it found, as a dictionary."""

import functools
import itertools
import multiprocessing
import statistics
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import torch
from fairseq import options, tasks
from fairseq.data import Dictionary, data_utils
from fairseq_cli import eval_lm, generate

from fairseq_dsl.checkpoints import Checkpoint, save_plain
from fairseq_dsl.inference import Reranker
from fairseq_dsl.marginals.computing import tokens_of_batch
from fairseq_dsl.sampling import Sampler, SamplingConfig

from .bench import NO_LEARNING, configuration, train
from .memory import peak_memory
from .scale import scale as scale
from .start import starts
from .turns import median_wall, ratio, take_turns

WARM_UP_UPDATES = 3
WIDE_BATCHES_OF = 200  # batches of an epoch among which those that take most memory are looked for


def start(bench):
    seconds = take_turns({name: lambda run=run: run for name, run in starts(bench).items()}, bench.args.turns, False)
    return ratio(seconds, "pair", ["stock"], bench.cuda)


def training(bench):
    trainers = {name: bench.stock_trainer(name) for name in ("primal", "reverse")}
    trainers["dual"] = bench.dsl_trainer()
    batches = bench.batches(trainers["dual"], bench.args.updates)
    for trainer in trainers.values():
        train(trainer, batches[:WARM_UP_UPDATES])
    runs = {name: functools.partial(train, trainer, batches) for name, trainer in trainers.items()}
    seconds = take_turns({name: lambda run=run: run for name, run in runs.items()}, bench.args.turns, bench.cuda)
    return {
        **ratio(seconds, "dual", ["primal", "reverse"], bench.cuda),
        "updates": len(batches),
        "pairs_per_update": sum(map(len, batches)) / len(batches),
    }


def marginals(bench):
    caches = itertools.count()
    pairs = len(bench.dsl_trainer("warm").task.dataset("train"))
    evaluations = []
    args = bench.args
    for language, path in ((args.source_lang, args.source_lm), (args.target_lang, args.target_lm)):
        folder = f"{args.lm_data_bin}.{language}"
        sentences = len(data_utils.load_indexed_dataset(f"{folder}/train", None))
        if sentences != pairs:
            sys.exit(f"{folder}: {sentences:,} sentences of training, expected those of the {pairs:,} pairs")
        words = [folder, "--task", "language_modeling", "--path", path, "--gen-subset", "train"]
        words += ["--sample-break-mode", "eos", "--tokens-per-sample", str(tokens_per_sample(path))]
        vocabulary = len(Dictionary.load(f"{folder}/dict.txt"))
        words += ["--max-tokens", str(tokens_of_batch(vocabulary, bench.device))]
        words += ["--required-batch-size-multiple", "1", *bench.common]
        evaluations.append(configuration(options.get_eval_lm_parser(), words))

    def start(cache):
        """A start of training: the data are loaded, and their marginals known."""
        cfg = bench.dsl_configuration(cache)
        task = tasks.setup_task(cfg.task)
        task.build_model(cfg.model)

        def run():
            task.build_criterion(cfg.criterion)
            task.load_dataset("train")

        return run

    def evaluate():
        for cfg in evaluations:
            eval_lm.main(cfg)

    cold = {"ours": lambda: start(f"cold{next(caches)}"), "eval-lm": lambda: evaluate}
    cold = take_turns(cold, bench.args.turns, bench.cuda)
    warm = {"warm": lambda: start("warm"), "without": lambda: start(None)}
    warm = take_turns(warm, bench.args.turns, bench.cuda)
    warm_seconds, without_seconds = (median_wall(warm[name]) for name in ("warm", "without"))
    return {
        **ratio(cold, "ours", ["eval-lm"], bench.cuda),
        "pairs": pairs,
        "warm_start_seconds": warm_seconds - without_seconds,
    }


def generation(bench):
    source, target = bench.args.source_lang, bench.args.target_lang
    dual, plain = bench.pair_checkpoint(), str(bench.folder / "plain.pt")
    save_plain(Checkpoint(dual, "--path").direction(f"{source}-{target}"), plain)
    outputs = {}

    def translate(name, task, path):
        words = [bench.args.data_bin, "--task", task, *bench.languages, "--path", path]
        words += ["--gen-subset", bench.args.subset]
        words += ["--beam", "5", "--max-tokens", str(bench.args.max_tokens), "--required-batch-size-multiple", "1"]
        words += ["--results-path", str(bench.folder / name), *bench.common]
        cfg = configuration(options.get_generation_parser(), words)

        def run():
            generate.main(cfg)
            lines = (bench.folder / name / f"generate-{bench.args.subset}.txt").read_text().split("\n")
            outputs[name] = sorted(line for line in lines if line.startswith("H-"))

        return run

    turns = {
        "dual": functools.partial(translate, "dual", "dual_translation", dual),
        "plain": functools.partial(translate, "plain", "translation", plain),
    }
    seconds = take_turns(turns, bench.args.turns, bench.cuda)
    return {
        **ratio(seconds, "dual", ["plain"], bench.cuda),
        "sentences": len(outputs["plain"]),
        "same_hypotheses": outputs["dual"] == outputs["plain"],
    }


def dual_inference(bench):
    """Scoring the hypotheses of a beam by the reverse model, and by a language model, against finding them."""
    batches, search, reranker = bench.reranking(beam=10)
    found = [search(batch) for batch in batches]
    by_reverse = Reranker(
        reranker.reverse.models, reranker.source, reranker.reverse.flags, None, None, reranker.max_tokens
    )
    sides = {
        "search": lambda: [search(batch) for batch in batches],
        "reverse": lambda: [by_reverse.score(*one) for one in zip(batches, found)],
        "both": lambda: [reranker.score(*one) for one in zip(batches, found)],
    }
    seconds = take_turns({name: lambda run=run: run for name, run in sides.items()}, bench.args.turns, bench.cuda)
    reverse = ratio(seconds, "reverse", ["search"], bench.cuda)
    both = ratio(seconds, "both", ["search"], bench.cuda)
    return {
        **reverse,
        "language_model_ratio": both["ratio"] - reverse["ratio"],
        "hypotheses": sum(len(hypotheses) for lists in found for hypotheses in lists),
    }


def memory(bench):
    """Each run has a process of its own, and trains on the batches that take most memory."""
    dual = bench.dsl_trainer()  # fills the cache
    dataset = dual.task.dataset("train")
    batches = bench.batches(dual, WIDE_BATCHES_OF)
    batches.sort(key=lambda numbers: len(numbers) * max(dataset.num_tokens(number) for number in numbers))
    peaks = {}
    for name in ("idle", "primal", "reverse", "dual", "first"):
        # spawned: nothing of this process is in it
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            widest = batches[-WARM_UP_UPDATES:]
            peaks[name] = pool.submit(peak_memory, bench.args, str(bench.folder), name, widest).result()
    stock = statistics.mean([peaks["primal"]["bytes"], peaks["reverse"]["bytes"]])
    idle = peaks["idle"]["bytes"]
    return {
        "ratio": peaks["dual"]["bytes"] / stock,
        "ratio_above_idle": (peaks["dual"]["bytes"] - idle) / (stock - idle),
        "bytes": {name: peak["bytes"] for name, peak in peaks.items()},
        "language_models_while_training": peaks["first"]["language_models"],
    }


def sampling(bench):
    trainer = bench.back_translation_trainer()
    task, pair = trainer.task, trainer.model
    sampler = Sampler(SamplingConfig(num_samples=bench.args.num_samples))
    stock = {name: bench.stock_sampling(name, bench.args.num_samples) for name in ("primal", "reverse")}
    batches = bench.monolingual(trainer, bench.batches(trainer, bench.args.updates))

    def ours(name, batch):
        direction = {"primal": task.directions.active, "reverse": task.directions.active.reversed}[name]
        model, dictionary = pair.models[str(direction)], task.dictionaries[direction.target]
        return sampler.draw(model, dictionary, batch, task.stage.longest(direction.target)).sentences

    def theirs(name, batch):
        return [hypothesis["tokens"] for found in stock[name](batch) for hypothesis in found]

    drawn = {}

    def run(side, batches):
        drawn[side.__name__] = found = []
        for seed, sentences in enumerate(batches):
            for name, batch in sentences.items():
                torch.manual_seed(seed)
                found += side(name, batch)

    for side in (ours, theirs):
        run(side, batches[:WARM_UP_UPDATES])
    turns = {side.__name__: lambda side=side: lambda: run(side, batches) for side in (ours, theirs)}
    seconds = take_turns(turns, bench.args.turns, bench.cuda)
    texts = [Counter(tuple(sentence.tolist()) for sentence in drawn[name]) for name in turns]
    return {
        **ratio(seconds, "ours", ["theirs"], bench.cuda),
        "num_samples": bench.args.num_samples,
        "samples": len(drawn["ours"]),
        "same_samples": sum((texts[0] & texts[1]).values()) / len(drawn["ours"]),
    }


def back_translation(bench):
    ours = bench.back_translation_trainer()
    stock = {name: bench.stock_trainer(name, *NO_LEARNING) for name in ("primal", "reverse")}
    sampling = {name: bench.stock_sampling(name, 1) for name in stock}
    batches = bench.batches(ours, bench.args.updates)
    monolingual = bench.monolingual(ours, batches)

    def theirs(count):
        for numbers, sentences in zip(batches[:count], monolingual):
            synthetic = bench.synthetic_pairs(sampling, sentences, stock["primal"])
            for name, trainer in stock.items():
                train(trainer, [numbers], synthetic[name])

    runs = {"ours": functools.partial(train, ours, batches), "theirs": functools.partial(theirs, None)}
    train(ours, batches[:WARM_UP_UPDATES])
    theirs(WARM_UP_UPDATES)
    seconds = take_turns({name: lambda run=run: run for name, run in runs.items()}, bench.args.turns, bench.cuda)
    return {
        **ratio(seconds, "ours", ["theirs"], bench.cuda),
        "updates": len(batches),
        "pairs_per_update": sum(map(len, batches)) / len(batches),
    }


def tokens_per_sample(path):
    return Checkpoint(path, "--source-lm or --target-lm").task["tokens_per_sample"]
