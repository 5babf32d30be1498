"""What is measured against what: trainers and generators of the pair, and those of stock fairseq."""

import argparse
import logging
import warnings
from pathlib import Path

import torch
from fairseq import checkpoint_utils, options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics
from fairseq.trainer import Trainer

import fairseq_dsl
from fairseq_dsl.sampling import SamplingConfig, random_numbers_of_worker, unpadded

NO_LEARNING = ("--lr", "1e-12")  # the models stay as they are


class Bench:
    """Makes both sides of the ratios, as one command line says.

    Args:
        args: the parsed arguments of the command.
        folder: where what is written on the way stands.
    """

    def __init__(self, args, folder):
        self.args = args
        self.folder = Path(folder)
        self.cuda = torch.cuda.is_available() and not args.cpu
        self.device = torch.device("cuda" if self.cuda else "cpu")
        self.languages = ["-s", args.source_lang, "-t", args.target_lang]
        self.common = ["--user-dir", fairseq_dsl.__path__[0], "--log-format", "none"]
        if args.cpu:
            self.common.append("--cpu")
        if args.fp16:
            self.common.append("--fp16")
        self.training = ["--optimizer", "adam", "--lr", "0.0001", "--max-tokens", str(args.max_tokens), *self.common]

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

    def pair_words(self, criterion, *more):
        """The arguments of fairseq-train for a training of the pair with a criterion, and flags of its own."""
        args = self.args
        words = [args.data_bin, "--task", "dual_translation", *self.languages, "--per-model-clip-norm", "1"]
        words += ["--arch", "dual_translation"]
        words += ["--primal-checkpoint", args.primal_checkpoint, "--dual-checkpoint", args.dual_checkpoint]
        words += ["--criterion", criterion, "--label-smoothing", "0.1"]
        return [*words, *self.training, *more]

    def dsl_words(self, cache):
        """Those of DSL with `cache` as the folder of marginals; None is without language models."""
        if cache is None:
            return self.pair_words("dsl_cross_entropy", "--dsl-lambda", "0")
        words = ["--dsl-lambda", "0.01", "--marginal-cache", str(self.folder / cache)]
        words += ["--source-lm", self.args.source_lm, "--target-lm", self.args.target_lm]
        return self.pair_words("dsl_cross_entropy", *words)

    def dsl_configuration(self, cache):
        return configuration(options.get_training_parser(), self.dsl_words(cache))

    def dsl_trainer(self, cache="cache"):
        return self.pair_trainer(self.dsl_words(cache))

    def back_translation_trainer(self):
        words = ["--source-mono", self.args.source_mono, "--target-mono", self.args.target_mono, "--num-samples", "1"]
        return self.pair_trainer(self.pair_words("back_translation_cross_entropy", *words, *NO_LEARNING))

    def pair_trainer(self, words):
        """A trainer of the pair that is ready for its first update: with DSL, the marginals are known."""
        cfg = configuration(options.get_training_parser(), words)
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model)
        trainer = Trainer(cfg, task, model, task.build_criterion(cfg.criterion))
        trainer.get_train_iterator(epoch=1)
        trainer.begin_epoch(1)
        return trainer

    def pair_checkpoint(self):
        """The path of a checkpoint of the pair."""
        path, trainer = str(self.folder / "dual.pt"), self.dsl_trainer()
        trainer.consolidate_optimizer()
        trainer.save_checkpoint(path, {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None})
        return path

    def reranking(self, beam):
        """Batches to translate, what finds their hypotheses, and the `Reranker` of dual inference, ready to score."""
        args = self.args
        flags = {"reverse_weight": 0.5, "lm_weight": 1.0, "source_lm": None, "target_lm": args.target_lm}
        overrides = {"data": args.data_bin, **flags}
        models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([self.pair_checkpoint()], overrides)
        for model in models:
            model.prepare_for_inference_(cfg)
            if self.cuda:
                model.cuda()
        task.load_dataset(args.subset)
        data = task.dataset(args.subset)
        rows = data.batch_by_size(data.ordered_indices(), max_tokens=args.max_tokens, required_batch_size_multiple=1)
        batches = [data.collater([data[int(i)] for i in numbers]) for numbers in rows[:: -(-len(rows) // args.updates)]]
        if self.cuda:
            batches = [utils.move_to_cuda(batch) for batch in batches]
        generator = task.build_generator(models, argparse.Namespace(beam=beam))
        active = [model.models[model.active] for model in models]
        generator.reranker.score(
            batches[0], generator.generator.generate(active, batches[0])
        )  # loads the language model
        return batches, lambda batch: generator.generator.generate(active, batch), generator.reranker

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


def train(trainer, batches, synthetic=None):
    """One update on each of `batches`, with a batch of `synthetic` pairs beside it, and the making of these batches."""
    dataset = trainer.task.dataset("train")
    with metrics.aggregate(new_root=True):
        for numbers in batches:
            parts = [[dataset[number] for number in numbers], *filter(None, [synthetic])]
            trainer.train_step([dataset.collater(pairs) for pairs in parts])


def quiet():
    """fairseq would write each configuration out, and torch warn of how fairseq calls it."""
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
