"""The task: both directions of one data folder."""

import argparse
import functools
import json
import logging
import math
from typing import Optional, Tuple

import torch
import torch.nn as nn
from fairseq import utils
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationTask
from omegaconf import DictConfig, open_dict

from ..bleu import bleu_sums, check_tokenizer, log_bleu, log_tokenizer
from ..checkpoints import plain
from ..criterions import METHODS
from ..data import PairDataset, Splits, check_data_folders, first_folder, lines_that_fit
from ..directions import Direction, Directions
from ..errors import BadInput
from ..gradients import clip_and_log_gradients
from ..inference import DualInference, ScoreFile, Weights, given
from ..models import NAME, DualTranslationModel, PairBuilder, check_architecture
from ..preflight import add_checks, check_bleu, check_fairseq, check_metric
from ..ranges import check_numbers
from ..swaps import TranslationModels
from ..vocabulary import Dictionaries, load_dictionary
from .config import REFUSED_FLAGS, DualTranslationTaskConfig, mirrored, one_direction, take_mono_weight
from .stages import Learning, Stage, Translating

logger = logging.getLogger(__name__)


@register_task("dual_translation", dataclass=DualTranslationTaskConfig)
class DualTranslationTask(TranslationTask):
    """Translate in both directions: source→target (primal) and target→source (dual).

    The task is a translation task of the active direction, ``--source-lang`` → ``--target-lang``, so that fairseq's
    commands translate that one; its batches carry the other in ``batch["reverse"]``. This class has fairseq's hooks;
    what they do is the work of the parts that it wires.

    Attributes:
        tasks: fairseq's translation task of each direction.
        stage: what the data are for; `Translating` until a criterion is built.
    """

    cfg: DualTranslationTaskConfig
    stage: Stage

    def __init__(self, cfg: DualTranslationTaskConfig, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        active = Direction(cfg.source_lang, cfg.target_lang)
        # until a pair is read whose primal direction is the other one
        self.directions = Directions(primal=active, active=active)
        self.tasks = {
            active: TranslationTask(one_direction(cfg), src_dict, tgt_dict),
            active.reversed: TranslationTask(mirrored(one_direction(cfg)), tgt_dict, src_dict),
        }
        self.dictionaries = {cfg.source_lang: src_dict, cfg.target_lang: tgt_dict}
        self.builder = PairBuilder(self.tasks, self.dictionaries)
        self.splits = Splits(self.tasks[active])
        self.stage = Translating(cfg, self.splits, self.dictionaries)
        self.model_max_positions: Optional[Tuple[int, int]] = None
        self._started_from: Optional[TranslationModels] = None
        self._pair: Optional[DualTranslationModel] = None  # the one that is trained, or was built last
        self._lines_read = 0  # by fairseq-interactive

    @classmethod
    def add_args(cls, parser):
        super().add_args(parser)

        def architecture(name):
            # Here, because fairseq fails on a language model's configuration before it sets up the task.
            try:
                return name if name == NAME else check_architecture(name, "--arch")
            except BadInput as error:
                raise argparse.ArgumentTypeError(str(error)) from error

        for action in parser._actions:
            # only that of fairseq-train, which has choices: fairseq-generate's is unused and stands at wav2vec2
            if action.dest == "arch" and action.choices is not None:
                action.type = architecture
                add_checks(parser)
            elif action.dest == "lm_weight" and action.default == 0:  # of fairseq-generate, for its --lm-path
                action.default = math.nan
                action.help += "; with --reverse-weight, that of dual inference"

    @classmethod
    def setup_task(cls, cfg: DualTranslationTaskConfig, **kwargs):
        for name, reason in REFUSED_FLAGS.items():
            if getattr(cfg, name):
                raise BadInput(f"--{name.replace('_', '-')}: not for --task dual_translation: {reason}")
        cfg.lm_weight = given(cfg.lm_weight)
        if not kwargs.get("from_checkpoint"):  # whose flags were checked when it was trained
            check_numbers(cfg)
            check_fairseq(cfg)
            if cfg.eval_bleu:
                check_bleu(cfg)
        check_data_folders(cfg)
        return super().setup_task(cfg, **kwargs)

    @classmethod
    def load_dictionary(cls, filename):
        return load_dictionary(filename)

    # ---- the pair, and the criterion

    def build_model(self, cfg, from_checkpoint=False):
        """Build the pair, or restore it from the configuration of its checkpoint.

        Both models' configurations are written into `cfg`, which is what a checkpoint stores: it is self-contained.
        """
        active = self.directions.active
        pair = plain(getattr(cfg, "pair", None))
        if pair:
            if str(active) not in pair:
                raise BadInput(
                    f"--source-lang {active.source} --target-lang {active.target}: "
                    f"the checkpoint has the directions {' and '.join(pair)}"
                )
            models = self.builder.restore(pair)
            self.directions = Directions(primal=next(iter(models)), active=active)
        elif from_checkpoint:
            raise BadInput(
                "--task dual_translation: the checkpoint is of a single model; translate with --task translation, make "
                "a pair of it and one of the reverse direction with fairseq-dsl join, or train one from it with "
                "--primal-checkpoint or --dual-checkpoint"
            )
        else:
            models, pair, self._started_from = self.builder.build(cfg, self.directions)
            if isinstance(cfg, DictConfig):
                with open_dict(cfg):
                    cfg.pair = pair
            else:
                cfg.pair = pair
        model = DualTranslationModel(models, active, Dictionaries(self.dictionaries, first_folder(self.cfg)))
        self._stored_weights = {direction: Weights.stored(cfg, direction) for direction in self.directions}
        weights = Weights.of_flags(self.cfg).or_else(self._stored_weights[active])
        model.keeps_reverse = bool(weights.reverse or self.cfg.dump_scores)
        if from_checkpoint and model.keeps_reverse:
            self.inference.weights(active)  # what it lacks is said before the data are loaded
        self.model_max_positions = model.max_positions()
        self._pair = model
        return model

    def build_criterion(self, cfg, *args, **kwargs):
        name = getattr(cfg, "_name", None)
        if name not in METHODS:
            known = name in CRITERION_REGISTRY
            what = f"would train {self.directions.active} alone" if known else "not the name of a criterion"
            raise BadInput(f"--criterion {name}: {what}; with --task dual_translation use {' or '.join(METHODS)}")
        check_tokenizer(self.cfg.eval_bleu_tokenize, self.cfg.eval_tokenized_bleu)
        if self.cfg.eval_bleu:
            for task in self.tasks.values():
                log_tokenizer(task)
        if METHODS[name].reads_monolingual:
            take_mono_weight(cfg, self.cfg)
        limits = utils.resolve_max_positions(self.max_positions(), self.model_max_positions)
        learning = Learning(
            self.cfg, self.directions, self.splits, self.builder, limits, self._started_from, METHODS[name]
        )
        self.resources = learning.resources(name)
        self.__dict__.pop("inference", None)  # with the language models of this stage from now on
        learning.criterion = super().build_criterion(cfg, *args, **kwargs)
        if self._pair is not None:  # now: an optimizer is made of its parameters next, and a checkpoint is read
            self._pair.critics = nn.ModuleDict(learning.criterion.build_critics())
        self.stage = learning
        if self.cfg.eval_bleu:
            for direction in self.directions:
                self.inference.weights(direction)  # what it lacks is said before the first validation
        unused = [flag for flag, _ in learning.monolingual_folders.values()]
        if unused and not METHODS[name].reads_monolingual:
            logger.warning(f"{' and '.join(unused)}: not used, --criterion {name} learns from parallel data alone")
        if self._started_from is not None:  # else its flags were checked when it was trained
            check_metric(self, learning.criterion, gaps=bool(learning.marginals))
        return learning.criterion

    # ---- data

    def load_dataset(self, split, epoch=1, combine=False, **kwargs):
        """Load a split as a `PairDataset`."""
        self.datasets[split] = self.stage.load(split, (epoch - 1) % self.splits.shards(split), combine)

    def get_batch_iterator(self, dataset, *args, **kwargs):
        if not isinstance(dataset, PairDataset):  # lines to translate
            with lines_that_fit(dataset, kwargs.get("max_tokens"), self._lines_before(dataset)):
                return super().get_batch_iterator(dataset, *args, **kwargs)
        dataset.order_seed = kwargs.get("seed", 1) + 1
        batches = super().get_batch_iterator(dataset, *args, **kwargs)
        if dataset.monolingual:
            # fairseq's main branch keeps the loading processes, which would not see that a new epoch has begun
            batches.reuse_dataloader = False
        return batches

    def filter_indices_by_size(self, indices, dataset, max_positions=None, ignore_invalid_inputs=False):
        return self.stage.keep(indices, dataset, max_positions, ignore_invalid_inputs, self._lines_before(dataset))

    def get_interactive_tokens_and_lengths(self, lines, encode_fn):
        self._lines_read += len(lines)  # a data set is made of each buffer of lines, and counts them from 0
        return super().get_interactive_tokens_and_lengths(lines, encode_fn)

    def _lines_before(self, dataset) -> int:
        """How many lines of fairseq-interactive's input stand before a data set, which is a buffer of them."""
        return max(self._lines_read - len(dataset), 0)

    # ---- training and validation

    def begin_epoch(self, epoch, model):
        super().begin_epoch(epoch, model)
        self.stage.begin_epoch(model)

    def optimizer_step(self, optimizer, model, update_num):
        clip_and_log_gradients(optimizer, model.parts, self.cfg.per_model_clip_norm)
        super().optimizer_step(optimizer, model, update_num)

    def valid_step(self, sample, model, criterion):
        model.eval()
        with torch.no_grad():
            loss, sample_size, logging_output = criterion(model, sample)
        if self.cfg.eval_bleu:
            for direction, batch in self.directions.of(sample).items():
                task, translator = self.tasks[direction], model.models[str(direction)]
                # Made anew, as a generator translates with the model that it was made for, whichever it is given.
                flags = argparse.Namespace(**json.loads(self.cfg.eval_bleu_args))
                reverse = model.models[str(direction.reversed)]
                generator = task.build_generator([translator], flags)
                generator = self.inference.generator(generator, direction, [reverse], self.cfg.max_tokens)
                bleu = task._inference_with_bleu(generator, batch, translator)
                logging_output.update(bleu_sums(bleu, direction))
        return loss, sample_size, logging_output

    def reduce_metrics(self, logging_outputs, criterion):
        super(TranslationTask, self).reduce_metrics(logging_outputs, criterion)
        if self.cfg.eval_bleu:
            log_bleu(logging_outputs, self.directions)

    # ---- inference: fairseq's generators see the active direction's model itself

    @functools.cached_property
    def inference(self) -> DualInference:
        marginals = self.stage.marginals_for(self.directions.active.target, self.directions)
        return DualInference(
            self.cfg, self.directions, self.dictionaries, marginals, self._stored_weights, self.stage.marginals_checked
        )

    def build_generator(self, models, args, *others, **kwargs):
        fusion = kwargs.get("extra_gen_cls_kwargs") or {}
        if "lm_weight" in fusion:
            kwargs["extra_gen_cls_kwargs"] = {**fusion, "lm_weight": given(fusion["lm_weight"]) or 0.0}
        generator = super().build_generator(self._active(models), args, *others, **kwargs)
        reverse = str(self.directions.active.reversed)
        reverse_models = [pair.models[reverse] for pair in models if getattr(pair, "keeps_reverse", False)]
        if not reverse_models:
            return generator
        if len(reverse_models) < len(models):
            raise BadInput(
                "--path: some of the ensemble's checkpoints store weights of dual inference, and others none; give "
                "--reverse-weight"
            )
        if getattr(args, "score_reference", False):
            for flag in ("reverse_weight", "dump_scores"):
                if getattr(self.cfg, flag):
                    name = f"--{flag.replace('_', '-')} {getattr(self.cfg, flag)}"
                    raise BadInput(f"{name}: has no effect with --score-reference, which translates nothing")
            return generator
        dump = ScoreFile(self.cfg.dump_scores, self.directions.active, self._text()) if self.cfg.dump_scores else None
        return self.inference.generator(generator, self.directions.active, reverse_models, self.cfg.max_tokens, dump)

    def _text(self):
        """What a translation reads, as the D lines of fairseq-generate have it."""
        root = self.cfg._get_parent()
        decoders = [decoder for decoder in (self.build_bpe(root.bpe), self.build_tokenizer(root.tokenizer)) if decoder]

        def text(tokens):
            found = self.target_dictionary.string(tokens, root.common_eval.post_process)
            for decoder in decoders:
                found = decoder.decode(found)
            return found

        return text

    def inference_step(self, generator, models, *args, **kwargs):
        return super().inference_step(generator, self._active(models), *args, **kwargs)

    def _active(self, models):
        active = str(self.directions.active)
        return [model.models[active] if isinstance(model, DualTranslationModel) else model for model in models]
