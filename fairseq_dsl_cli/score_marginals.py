"""Scores the sentences of data folders by language models ahead of training, which then finds the scores.

    fairseq-dsl score-marginals data-bin/m30k -s de -t en --source-lm lm.de.pt --target-lm lm.en.pt --workers 8

Give it the training's flags: its data, languages, language models and --marginal-cache. The scores are stored in pieces
as they come: interrupted, it goes on when it is started again, also with other --workers, and so does the training.
"""

import sys
from argparse import Namespace
from typing import Any

from . import arguments
from .arguments import Parser

OF_TRAINING = (
    "source_lang", "target_lang", "source_lm", "target_lm", "max_source_positions", "max_target_positions",
    "marginal_cache", "marginal_max_tokens", "train_subset", "combine_valid_subsets", "dataset_impl",
    "upsample_primary", "log_interval", "cpu",
)  # fmt: skip
"""The options that are flags of a training."""


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="the data folder of the training; several are a:b")
    add("-s", "--source-lang", required=True, metavar="LANG", help="source language of the primal direction")
    add("-t", "--target-lang", required=True, metavar="LANG", help="target language of the primal direction")
    for side in ("source", "target"):
        kind = arguments.language_model
        add(f"--{side}-lm", required=True, type=kind, metavar="FILE", help=f"language model of the {side} language")
    for side in ("source", "target"):
        add(
            f"--max-{side}-positions",
            type=arguments.positive,
            default=1024,
            metavar="N",
            help=f"{side} sentences of more tokens need no score (default: %(default)s)",
        )
    add("--marginal-cache", metavar="DIR", help="folder for the scores (default: marginal-cache in the first of DATA)")
    add("--train-subset", default="train", metavar="SPLIT", help="split of training (default: %(default)s)")
    add(
        "--valid-subset",
        default="valid",
        metavar="SPLIT",
        help="splits of validation, with commas between them; '' for none (default: %(default)s)",
    )
    add(
        "--combine-valid-subsets",
        action="store_true",
        help="valid, valid1, ... are one (default: --valid-subset)",
    )
    add("--dataset-impl", metavar="KIND", help="format of the data (default: told by the files)")
    add("--upsample-primary", type=arguments.positive, default=1, metavar="N", help="as in training (default: 1)")
    add("--workers", type=arguments.positive, default=1, metavar="N", help="processes (default: %(default)s)")
    add(
        "--marginal-max-tokens",
        type=arguments.positive,
        metavar="N",
        help="tokens of a batch (default: what the device computes fastest)",
    )
    add(
        "--log-interval",
        type=arguments.positive,
        default=100,
        metavar="N",
        help="batches between two lines of progress, where there is no terminal (default: %(default)s)",
    )
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")


def run(parser: Parser, args: Namespace) -> None:
    import torch
    from tqdm import tqdm

    from fairseq_dsl.marginals import marginals_of
    from fairseq_dsl.preflight import check_folder
    from fairseq_dsl.tasks.folder_scorer import FolderScorer
    from fairseq_dsl.tasks.stages import lm_flags

    from .scoring.pool import Pool

    task = _task(args)
    device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
    marginals = marginals_of(lm_flags(task.cfg), task.directions.languages, task.dictionaries, device)
    pool = Pool(args.workers)
    scorer = FolderScorer(
        task.cfg, task.splits, marginals, device, pool.score_batches, lambda line: tqdm.write(line, file=sys.stderr)
    )
    folder = scorer.cache.folder
    check_folder("--marginal-cache", folder)
    validation = ["valid"] if args.combine_valid_subsets else filter(None, args.valid_subset.split(","))
    splits = {args.train_subset: True, **dict.fromkeys(validation, args.combine_valid_subsets)}
    shards = [(split, shard) for split in splits for shard in range(task.splits.shards(split))]
    # Each before the first is scored: what is missing is said at once.
    read = [task.splits.read_pairs(split, shard, splits[split]) for split, shard in shards]
    limits = (args.max_source_positions, args.max_target_positions)
    for (split, shard), pairs in zip(shards, read):
        scorer.scores(pairs, split, shard, splits[split], pairs.usable(limits))
        print(f"{folder}: has the scores of {split}{f' {shard + 1}' if shard else ''}, {len(pairs):,} pairs")


def _task(args: Namespace) -> Any:
    """fairseq's task, as a training with these flags sets it up."""
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    import fairseq_dsl
    from fairseq_dsl.models import NAME

    words = [args.data, "--user-dir", fairseq_dsl.__path__[0], "--task", "dual_translation", "--arch", NAME]
    for name in OF_TRAINING:
        value = getattr(args, name)
        if value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
    return tasks.setup_task(cfg.task)
