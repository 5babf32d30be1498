"""Makes a pair checkpoint of two ordinary translation checkpoints, one of each direction.

All that reads pairs then reads it, dual inference among it, whether the two were ever trained together or not:

    fairseq-dsl join de-en.pt en-de.pt dual.pt
    fairseq-generate data-bin/m30k --user-dir fairseq_dsl --task dual_translation -s de -t en --path dual.pt \\
        --reverse-weight 0.5

The first checkpoint is of the primal direction. The architectures may differ, the dictionaries may not: they are those
that the checkpoints contain, those of --data, or those beside the checkpoints or in the data folders of their training.
"""

from argparse import Namespace

from . import arguments
from .arguments import Parser


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("primal", type=arguments.input_file, metavar="PRIMAL", help="the checkpoint of one direction")
    add("dual", type=arguments.input_file, metavar="DUAL", help="the checkpoint of its reverse")
    add("output", type=arguments.output_file, metavar="OUTPUT", help="the pair checkpoint to write")
    add(
        "--data",
        type=arguments.input_folder,
        metavar="DATA_BIN",
        help="a folder with the dictionaries that both were trained with (default: see above)",
    )
    add("-s", "--source-lang", metavar="LANG", help="source language of PRIMAL (default: what it says)")
    add("-t", "--target-lang", metavar="LANG", help="target language of PRIMAL (default: what it says)")


def run(parser: Parser, args: Namespace) -> None:
    arguments.refuse_overwriting(parser, args.output, [args.primal, args.dual])
    if (args.source_lang is None) != (args.target_lang is None):
        parser.error("--source-lang and --target-lang: expected both or neither")

    from fairseq_dsl.checkpoints import save_pair
    from fairseq_dsl.directions import Direction
    from fairseq_dsl.vocabulary import dictionaries_of

    from . import joining

    said = Direction(args.source_lang, args.target_lang) if args.source_lang else None
    models = joining.models_of([args.primal, args.dual], said)
    save_pair(models, dictionaries_of(models, args.data), args.output)
    print(f"wrote {args.output}: {' and '.join(map(str, models))}")
