#!/usr/bin/env python3
"""Measures what training a pair costs, as ratios to stock fairseq on the same sentences and models.

    scripts/benchmark.py --data-bin data-bin/m30k -s de -t en --lm-data-bin data-bin/m30k-lm \\
        --primal-checkpoint de-en.pt --dual-checkpoint en-de.pt --source-lm lm.de.pt --target-lm lm.en.pt \\
        --source-mono data-bin/m30k-mono.de --target-mono data-bin/m30k-mono.en

training          an update of both models with dsl_cross_entropy / one of each with label_smoothed_cross_entropy
marginals         scoring both sides of the training set before the first update / fairseq-eval-lm on the same sentences
generation        fairseq-generate from a dual checkpoint / from the same model exported as a plain one
memory            peak memory of training the pair / of training one model
sampling          drawing K translations of monolingual sentences with the plugin's Sampler / with the generator that
                  `fairseq-generate --sampling --beam K` builds, and no other part of that command, on the same batches
back-translation  an update of both models with back_translation_cross_entropy, K = 1 / the same generator's sampling of
                  its monolingual sentences, and then one update of each model with label_smoothed_cross_entropy on two
                  batches, the same parallel and the same synthetic pairs; only our side also reads monolingual text

The two sides of a ratio take turns in one process. Each ratio is the median over the turns; on the CPU it is of CPU
time, which other processes disturb least, on a GPU of wall-clock time. Start-up (imports, building the models) does
not count. Where sentences are sampled, both sides draw with the same random numbers from the same models (in
back-translation the learning rate is next to none), and so the same samples.
"""

import contextlib
import functools
import gc
import itertools
import json
import logging
import multiprocessing
import os
import shlex
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

import torch  # noqa: E402

import commandline  # noqa: E402
import fairseq_dsl  # noqa: E402, F401
from fairseq import checkpoint_utils, options, tasks, utils  # noqa: E402
from fairseq.data import data_utils  # noqa: E402
from fairseq.dataclass.utils import convert_namespace_to_omegaconf  # noqa: E402
from fairseq.logging import metrics  # noqa: E402
from fairseq.models import FairseqLanguageModel  # noqa: E402
from fairseq.trainer import Trainer  # noqa: E402
from fairseq_cli import eval_lm, generate  # noqa: E402
from fairseq_dsl.checkpoints import Checkpoint, save_plain  # noqa: E402
from fairseq_dsl.files import written_atomically  # noqa: E402
from fairseq_dsl.marginals.split import MAX_TOKENS  # noqa: E402
from fairseq_dsl.sampling import Sampler, SamplingConfig, random_numbers_of_worker, unpadded  # noqa: E402

MONOLINGUAL_PARTS = ("sampling", "back-translation")
PARTS = ("training", "marginals", "generation", "memory", *MONOLINGUAL_PARTS)
WARM_UP_UPDATES = 3
NO_LEARNING = ("--lr", "1e-12")  # the models stay as they are
WIDE_BATCHES_OF = 200  # batches of an epoch among which those that take most memory are looked for


def take_turns(sides, turns, cuda):
    """Lets each of `sides` be timed in turn. Returns {name: [(wall, cpu) seconds of each turn]}.

    Each is a function that prepares a turn, outside the time, and returns the function to be timed.
    """
    seconds = {name: [] for name in sides}
    names = list(sides)
    for turn in range(turns):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            run = sides[name]()
            gc.collect()
            if cuda:
                torch.cuda.synchronize()
            wall, cpu, children = time.perf_counter(), time.process_time(), children_seconds()
            run()
            if cuda:
                torch.cuda.synchronize()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            # fairseq's commands make batches in a child, which ends, and whose time is known, when nothing refers to it
            gc.collect()
            seconds[name].append((wall, cpu + children_seconds() - children))
    return seconds


def children_seconds():
    """CPU time of the children of this process that have ended."""
    return sum(os.times()[2:4])


def median_wall(turns):
    return statistics.median(wall for wall, _ in turns)


