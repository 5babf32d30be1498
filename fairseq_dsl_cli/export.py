"""Writes one direction of a pair checkpoint as an ordinary fairseq translation checkpoint.

fairseq-generate, ensembles, averaging and --finetune-from-model then read it without this plugin:

    fairseq-dsl export checkpoints/dual.pt --direction de-en de-en.pt
    fairseq-generate data-bin/m30k -s de -t en --path de-en.pt
"""

from argparse import Namespace

from . import arguments
from .arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", type=arguments.input_file, metavar="CHECKPOINT", help="the pair checkpoint")
    parser.add_argument("output", type=arguments.output_file, metavar="OUTPUT", help="the file to write")
    parser.add_argument("--direction", required=True, metavar="S-T", help="the direction to export, such as de-en")


def run(parser: Parser, args: Namespace) -> None:
    arguments.refuse_overwriting(parser, args.output, [args.checkpoint])

    from fairseq_dsl.checkpoints import Checkpoint, save_plain
    from fairseq_dsl.errors import BadInput

    checkpoint = Checkpoint(args.checkpoint, "checkpoint")
    if not checkpoint.pair:
        raise BadInput(
            f"{args.checkpoint}: expected a pair checkpoint, found an ordinary one of {checkpoint.task_name}"
        )
    if args.direction not in checkpoint.pair:
        raise BadInput(f"--direction {args.direction}: {args.checkpoint} has {' and '.join(checkpoint.pair)}")
    save_plain(checkpoint.direction(args.direction), args.output)
    print(f"wrote {args.output}")
