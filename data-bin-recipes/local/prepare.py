"""The old name of `fairseq-dsl prepare`: text files of your own. It goes with the next version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fairseq_dsl_cli import prepare
from fairseq_dsl_cli.preparing.options import Parser, run_main


def main() -> None:
    print("local/prepare.sh is now `fairseq-dsl prepare`; this name goes with the next version", file=sys.stderr)
    parser = Parser(description=prepare.__doc__)
    prepare.add_arguments(parser)
    prepare.prepare(parser.parse_args())


if __name__ == "__main__":
    run_main(main)
