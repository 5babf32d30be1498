"""The flags of the task."""

import contextlib
import copy
import logging
import math
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.tasks.translation import TranslationConfig
from omegaconf import II, DictConfig, open_dict

from ..ranges import SHARE, WEIGHT, Range, at_least, number

logger = logging.getLogger(__name__)

# Flags of the translation task that change one side of a pair, or that have no meaning for both directions.
REFUSED_FLAGS = {
    "load_alignments": "alignments are of one direction",
    "truncate_source": "a cut source is no target of the other direction; filter with --max-source-positions",
    "num_batch_buckets": "buckets are of one direction's batches",
}


@dataclass
class DirectionConfig(TranslationConfig):
    """The flags of each direction's task: fairseq's own, and these."""

    eval_bleu_tokenize: Optional[str] = field(
        default=None,
        metadata={
            "help": "sacrebleu's tokenizer for validation's BLEU and the risk of minimum_risk: one for both languages, "
            "or one for each, as in ko=ko-mecab,en=13a (default: by target language: zh for Chinese, char for others "
            "without spaces, else 13a)",
            "argparse_alias": "--eval-bleu-tokenizer",
        },
    )


@dataclass
class DualTranslationTaskConfig(DirectionConfig):
    source_lm: Optional[str] = field(
        default=None,
        metadata={
            "help": "language model of the source language: a checkpoint of --task language_modeling; an n-gram model "
            "of KenLM (.arpa, or binary); or scores:DIR, log P of each sentence, in nats, in DIR/SPLIT.LANG"
        },
    )
    target_lm: Optional[str] = field(
        default=None,
        metadata={"help": "language model of the target language, in the same way"},
    )
    marginal_cache: Optional[str] = field(
        default=None,
        metadata={"help": "folder for the language models' scores (default: marginal-cache in the first data folder)"},
    )
    marginal_max_tokens: Optional[int] = number(
        None,
        at_least(1, 10**9),
        "tokens of a batch that is scored by a language model (default: so many that tokens x vocabulary is what the "
        "device computes fastest)",
    )
    per_model_clip_norm: float = number(
        0.0, WEIGHT, "clip the gradient norm of each model, and of each critic, at this value, on its own; 0 does not"
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
        metadata={"help": "the same as the criterion's, which configuration files should set"},
    )
    reverse_weight: Optional[float] = number(
        None,
        SHARE,
        "dual inference: the weight A of the reverse direction in the score that orders a beam's hypotheses, (1-A) log "
        "P(y|x)/|y| + A (log P(x|y)/|x| + B log P(y)/|y|); also in validation's BLEU (default: the checkpoint's, or 0: "
        "off; 0.3 to 0.6 serve most models)",
    )
    lm_weight: Optional[float] = number(
        math.nan,  # not given: fairseq's own flag of this name, in fairseq-generate, is a number
        WEIGHT,
        "dual inference: the weight B of the language model of the generated language (default: the checkpoint's, or "
        "0.5 with a language model: see fairseq-dsl tune)",
    )
    dump_scores: Optional[str] = field(
        default=None,
        metadata={
            "help": "write all hypotheses of fairseq-generate with their scores to this file, for fairseq-dsl tune"
        },
    )
    # values of other parts of the configuration
    max_tokens: Optional[int] = II("dataset.max_tokens")
    cpu: bool = II("common.cpu")
    log_format: Optional[str] = II("common.log_format")
    log_interval: int = II("common.log_interval")
    no_progress_bar: bool = II("common.no_progress_bar")
    seed: int = II("common.seed")


def take_mono_weight(criterion_cfg: Any, task_cfg: DualTranslationTaskConfig):
    """Take over ``task.mono_weight`` of a configuration file of version 0.3, if the criterion's is not set."""
    default = DualTranslationTaskConfig.__dataclass_fields__["mono_weight"].default
    if task_cfg.mono_weight != default and getattr(criterion_cfg, "mono_weight", None) in (None, default):
        logger.warning("task.mono_weight: deprecated; set criterion.mono_weight")
        with open_dict(criterion_cfg) if isinstance(criterion_cfg, DictConfig) else contextlib.nullcontext():
            criterion_cfg.mono_weight = task_cfg.mono_weight


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
