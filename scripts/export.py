#!/usr/bin/env python3
"""Write one direction of a dual checkpoint as an ordinary fairseq translation checkpoint.

fairseq-generate, ensembles, averaging and --finetune-from-model then read it without this plugin:

    scripts/export.py checkpoints/dual.pt --direction de-en de-en.pt
    fairseq-generate data-bin/m30k -s de -t en --path de-en.pt
"""

import sys
from pathlib import Path

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])  # this folder, and the repository's plugin

import commandline  # noqa: E402
from fairseq_dsl.checkpoints import Checkpoint, save_plain  # noqa: E402
from fairseq_dsl.errors import BadInput  # noqa: E402


def main(arguments=None):
    parser = commandline.Parser(__doc__)
    parser.add_argument("checkpoint", type=commandline.input_file, help="the dual checkpoint")
    parser.add_argument("output", type=commandline.output_file, help="the file to write")
    parser.add_argument("--direction", required=True, help="the direction to export, such as de-en")
    args = parser.parse_args(arguments)
    commandline.refuse_overwriting(parser, args.output, [args.checkpoint])
    checkpoint = Checkpoint(args.checkpoint, "checkpoint")
    if not checkpoint.pair:
        raise BadInput(f"{args.checkpoint}: is no dual checkpoint, but an ordinary one of {checkpoint.task_name}")
    if args.direction not in checkpoint.pair:
        raise BadInput(f"--direction {args.direction}: {args.checkpoint} has {' and '.join(checkpoint.pair)}")
    save_plain(checkpoint.direction(args.direction), args.output)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    commandline.run(main)
