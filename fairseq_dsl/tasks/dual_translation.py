"""The task: both directions of one data folder."""

import argparse
import copy
import json
import logging
import os
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Set, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.logging import progress_bar
from fairseq.tasks import register_task
from fairseq.tasks.online_backtranslation import PiecewiseLinearFn
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import II, DictConfig, open_dict

from ..bleu import bleu_sums, check_tokenizer, log_bleu, log_tokenizer
from ..checkpoints import Checkpoint, build_config, languages_of, plain, without_files
from ..criterions import PAIR_CRITERIONS
from ..data import (
    DualDataset,
    MonolingualData,
    check_data_folders,
    check_pairs,
    files_of_side,
    first_folder,
    leave_out_too_long,
)
from ..errors import BadInput, advice_on_memory
from ..gradients import clip_and_log_gradients
from ..marginals import Marginals, ScoreCache, Side, data_parallel_workers
from ..models import DualTranslationModel
from ..models.dual_translation import NAME as DUAL_TRANSLATION
from ..models.dual_translation import Architecture, architectures, check_architecture
from ..models.trial import failures_of, require_translation_model
from ..preflight import add_checks, check_bleu, check_fairseq, check_metric
from ..ranges import WEIGHT, Range, check_numbers, number
from ..swaps import TranslationModels
from ..vocabulary import Dictionaries, load_dictionary

logger = logging.getLogger(__name__)

GAP_REPORT_PAIRS = 500  # of the training data, for the gap's quantiles before the first update

# Flags of the translation task that change one side of a pair, or that have no meaning for both directions.
REFUSED_FLAGS = {
    "load_alignments": "alignments are of one direction",
    "truncate_source": "a cut source is no target of the other direction; filter with --max-source-positions",
    "num_batch_buckets": "buckets are of one direction's batches",
}


@dataclass
class DirectionConfig(TranslationConfig):
    """What the task of each direction takes beside fairseq's own flags."""

    eval_bleu_tokenize: Optional[str] = field(
        default=None,
        metadata={
            "help": "sacrebleu's tokenizer for validation's BLEU and the risk of minimum_risk, in both directions "
            "(default: by target language: zh for Chinese, char for others without spaces, else 13a)"
        },
    )


@dataclass
class DualTranslationTaskConfig(DirectionConfig):
    source_lm: Optional[str] = field(
        default=None,
        metadata={"help": "language model of the source language: a checkpoint of --task language_modeling"},
    )
    target_lm: Optional[str] = field(
        default=None,
        metadata={"help": "language model of the target language: a checkpoint of --task language_modeling"},
    )
    marginal_cache: Optional[str] = field(
        default=None,
        metadata={"help": "folder for the language models' scores (default: marginal-cache in the first data folder)"},
    )
    per_model_clip_norm: float = number(
        0.0, WEIGHT, "clip the gradient norm of each of the two models at this value, on its own; 0 does not"
    )
    source_mono: Optional[str] = field(
        default=None,
        metadata={
            "help": "monolingual text of the source language: a folder of fairseq-preprocess --only-source with the "
            "translation dictionary; its train split stands beside the training pairs"
        },
    )
    target_mono: Optional[str] = field(
        default=None, metadata={"help": "monolingual text of the target language, in the same way"}
    )
    mono_ratio: float = number(
        1.0,
        Range(1e-6, 1000, "a number above 0 (from 1e-06 to 1000)"),
        "how many monolingual sentences of each language stand beside each pair",
    )
    mono_weight: str = field(
        default="1",
        metadata={"help": "weight of the monolingual part; may follow the updates, piecewise linear: 0:0,1000:0.5,5000:1"},
    )
    # values of other parts of the configuration, used while scoring
    cpu: bool = II("common.cpu")
    log_format: Optional[str] = II("common.log_format")
    log_interval: int = II("common.log_interval")
    no_progress_bar: bool = II("common.no_progress_bar")
    seed: int = II("common.seed")


