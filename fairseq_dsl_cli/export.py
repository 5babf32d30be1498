"""Writes one direction of a pair checkpoint for others to translate with.

As an ordinary fairseq translation checkpoint, which fairseq-generate, ensembles, averaging and --finetune-from-model
read without this plugin:

    fairseq-dsl export checkpoints/dual.pt --direction de-en de-en.pt
    fairseq-generate data-bin/m30k -s de -t en --path de-en.pt

Or as a folder for CTranslate2 (requires pip install ctranslate2), with the vocabularies and, if they are given or found
beside the checkpoint or in the data folder of training, the sentencepiece models. It replaces nothing but an earlier
folder of this kind:

    fairseq-dsl export checkpoints/dual.pt --direction de-en --format ctranslate2 --quantization int8 de-en.ct2
"""

from argparse import Namespace

from . import arguments
from .arguments import Parser

FORMATS = ("fairseq", "ctranslate2")
QUANTIZATIONS = (
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32",
)  # fmt: skip


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("checkpoint", type=arguments.input_file, metavar="CHECKPOINT", help="the pair checkpoint")
    add("output", metavar="OUTPUT", help="the file to write; for ctranslate2, the folder")
    add("--direction", required=True, metavar="S-T", help="the direction to export, such as de-en")
    add("--format", choices=FORMATS, default="fairseq", help="of the output (default: %(default)s)")
    only = parser.add_argument_group("of --format ctranslate2")
    only.add_argument("--quantization", choices=QUANTIZATIONS, help="of the parameters (default: float32)")
    arguments.add_sentencepiece_models(
        only.add_argument, "what the text was split with, which is copied (default: what is found, see above)"
    )
    only.add_argument(
        "--data",
        type=arguments.input_folder,
        metavar="DATA_BIN",
        help="a folder with the dictionaries of training, for a checkpoint that contains none",
    )


def run(parser: Parser, args: Namespace) -> None:
    is_folder = args.format == "ctranslate2"
    parser.check("OUTPUT", arguments.output_folder if is_folder else arguments.output_file, args.output)
    if not is_folder:
        for name in ("quantization", "sentencepiece_model", "target_sentencepiece_model", "data"):
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')}: expected --format ctranslate2, found fairseq")
        arguments.refuse_overwriting(parser, args.output, [args.checkpoint])

    pieces = arguments.sentencepiece_models(parser, args)

    from fairseq_dsl.checkpoints import Checkpoint, save_plain
    from fairseq_dsl.errors import BadInput

    checkpoint = Checkpoint(args.checkpoint, "checkpoint")
    if not checkpoint.pair:
        raise BadInput(
            f"{args.checkpoint}: expected a pair checkpoint, found an ordinary one of {checkpoint.task_name}"
        )
    if args.direction not in checkpoint.pair:
        raise BadInput(f"--direction {args.direction}: {args.checkpoint} has {' and '.join(checkpoint.pair)}")
    if is_folder:
        from .exporting.conversion import save_for_ctranslate2

        has_pieces = save_for_ctranslate2(checkpoint, args.direction, args.output, args.quantization, pieces, args.data)
        print(f"wrote {args.output}, {'with' if has_pieces else 'without'} sentencepiece model")
    else:
        save_plain(checkpoint.direction(args.direction), args.output)
        print(f"wrote {args.output}")