def ratio(seconds, numerator, denominators, cuda):
    """Returns the medians of both sides of a ratio, and of the ratio itself, as a dictionary."""

    def total(names, clock):
        return [sum(turn) for turn in zip(*([one[clock] for one in seconds[name]] for name in names))]

    result = {}
    for label, clock in (("wall", 0), ("cpu", 1)):
        over, under = total([numerator], clock), total(denominators, clock)
        result[f"{label}_seconds"] = [statistics.median(over), statistics.median(under)]
        result[f"{label}_ratio"] = statistics.median(a / b for a, b in zip(over, under))
        result[f"{label}_ratios"] = [round(a / b, 4) for a, b in zip(over, under)]
    result["ratio"] = result["wall_ratio" if cuda else "cpu_ratio"]
    return result


class Benchmark:
    def __init__(self, args, folder):
        self.args = args
        self.folder = Path(folder)  # for what is written on the way
        self.cuda = torch.cuda.is_available() and not args.cpu
        self.device = torch.device("cuda" if self.cuda else "cpu")
        self.languages = ["-s", args.source_lang, "-t", args.target_lang]
        self.common = ["--user-dir", str(ROOT / "fairseq_dsl"), "--log-format", "none"]
        if args.cpu:
            self.common.append("--cpu")
        if args.fp16:
            self.common.append("--fp16")
        self.training = ["--optimizer", "adam", "--lr", "0.0001", "--max-tokens", str(args.max_tokens), *self.common]

    # ---- what is measured against what

    def stock_trainer(self, name, *more):
        """A trainer of stock fairseq for the "primal" or the "reverse" direction."""
        path, source, target = self.direction(name)
        words = [self.args.data_bin, "--task", "translation", "-s", source, "-t", target, "--arch", "transformer"]
        words += ["--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1", "--clip-norm", "1"]
        cfg = configuration(options.get_training_parser(), [*words, *self.training, *more])
        model, task = self.stock_model(path)  # the architecture is the checkpoint's, whatever --arch says
        task.load_dataset("train")
        return Trainer(cfg, task, model, task.build_criterion(cfg.criterion))

    def stock_sampling(self, name, count):
        """A function that samples `count` translations of a batch, as fairseq-generate does, in one direction."""
        path, source, target = self.direction(name)
        limits = SamplingConfig()
        words = [self.args.data_bin, "--task", "translation", "-s", source, "-t", target, "--path", path, "--sampling"]
        words += ["--beam", str(count), "--max-len-a", str(limits.sample_max_len_a)]
        words += ["--max-len-b", str(limits.sample_max_len_b), *self.common]
        cfg = configuration(options.get_generation_parser(), words)
        model, task = self.stock_model(path)
        model.to(self.device, torch.half if self.args.fp16 else torch.float).prepare_for_inference_(cfg)
        generator = task.build_generator([model], cfg.generation)
        return lambda batch: task.inference_step(generator, [model], batch)

    def stock_model(self, path):
        data = {"data": self.args.data_bin}
        [model], _, task = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides=data)
        return model, task

    def pair_configuration(self, criterion, *more):
        """Training of the pair with a criterion, and flags of its own."""
        args = self.args
        words = [args.data_bin, "--task", "dual_translation", *self.languages, "--per-model-clip-norm", "1"]
        words += ["--arch", "dual_translation"]
        words += ["--primal-checkpoint", args.primal_checkpoint, "--dual-checkpoint", args.dual_checkpoint]
        words += ["--criterion", criterion, "--label-smoothing", "0.1"]
        return configuration(options.get_training_parser(), [*words, *self.training, *more])

    def dsl_configuration(self, cache):
        """Training of the pair with `cache` as the folder of marginals; None is without language models."""
        if cache is None:
            return self.pair_configuration("dsl_cross_entropy", "--dsl-lambda", "0")
        words = ["--dsl-lambda", "0.01", "--marginal-cache", str(self.folder / cache)]
        words += ["--source-lm", self.args.source_lm, "--target-lm", self.args.target_lm]
        return self.pair_configuration("dsl_cross_entropy", *words)

    def dsl_trainer(self, cache="cache"):
        return self.pair_trainer(self.dsl_configuration(cache))

    def back_translation_trainer(self):
        words = ["--source-mono", self.args.source_mono, "--target-mono", self.args.target_mono, "--num-samples", "1"]
        return self.pair_trainer(self.pair_configuration("back_translation_cross_entropy", *words, *NO_LEARNING))

    def pair_trainer(self, cfg):
        """A trainer of the pair that is ready for its first update: with DSL, the marginals are known."""
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model)
        trainer = Trainer(cfg, task, model, task.build_criterion(cfg.criterion))
        trainer.get_train_iterator(epoch=1)
        trainer.begin_epoch(1)
        return trainer

    def direction(self, name):
        """The checkpoint and the languages of the "primal" or the "reverse" direction."""
        args = self.args
        if name == "primal":
            return args.primal_checkpoint, args.source_lang, args.target_lang
        return args.dual_checkpoint, args.target_lang, args.source_lang

    def batches(self, trainer, count):
        """The pairs (their numbers) of `count` batches of a dual trainer, spread over an epoch of mixed lengths."""
        frozen = trainer.get_train_iterator(epoch=1, load_dataset=False).frozen_batches
        return [[int(number) for number in frozen[position * len(frozen) // count]] for position in range(count)]

    # ---- the parts

    def measure_training(self):
        trainers = {name: self.stock_trainer(name) for name in ("primal", "reverse")}
        trainers["dual"] = self.dsl_trainer()
        batches = self.batches(trainers["dual"], self.args.updates)
        for trainer in trainers.values():
            train(trainer, batches[:WARM_UP_UPDATES])
        runs = {name: functools.partial(train, trainer, batches) for name, trainer in trainers.items()}
        seconds = take_turns({name: lambda run=run: run for name, run in runs.items()}, self.args.turns, self.cuda)
        return {
            **ratio(seconds, "dual", ["primal", "reverse"], self.cuda),
            "updates": len(batches),
            "pairs_per_update": sum(map(len, batches)) / len(batches),
        }

    def measure_marginals(self):
        caches = itertools.count()
        pairs = len(self.dsl_trainer("warm").task.dataset("train"))
        evaluations = []
        args = self.args
        for language, path in ((args.source_lang, args.source_lm), (args.target_lang, args.target_lm)):
            folder = f"{args.lm_data_bin}.{language}"
            sentences = len(data_utils.load_indexed_dataset(f"{folder}/train", None))
            if sentences != pairs:
                sys.exit(f"{folder}: {sentences:,} sentences of training; those of the {pairs:,} pairs are wanted")
            words = [folder, "--task", "language_modeling", "--path", path, "--gen-subset", "train"]
            words += ["--sample-break-mode", "eos", "--tokens-per-sample", str(tokens_per_sample(path))]
            words += ["--max-tokens", str(MAX_TOKENS), "--required-batch-size-multiple", "1", *self.common]
            evaluations.append(configuration(options.get_eval_lm_parser(), words))

        def start(cache):
            """A start of training: the data are loaded, and their marginals known."""
            cfg = self.dsl_configuration(cache)
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
        cold = take_turns(cold, self.args.turns, self.cuda)
        warm = {"warm": lambda: start("warm"), "without": lambda: start(None)}
        warm = take_turns(warm, self.args.turns, self.cuda)
        warm_seconds, without_seconds = (median_wall(warm[name]) for name in ("warm", "without"))
        return {
            **ratio(cold, "ours", ["eval-lm"], self.cuda),
            "pairs": pairs,
            "warm_start_seconds": warm_seconds - without_seconds,
        }

    def measure_generation(self):
        source, target = self.args.source_lang, self.args.target_lang
        dual, plain = str(self.folder / "dual.pt"), str(self.folder / "plain.pt")
        trainer = self.dsl_trainer()
        trainer.consolidate_optimizer()
        trainer.save_checkpoint(dual, {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None})
        save_plain(Checkpoint(dual, "--path").direction(f"{source}-{target}"), plain)
        outputs = {}

        def translate(name, task, path):
            words = [self.args.data_bin, "--task", task, *self.languages, "--path", path]
            words += ["--gen-subset", self.args.subset]
            words += ["--beam", "5", "--max-tokens", str(self.args.max_tokens), "--required-batch-size-multiple", "1"]
            words += ["--results-path", str(self.folder / name), *self.common]
            cfg = configuration(options.get_generation_parser(), words)

            def run():
                generate.main(cfg)
                lines = (self.folder / name / f"generate-{self.args.subset}.txt").read_text().split("\n")
                outputs[name] = sorted(line for line in lines if line.startswith("H-"))

            return run

        sides = {
            "dual": functools.partial(translate, "dual", "dual_translation", dual),
            "plain": functools.partial(translate, "plain", "translation", plain),
        }
        seconds = take_turns(sides, self.args.turns, self.cuda)
        return {
            **ratio(seconds, "dual", ["plain"], self.cuda),
            "sentences": len(outputs["plain"]),
            "same_hypotheses": outputs["dual"] == outputs["plain"],
        }

    def measure_memory(self):
        """Each run has a process of its own, and trains on the batches that take most memory."""
        dual = self.dsl_trainer()  # fills the cache
        dataset = dual.task.dataset("train")
        batches = self.batches(dual, WIDE_BATCHES_OF)
        batches.sort(key=lambda numbers: len(numbers) * max(dataset.num_tokens(number) for number in numbers))
        peaks = {}
        for name in ("idle", "primal", "reverse", "dual", "first"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:  # spawned: nothing of this process is in it
                peaks[name] = pool.apply(peak_memory, (self.args, str(self.folder), name, batches[-WARM_UP_UPDATES:]))
        stock = statistics.mean([peaks["primal"]["bytes"], peaks["reverse"]["bytes"]])
        idle = peaks["idle"]["bytes"]
        return {
            "ratio": peaks["dual"]["bytes"] / stock,
            "ratio_above_idle": (peaks["dual"]["bytes"] - idle) / (stock - idle),
            "bytes": {name: peak["bytes"] for name, peak in peaks.items()},
            "language_models_while_training": peaks["first"]["language_models"],
        }

    def measure_sampling(self):
        trainer = self.back_translation_trainer()
        task, pair = trainer.task, trainer.model
        sampler = Sampler(SamplingConfig(num_samples=self.args.num_samples))
        stock = {name: self.stock_sampling(name, self.args.num_samples) for name in ("primal", "reverse")}
        batches = self.monolingual(trainer, self.batches(trainer, self.args.updates))

        def ours(name, batch):
            direction = {"primal": task.direction, "reverse": task.reverse}[name]
            language = task.languages[direction][1]
            dictionary = task.directions[direction].target_dictionary
            return sampler.draw(pair.models[direction], dictionary, batch, task.longest(language)).sentences

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
        sides = {side.__name__: lambda side=side: lambda: run(side, batches) for side in (ours, theirs)}
        seconds = take_turns(sides, self.args.turns, self.cuda)
        texts = [Counter(tuple(sentence.tolist()) for sentence in drawn[name]) for name in sides]
        return {
            **ratio(seconds, "ours", ["theirs"], self.cuda),
            "num_samples": self.args.num_samples,
            "samples": len(drawn["ours"]),
            "same_samples": sum((texts[0] & texts[1]).values()) / len(drawn["ours"]),
        }

    def measure_back_translation(self):
        ours = self.back_translation_trainer()
        stock = {name: self.stock_trainer(name, *NO_LEARNING) for name in ("primal", "reverse")}
        sampling = {name: self.stock_sampling(name, 1) for name in stock}
        batches = self.batches(ours, self.args.updates)
        monolingual = self.monolingual(ours, batches)

        def theirs(count):
            for numbers, sentences in zip(batches[:count], monolingual):
                synthetic = self.synthetic_pairs(sampling, sentences, stock["primal"])
                for name, trainer in stock.items():
                    train(trainer, [numbers], synthetic[name])

        sides = {"ours": functools.partial(train, ours, batches), "theirs": functools.partial(theirs, None)}
        train(ours, batches[:WARM_UP_UPDATES])
        theirs(WARM_UP_UPDATES)
        seconds = take_turns({name: lambda run=run: run for name, run in sides.items()}, self.args.turns, self.cuda)
        return {
            **ratio(seconds, "ours", ["theirs"], self.cuda),
            "updates": len(batches),
            "pairs_per_update": sum(map(len, batches)) / len(batches),
        }

    def monolingual(self, trainer, batches):
        """The sentences that stand beside each of `batches`, by the direction that translates them."""
        dataset = trainer.task.dataset("train")
        found = []
        for numbers in batches:
            sentences = dataset.collater([dataset[number] for number in numbers])["monolingual"]
            sentences = utils.move_to_cuda(sentences) if self.cuda else sentences
            languages = {"primal": self.args.source_lang, "reverse": self.args.target_lang}
            found.append({name: sentences[language] for name, language in languages.items()})
        return found

    def synthetic_pairs(self, sampling, sentences, trainer):
        """Pairs that train a direction, by its name: sentences of its target language, translated by the other one."""
        utils.set_torch_seed(trainer.cfg.common.seed + trainer.get_num_updates())  # as `ours` begins an update
        pairs = {}
        for name, other in (("primal", "reverse"), ("reverse", "primal")):
            with random_numbers_of_worker(0, self.device):
                found = sampling[name](sentences[name])
            targets = unpadded(sentences[name]["net_input"]["src_tokens"], trainer.task.target_dictionary.pad())
            pairs[other] = [
                {"id": number, "source": hypotheses[0]["tokens"].cpu(), "target": target}
                for number, (hypotheses, target) in enumerate(zip(found, targets))
            ]
        return pairs


def configuration(parser, words):
    return convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, input_args=words))


def tokens_per_sample(path):
    return Checkpoint(path, "--source-lm or --target-lm").task["tokens_per_sample"]


def train(trainer, batches, synthetic=None):
    """One update on each of `batches`, with a batch of `synthetic` pairs beside it, and the making of these batches."""
    dataset = trainer.task.dataset("train")
    with metrics.aggregate(new_root=True):
        for numbers in batches:
            parts = [[dataset[number] for number in numbers], *filter(None, [synthetic])]
            trainer.train_step([dataset.collater(pairs) for pairs in parts])


def peak_memory(args, folder, name, batches):
    """Trains on `batches`, and returns the peak memory of this process in bytes: the GPU's if it is used."""
    quiet()
    benchmark = Benchmark(args, folder)
    if name in ("primal", "reverse"):
        train(benchmark.stock_trainer(name), batches)
    elif name != "idle":
        # "first" scores the marginals on its way, "dual" finds them in the cache.
        train(benchmark.dsl_trainer("first" if name == "first" else "cache"), batches)
    language_models = [found for found in gc.get_objects() if issubclass(type(found), FairseqLanguageModel)]
    peak = torch.cuda.max_memory_allocated() if benchmark.cuda else peak_resident()
    return {"bytes": peak, "language_models": len(language_models)}


def quiet():
    """fairseq would write each configuration out, and torch warn of how fairseq calls it."""
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")


def peak_resident():
    """The peak of this process' resident memory. getrusage() is of no use: it begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def table(results):
    """Lays out the ratios as text."""
    lines = [f"{'':16}  {'ratio':>6}  {'ours':>10}  {'stock':>10}"]
    for name in PARTS:
        if name not in results:
            continue
        result = results[name]
        if name == "memory":
            size = result["bytes"]
            ours, stock = (f"{number / 2**20:.0f} MiB" for number in (size["dual"], size["dual"] / result["ratio"]))
        else:
            ours, stock = (f"{seconds:.2f} s" for seconds in result[f"{results['clock']}_seconds"])
        lines.append(f"{name:16}  {result['ratio']:6.3f}  {ours:>10}  {stock:>10}")
    if "marginals" in results:
        marginals = results["marginals"]
        seconds, pairs = marginals["warm_start_seconds"], marginals["pairs"]
        lines.append(f"a start with a warm cache takes {seconds:.2f} s more for the marginals of {pairs:,} pairs")
    if "generation" in results:
        same = "the same" if results["generation"]["same_hypotheses"] else "NOT the same"
        lines.append(f"generation: {same} hypotheses of {results['generation']['sentences']} sentences")
    if "sampling" in results:
        sampling = results["sampling"]
        same, samples = f"{sampling['same_samples']:.1%}", f"{sampling['samples']:,}"
        lines.append(f"sampling: {same} of {samples} samples are the same, {sampling['num_samples']} of each sentence")
    if "memory" in results:
        above = results["memory"]["ratio_above_idle"]
        lines.append(f"memory above that of a process that has only imported fairseq: {above:.3f}")
        lines.append(f"language models in memory while training: {results['memory']['language_models_while_training']}")
    return "\n".join(lines)


def make_parser():
    parser = commandline.Parser(__doc__)
    add = parser.add_argument
    add("--data-bin", required=True, metavar="DIR", help="translation data of fairseq-preprocess")
    add("--lm-data-bin", required=True, metavar="DIR", help="the language models' data: DIR.SOURCE and DIR.TARGET")
    add("-s", "--source-lang", required=True, metavar="LANG", help="source language of the primal direction")
    add("-t", "--target-lang", required=True, metavar="LANG", help="target language of the primal direction")
    add("--primal-checkpoint", required=True, metavar="FILE", help="plain checkpoint, source to target")
    add("--dual-checkpoint", required=True, metavar="FILE", help="plain checkpoint, target to source")
    add("--source-lm", required=True, metavar="FILE", help="language model of the source language")
    add("--target-lm", required=True, metavar="FILE", help="language model of the target language")
    mono = "monolingual text, a folder of fairseq-preprocess --only-source, for sampling and back-translation"
    add("--source-mono", metavar="DIR", help=f"source language's {mono}")
    add("--target-mono", metavar="DIR", help=f"target language's {mono}")
    add("--parts", nargs="+", choices=PARTS, metavar="PART", help="what to measure (default: all that has its data)")
    add("--turns", type=commandline.positive, default=5, help="turns that each side takes (default: %(default)s)")
    add("--updates", type=commandline.positive, default=20,
        help="updates or batches in a turn of a part (default: %(default)s)")
    add("--num-samples", type=commandline.positive, default=5, help="K of sampling (default: %(default)s)")
    add("--max-tokens", type=commandline.positive, default=4096, help="tokens of a batch (default: %(default)s)")
    add("--subset", default="test", help="subset to translate (default: %(default)s)")
    add("--fp16", action="store_true", help="train, score and translate in half precision (default: single)")
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")
    add("--output", type=commandline.output_file, metavar="FILE",
        help="write all that was measured there, as JSON (default: nowhere)")
    return parser


def main():
    parser = make_parser()
    args = parser.parse_args()
    has_text = args.source_mono and args.target_mono
    args.parts = args.parts or [part for part in PARTS if has_text or part not in MONOLINGUAL_PARTS]
    for part in MONOLINGUAL_PARTS:
        if part in args.parts and not has_text:
            parser.error(f"--parts {part}: give --source-mono and --target-mono")
    parser.check("--data-bin", commandline.input_folder, args.data_bin)
    for flag in ("--primal-checkpoint", "--dual-checkpoint", "--source-lm", "--target-lm"):
        parser.check(flag, commandline.input_file, getattr(args, flag[2:].replace("-", "_")))
    for lang in (args.source_lang, args.target_lang) if "marginals" in args.parts else ():
        parser.check("--lm-data-bin", commandline.input_folder, f"{args.lm_data_bin}.{lang}")
    for flag, folder in (("--source-mono", args.source_mono), ("--target-mono", args.target_mono)):
        if folder is not None:
            parser.check(flag, commandline.input_folder, folder)
    quiet()
    cuda = torch.cuda.is_available() and not args.cpu
    results = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "command": shlex.join(["scripts/benchmark.py", *sys.argv[1:]]),
        "clock": "wall" if cuda else "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(args, folder)
        for part in PARTS:
            if part in args.parts:
                print(f"measuring {part}", file=sys.stderr)
                with contextlib.redirect_stdout(sys.stderr):  # what fairseq prints is no result
                    results[part] = getattr(benchmark, f"measure_{part.replace('-', '_')}")()
                if args.output:
                    with written_atomically(args.output, "w") as file:
                        file.write(json.dumps(results, indent=2) + "\n")
    print(f"{results['device']}, torch {results['torch']}, medians of {args.turns} turns")
    print(table(results))


if __name__ == "__main__":
    commandline.run(main)