@register_task("dual_translation", dataclass=DualTranslationTaskConfig)
class DualTranslationTask(TranslationTask):
    """Translate in both directions: source→target (primal) and target→source (dual).

    The task is a translation task of the direction ``--source-lang`` → ``--target-lang``, so that fairseq's commands
    translate that one; its batches carry the other in ``batch["dual"]``. All that belongs to a direction is keyed by
    its language pair, such as ``de-en``.
    """

    cfg: DualTranslationTaskConfig

    def __init__(self, cfg: DualTranslationTaskConfig, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        self.direction = f"{cfg.source_lang}-{cfg.target_lang}"
        self.reverse = f"{cfg.target_lang}-{cfg.source_lang}"
        self.directions = {
            self.direction: TranslationTask(one_direction(cfg), src_dict, tgt_dict),
            self.reverse: TranslationTask(mirrored(one_direction(cfg)), tgt_dict, src_dict),
        }
        # In the order of training, which -s and -t of a later command may not follow.
        self.primal, self.dual = self.direction, self.reverse
        self.languages = {
            self.direction: (cfg.source_lang, cfg.target_lang),
            self.reverse: (cfg.target_lang, cfg.source_lang),
        }
        self.dictionaries = {cfg.source_lang: src_dict, cfg.target_lang: tgt_dict}
        self.mono_weight = mono_weight_schedule(cfg.mono_weight)
        self.model_max_positions = None
        self._restored = False
        self._warm_starts: Optional[TranslationModels] = None
        self._proposals: Optional[Tuple[TranslationModels, Dict[str, torch.nn.Module]]] = None
        self._lines_read = 0  # by fairseq-interactive
        self.criterion = None
        self.marginals: Optional[Marginals] = None
        self._monolingual: Optional[Dict[str, MonolingualData]] = None  # by language
        self._scores: Dict[Tuple[str, int], Dict[str, np.ndarray]] = {}  # by split and shard
        self._checked: Set[Tuple[str, int]] = set()  # splits and shards

    @classmethod
    def add_args(cls, parser):
        super().add_args(parser)

        def architecture(name):
            # Here, because fairseq fails on a language model's configuration before it sets up the task.
            try:
                return name if name == DUAL_TRANSLATION else check_architecture(name, "--arch")
            except BadInput as error:
                raise argparse.ArgumentTypeError(str(error)) from error

        for action in parser._actions:
            # only that of fairseq-train, which has choices: fairseq-generate's is unused and stands at wav2vec2
            if action.dest == "arch" and action.choices is not None:
                action.type = architecture
                add_checks(parser)

    @classmethod
    def setup_task(cls, cfg: DualTranslationTaskConfig, **kwargs):
        for name, reason in REFUSED_FLAGS.items():
            if getattr(cfg, name):
                raise BadInput(f"--{name.replace('_', '-')}: not for --task dual_translation: {reason}")
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

    # ---- models

    def build_model(self, cfg, from_checkpoint=False):
        """Build the pair, or restore it from a dual checkpoint's configuration.

        Both sub-models' configurations are written into `cfg`, which is what a checkpoint stores: it is self-contained.
        """
        self._restored = from_checkpoint
        pair = plain(getattr(cfg, "pair", None))
        if pair:
            if self.direction not in pair:
                raise BadInput(
                    f"--source-lang {self.cfg.source_lang} --target-lang {self.cfg.target_lang}: "
                    f"the checkpoint has the directions {' and '.join(pair)}"
                )
            self.primal, self.dual = pair
            models = {
                direction: self.directions[direction].build_model(build_config(pair[direction]), from_checkpoint=True)
                for direction in pair
            }
        elif from_checkpoint:
            raise BadInput(
                "--task dual_translation: the checkpoint is of a single model; translate with --task translation, "
                "or train a pair from it with --primal-checkpoint or --dual-checkpoint"
            )
        else:
            found = architectures(cfg, {key: task.cfg for key, task in self.directions.items()})
            self._warm_starts = self._read_from({key: part.warm_start for key, part in found.items()})
            models = {direction: self._build_direction(direction, found[direction]) for direction in found}
            pair = {direction: architecture.cfg for direction, architecture in found.items()}
            if isinstance(cfg, DictConfig):
                with open_dict(cfg):
                    cfg.pair = pair
            else:
                cfg.pair = pair
        model = DualTranslationModel(models, self.direction, Dictionaries(self.dictionaries, first_folder(self.cfg)))
        self.model_max_positions = model.max_positions()
        return model

    def _read_from(self, starts: Dict[str, Optional[Checkpoint]]) -> TranslationModels:
        return TranslationModels(starts, self.languages, self.dictionaries)

    def _build_direction(self, direction, architecture):
        task, start = self.directions[direction], architecture.warm_start
        if start is not None:
            source, target = languages_of(direction, self.directions)
            for rows, dictionary, language in (
                ("encoder.embed_tokens.weight", task.source_dictionary, source),
                ("decoder.embed_tokens.weight", task.target_dictionary, target),
            ):
                start.check_vocabulary(dictionary, rows, language, f"dict.{language}.txt")
        config = build_config(architecture.cfg)
        with failures_of(architecture.name):
            model = task.build_model(config, from_checkpoint=start is not None)
        require_translation_model(model, task.source_dictionary, task.target_dictionary, architecture.name)
        # Stored with what the model's own `build_model` wrote there, as fairseq does: its release 0.12.2 wants to find
        # a transformer's max_source_positions in an exported checkpoint.
        architecture.cfg = without_files(plain(config))
        if start is not None:
            try:
                model.load_state_dict(start.parameters, strict=True)
            except RuntimeError as error:
                raise BadInput(f"{start.name}: its parameters do not fit its architecture: {error}") from error
            logger.info(f"{direction}: started from {start.path}")
        return model

    def build_criterion(self, cfg, *args, **kwargs):
        name = getattr(cfg, "_name", None)
        if CRITERION_REGISTRY.get(name) not in PAIR_CRITERIONS.values():
            raise BadInput(
                f"--criterion {name}: would train {self.direction} alone; "
                f"with --task dual_translation use {' or '.join(PAIR_CRITERIONS)}"
            )
        check_tokenizer(self.cfg.eval_bleu_tokenize, self.cfg.eval_tokenized_bleu)
        if self.cfg.eval_bleu:
            for task in self.directions.values():
                log_tokenizer(task)
        self.marginals = self._build_marginals()
        self.criterion = super().build_criterion(cfg, *args, **kwargs)
        if not self._restored:
            check_metric(self, self.criterion)
        if self.monolingual_folders() and not self.criterion.monolingual:
            logger.warning(
                f"{' and '.join(self.monolingual_folders())}: not used, --criterion {name} learns from parallel data alone"
            )
        return self.criterion

    def build_proposals(self, path: str) -> Dict[str, torch.nn.Module]:
        """The frozen pair that samples are drawn from, by direction.

        Args:
            path: a dual checkpoint, or two plain ones, PRIMAL:DUAL.
        """
        paths = path.split(os.pathsep)
        if len(paths) > 2:
            raise BadInput(f"--proposal-checkpoint {path}: one dual checkpoint is wanted, or two plain ones, PRIMAL:DUAL")
        models, starts = {}, {}
        for direction, reverse, file in ((self.primal, self.dual, paths[0]), (self.dual, self.primal, paths[-1])):
            if models and len(paths) == 1 and not Checkpoint(path, "--proposal-checkpoint").pair:
                raise BadInput(
                    f"--proposal-checkpoint {path}: translates {reverse}; give it with one that translates {direction}, "
                    "PRIMAL:DUAL, or a dual checkpoint"
                )
            architecture = Architecture.from_checkpoint(file, "proposal", direction, reverse)
            starts[direction] = architecture.warm_start
            models[direction] = self._build_direction(direction, architecture).eval().requires_grad_(False)
            limits = dict(zip(self.languages[direction], models[direction].max_positions()))
            for language, limit in limits.items():
                if limit < self.longest(language):
                    raise BadInput(
                        f"--proposal-checkpoint {file}: takes {language} sentences of at most {limit} tokens, and the "
                        f"pair's models {self.longest(language)}; filter with --max-source-positions and "
                        "--max-target-positions"
                    )
        self._proposals = (self._read_from(starts), models)
        return models

    def _build_marginals(self) -> Optional[Marginals]:
        given = {"--source-lm": self.cfg.source_lm, "--target-lm": self.cfg.target_lm}
        if not any(given.values()):
            return None
        for flag, path in given.items():
            if not path:
                other = next(name for name, value in given.items() if value)
                raise BadInput(f"{flag} is missing: the duality gap takes both language models, {other} alone is given")
        # The flags are of the languages of training: -s en -t de may validate a de-en pair.
        languages = languages_of(self.primal, self.directions)
        cuda = torch.cuda.is_available() and not self.cfg.cpu
        return Marginals(
            paths=dict(zip(languages, given.values())),
            flags=dict(zip(languages, given)),
            dictionaries=self.dictionaries,
            cache=ScoreCache(self.cfg.marginal_cache or os.path.join(first_folder(self.cfg), "marginal-cache")),
            device=torch.device("cuda") if cuda else torch.device("cpu"),
            progress=self._progress,
        )

    def _progress(self, batches: List, label: str):
        hidden = self.cfg.no_progress_bar or data_parallel_workers()[1] != 0
        return progress_bar.progress_bar(
            batches,
            log_format="none" if hidden else self.cfg.log_format,
            log_interval=self.cfg.log_interval,
            prefix=label,
        )

    # ---- data

    def load_dataset(self, split, epoch=1, combine=False, **kwargs):
        """Load a split as a `DualDataset`; with language models, after scoring it, all shards of training at once."""
        shards = len(utils.split_paths(self.cfg.data)) if split == self.cfg.train_subset else 1
        shard = (epoch - 1) % shards
        dataset = self._load_pairs(split, shard, combine)
        if split == self.cfg.train_subset and getattr(self.criterion, "monolingual", False):
            self.criterion.prepare()
            dataset.monolingual = self._load_monolingual(dataset, combine)
        if self.marginals is not None:
            for other in range(shards):
                if (split, other) not in self._scores:
                    pairs = dataset if other == shard else self._load_pairs(split, other, combine)
                    self._scores[split, other] = self._score(pairs, split, other, combine)
            dataset.log_marginals = self._scores[split, shard]
        self.datasets[split] = dataset

    def _load_pairs(self, split: str, shard: int, combine: bool) -> DualDataset:
        self._check_pairs(split, shard, combine)
        try:
            super().load_dataset(split, epoch=shard + 1, combine=combine)
        except FileNotFoundError:
            raise BadInput(
                f"{utils.split_paths(self.cfg.data)[shard]}: has no split {split} of {self.direction} or {self.reverse}"
            ) from None
        dataset = DualDataset(self.datasets.pop(split))
        if self.criterion is not None and dataset.tgt is None:
            raise BadInput(f"{first_folder(self.cfg)}: the split {split} has no {self.cfg.target_lang} side")
        return dataset

    def _check_pairs(self, split: str, shard: int, combine: bool):
        """Once for each split and shard; all shards of training together, before any is trained on."""
        folders = utils.split_paths(self.cfg.data)
        for other in range(len(folders)) if split == self.cfg.train_subset else [shard]:
            if (split, other) not in self._checked:
                sides = {self.cfg.source_lang: self.src_dict, self.cfg.target_lang: self.tgt_dict}
                check_pairs(folders[other], split, self.directions, sides, combine, self.cfg.dataset_impl)
                self._checked.add((split, other))

    def _score(self, dataset: DualDataset, split: str, shard: int, combine: bool) -> Dict[str, np.ndarray]:
        wanted = self._wanted(dataset)
        folder = utils.split_paths(self.cfg.data)[shard]

        def side(language, sentences, sizes):
            files = files_of_side(folder, split, self.directions, language, combine)
            return Side(language, sentences, sizes, files, wanted)

        return self.marginals.scores(
            side(self.cfg.source_lang, dataset.src, dataset.src_sizes),
            side(self.cfg.target_lang, dataset.tgt, dataset.tgt_sizes),
        )

    def _all_shards(self, split: str, combine: bool) -> List[DualDataset]:
        return [self._load_pairs(split, shard, combine) for shard in range(len(utils.split_paths(self.cfg.data)))]

    def _wanted(self, dataset: DualDataset) -> np.ndarray:
        """The pairs that are not empty, nor too long for the models."""
        wanted = np.arange(len(dataset))
        wanted = wanted[~dataset.empty_pairs(wanted)]
        return dataset.filter_indices_by_size(wanted, self._limits())[0]

    def monolingual_folders(self) -> Dict[str, str]:
        """The folders of monolingual text that are given, by flag."""
        given = {"--source-mono": self.cfg.source_mono, "--target-mono": self.cfg.target_mono}
        return {flag: folder for flag, folder in given.items() if folder}

    def _load_monolingual(self, pairs: DualDataset, combine: bool) -> Dict[str, MonolingualData]:
        """The monolingual text by language; loaded once for all shards of the parallel data."""
        if self._monolingual is None:
            self._monolingual = {}
            flags = dict(zip(("--source-mono", "--target-mono"), self.languages[self.primal]))
            sides = {self.cfg.source_lang: pairs.src, self.cfg.target_lang: pairs.tgt}
            shards = []
            if len(utils.split_paths(self.cfg.data)) > 1:
                shards = [len(self._wanted(shard)) for shard in self._all_shards(self.cfg.train_subset, combine)]
            for flag, folder in self.monolingual_folders().items():
                language = flags[flag]
                limit, seed = self.longest(language), self.cfg.seed
                data = MonolingualData(
                    folder, flag, language, self.dictionaries[language], limit, self.cfg.mono_ratio, seed, shards
                )
                for what, count in data.left_out.items():
                    if count:
                        logger.warning(f"{data.name}: {count:,} {what} sentences of {len(data.sentences):,} are skipped")
                if self.src_dict.symbols == self.tgt_dict.symbols:
                    other = next(name for name in sides if name != language)
                    data.refuse_other_language(sides[language], sides[other], other)
                self._monolingual[language] = data
        return self._monolingual

    def longest(self, language: str) -> int:
        """The longest sentence, in tokens, that all models and language models take, and the flags allow."""
        limit = dict(zip((self.cfg.source_lang, self.cfg.target_lang), self._limits()))[language]
        if self.criterion.keeps_language_models and self.marginals is not None:
            limit = min(limit, self.marginals.model(language).max_positions)
        return int(limit)

    def get_batch_iterator(self, dataset, *args, **kwargs):
        if not isinstance(dataset, DualDataset):  # lines to translate
            try:
                return super().get_batch_iterator(dataset, *args, **kwargs)
            except AssertionError as error:  # fairseq's, which names no flag
                limit, sizes = kwargs.get("max_tokens"), np.asarray(dataset.src_sizes)
                too_long = np.flatnonzero(sizes > limit) if limit is not None else []
                if not len(too_long):
                    raise
                first = int(too_long[0])
                number = self._lines_before(dataset) + first
                raise BadInput(
                    f"--max-tokens {limit}: expected room for every line, found {sizes[first]:,} tokens in line {number + 1} "
                    f"of the input (sentence {number}); raise it to {sizes.max()} or more, or leave it out"
                ) from error
        dataset.order_seed = kwargs.get("seed", 1) + 1
        batches = super().get_batch_iterator(dataset, *args, **kwargs)
        if dataset.monolingual:
            # fairseq's main branch keeps the loading processes, which would not see that a new epoch has begun
            batches.reuse_dataloader = False
        return batches

    def _lines_before(self, dataset) -> int:
        """How many lines of fairseq-interactive's input stand before a data set, which is a buffer of them."""
        return max(self._lines_read - len(dataset), 0)

    def filter_indices_by_size(self, indices, dataset, max_positions=None, ignore_invalid_inputs=False):
        """In training and validation, skip pairs with an empty or a too long side, and say how many.

        Generation keeps every sentence that is short enough, and names the others.
        """
        if self.criterion is None:
            lines_before = self._lines_before(dataset)
            kept = leave_out_too_long(indices, dataset, max_positions, ignore_invalid_inputs, lines_before)
            if not len(kept) and isinstance(dataset, DualDataset):
                raise BadInput(f"{self.cfg.data}: none of the {len(dataset):,} sentences is short enough")
            return kept
        kept, too_long = dataset.filter_indices_by_size(indices, max_positions)
        empty = dataset.empty_pairs(kept)
        for count, what in ((len(too_long), f"longer than {max_positions} tokens"), (empty.sum(), "with an empty side")):
            if count:
                logger.warning(f"{count:,} of {len(dataset):,} pairs {what} are skipped in both directions")
        kept = kept[~empty]
        if not len(kept):
            raise BadInput(f"{self.cfg.data}: no pair is left of {len(dataset):,} after filtering")
        dataset.trained_on = kept
        return kept

    # ---- training

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        with advice_on_memory(self.criterion.memory_advice):
            return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def optimizer_step(self, optimizer, model, update_num):
        clip_and_log_gradients(optimizer, model.models, self.cfg.per_model_clip_norm)
        super().optimizer_step(optimizer, model, update_num)

    def begin_epoch(self, epoch, model):
        super().begin_epoch(epoch, model)
        if self.marginals is not None and not self.criterion.keeps_language_models:
            self.marginals.release()
        if self._proposals is not None:
            read, proposals = self._proposals
            read.check(proposals, self._batches_by_direction)
            self._proposals = None
        if model.num_updates == 0:
            model.eval()
            if self._warm_starts is not None:
                self._warm_starts.check(model.models, self._batches_by_direction)
            if self.marginals is not None and data_parallel_workers()[1] == 0:
                self.criterion.report_gap(model, self._some_batches(GAP_REPORT_PAIRS, model))

    def _some_batches(self, pairs: int, model):
        """Yield batches of at most so many random training pairs, where the model is."""
        for batch in self.dataset(self.cfg.train_subset).random_batches(pairs, self._limits()):
            yield utils.move_to_cuda(batch) if next(model.parameters()).is_cuda else batch

    def _batches_by_direction(self, pairs: int, models: Dict[str, torch.nn.Module]):
        for batch in self._some_batches(pairs, models[self.direction]):
            yield {self.direction: batch, self.reverse: batch["dual"]}

    def _limits(self):
        """The longest (source, target) that is trained on."""
        return utils.resolve_max_positions(self.max_positions(), self.model_max_positions)

    # ---- validation

    def valid_step(self, sample, model, criterion):
        model.eval()
        with torch.no_grad():
            loss, sample_size, logging_output = criterion(model, sample)
        if self.cfg.eval_bleu:
            for direction, batch in ((self.direction, sample), (self.reverse, sample["dual"])):
                task, translator = self.directions[direction], model.models[direction]
                # Made anew, as a generator translates with the model that it was made for, whichever it is given.
                generator = task.build_generator([translator], argparse.Namespace(**json.loads(self.cfg.eval_bleu_args)))
                bleu = task._inference_with_bleu(generator, batch, translator)
                logging_output.update(bleu_sums(bleu, direction))
        return loss, sample_size, logging_output

    def reduce_metrics(self, logging_outputs, criterion):
        super(TranslationTask, self).reduce_metrics(logging_outputs, criterion)
        if self.cfg.eval_bleu:
            log_bleu(logging_outputs, list(self.directions))

    # ---- inference: fairseq's generators see the active direction's model itself

    def get_interactive_tokens_and_lengths(self, lines, encode_fn):
        self._lines_read += len(lines)  # a data set is made of each buffer of lines, and counts them from 0
        return super().get_interactive_tokens_and_lengths(lines, encode_fn)

    def build_generator(self, models, *args, **kwargs):
        return super().build_generator(self._active(models), *args, **kwargs)

    def inference_step(self, generator, models, *args, **kwargs):
        return super().inference_step(generator, self._active(models), *args, **kwargs)

    def _active(self, models):
        return [m.models[self.direction] if isinstance(m, DualTranslationModel) else m for m in models]


def mono_weight_schedule(text: str) -> Callable[[int], float]:
    """The weight of the monolingual part, as a function of the number of updates."""
    try:
        schedule = PiecewiseLinearFn.from_string(text)
        updates, weights = zip(*schedule.pieces)
        if updates[0] == 0 and len({*updates}) == len(updates) and all(0 <= weight <= WEIGHT.high for weight in weights):
            return schedule
    except (ValueError, AssertionError):
        pass
    raise BadInput(
        f"--mono-weight {text}: a number of 0 or more is wanted, or one for each of some updates from 0 on, such as "
        "0:0,1000:0.5,5000:1"
    )


def one_direction(cfg: DualTranslationTaskConfig) -> DirectionConfig:
    """A translation task's configuration with the values of the dual task's."""
    names = DirectionConfig.__dataclass_fields__
    return DirectionConfig(**{name: getattr(cfg, name) for name in names if name != "_name"})


def mirrored(cfg: DirectionConfig) -> DirectionConfig:
    """The configuration of the opposite direction."""
    cfg = copy.copy(cfg)
    cfg.source_lang, cfg.target_lang = cfg.target_lang, cfg.source_lang
    cfg.max_source_positions, cfg.max_target_positions = cfg.max_target_positions, cfg.max_source_positions
    return cfg
