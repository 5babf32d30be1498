"""Averages the parameters of several checkpoints of one training run, of a pair or plain.

    fairseq-dsl average --inputs run/checkpoint3.pt run/checkpoint4.pt --output run/average.pt
    fairseq-dsl average --inputs run --num-epoch-checkpoints 5 --output run/average.pt

The options are those of fairseq's own script, which its wheels lack. All but the parameters comes from the last
checkpoint; the optimizer's state is left out, since it belongs to none of the averaged models.
"""

from argparse import Namespace
from pathlib import Path

from . import arguments
from .arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--inputs", required=True, nargs="+", metavar="PATH", help="checkpoints, or one folder and a --num-... flag"
    )
    parser.add_argument(
        "--output", required=True, type=arguments.output_file, metavar="FILE", help="the averaged checkpoint"
    )
    number = parser.add_mutually_exclusive_group()
    number.add_argument(
        "--num-epoch-checkpoints",
        type=int,
        metavar="N",
        help="average the last N checkpoints written at the end of an epoch (checkpoint12.pt)",
    )
    number.add_argument(
        "--num-update-checkpoints",
        type=int,
        metavar="N",
        help="average the last N checkpoints written within epochs (checkpoint_3_500.pt)",
    )
    parser.add_argument(
        "--checkpoint-upper-bound",
        type=int,
        metavar="N",
        help="with a --num-... flag: leave out epochs or updates after this one (default: take all)",
    )


def run(parser: Parser, args: Namespace) -> None:
    count = args.num_update_checkpoints if args.num_epoch_checkpoints is None else args.num_epoch_checkpoints
    if count is not None:
        if len(args.inputs) != 1 or not Path(args.inputs[0]).is_dir():
            parser.error(f"--inputs {' '.join(args.inputs)}: a --num-... flag requires one folder")
        if count < 1:
            parser.error(f"--num-...-checkpoints {count}: expected at least 1")
    elif args.checkpoint_upper_bound is not None:
        parser.error("--checkpoint-upper-bound requires one of the --num-... flags")
    elif folders := [path for path in args.inputs if Path(path).is_dir()]:
        parser.error(f"--inputs {folders[0]}: a folder requires one of the --num-... flags")
    if count is None:
        arguments.refuse_overwriting(parser, args.output, args.inputs)

    from fairseq_dsl.checkpoints import write_checkpoint

    from . import averaging

    paths = args.inputs
    if count is not None:
        pattern = averaging.UPDATE if args.num_epoch_checkpoints is None else averaging.EPOCH
        paths = averaging.last_checkpoints(args.inputs[0], pattern, count, args.checkpoint_upper_bound)
        arguments.refuse_overwriting(parser, args.output, paths)
    for path in paths:
        print(f"averaging {path}")
    write_checkpoint(averaging.average_files(paths), args.output)
    print(f"wrote {args.output}")
