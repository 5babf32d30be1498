"""``fairseq-dsl COMMAND ...``: finds the module of a command, parses its arguments and runs it.

A command is a module of this package, with

* a docstring: its description and an example, shown by ``--help``;
* ``add_arguments(parser)``;
* ``run(parser, args)``, which returns the exit code: None or 0 where all went well.
"""

import argparse
import importlib
import logging
import sys
from typing import Callable, NoReturn, Optional, Sequence

from .arguments import Parser, one_line

PROGRAM = "fairseq-dsl"
# A command's name, of which the module has the same with _ for -, and what it does.
COMMANDS = {
    "prepare": "make the data folders that fairseq-train reads, of text in two languages",
    "export": "write one direction of a pair checkpoint as an ordinary fairseq checkpoint, or for CTranslate2",
    "join": "make a pair checkpoint of two ordinary translation checkpoints",
    "tune": "choose the weights of dual inference by the scores of fairseq-generate --dump-scores",
    "score-marginals": "score the sentences of data folders by language models ahead of training",
    "score": "score the pairs of a parallel corpus by both directions and language models",
    "filter": "clean a parallel corpus by the scores of fairseq-dsl score",
    "average": "average the parameters of several checkpoints of one training run",
    "evaluate": "translate a test set with several systems and compare them with a control",
    "compare": "compare systems over several runs, such as other seeds",
    "report": "write a report of training runs and an evaluation: Markdown with plots",
    "benchmark": "measure what training a pair costs, as ratios to stock fairseq",
    "help": "print the flags that the plugin adds to fairseq's commands",
    "user-dir": "print the folder of the plugin, for fairseq's --user-dir",
}
DESCRIPTION = """Commands for models trained with the fairseq plugin fairseq_dsl.

  fairseq-dsl export checkpoints/dual.pt --direction de-en de-en.pt
  fairseq-dsl COMMAND --help
"""


def make_parser() -> Parser:
    width = max(map(len, COMMANDS))
    parser = Parser(DESCRIPTION, PROGRAM)
    parser.usage = "%(prog)s [-h] [--version] COMMAND ..."
    parser.epilog = "commands:\n" + "\n".join(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items())
    parser.add_argument("--version", action="store_true", help="print the version of the plugin and exit")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return parser


def run(arguments: Sequence[str]) -> Optional[int]:
    """Run a command, given by its name and its arguments; return its exit code, where None is 0.

    Raises `SystemExit` where the arguments are wrong, or ask for help.
    """
    parser = make_parser()
    args = parser.parse_args(arguments[:1])  # what follows is the command's, --help included
    if args.version:
        from fairseq_dsl import __version__

        print(f"{PROGRAM} {__version__}")
        return 0
    if args.command is None:
        parser.print_help()
        return 0
    if args.command not in COMMANDS:
        parser.error(f"{args.command!r} is not a command; expected one of {', '.join(COMMANDS)}")
    command = importlib.import_module(f".{args.command.replace('-', '_')}", __package__)
    parser = Parser(command.__doc__, f"{PROGRAM} {args.command}")
    command.add_arguments(parser)
    return command.run(parser, parser.parse_args(arguments[1:]))


def main(arguments: Optional[Sequence[str]] = None) -> NoReturn:
    """Run a command and end the process; a file that cannot be read or written is told in one line.

    (The plugin tells its own errors, `BadInput`, in one line too.)
    """
    words = sys.argv[1:] if arguments is None else arguments
    command = words[:1] if words[:1] and words[0] in COMMANDS else []
    end(" ".join([PROGRAM, *command]), lambda: run(words))


def end(program: str, function: Callable[[], Optional[int]]) -> NoReturn:
    """End the process as `function` does; where a file cannot be read or written, with a line that says so."""
    logging.disable(logging.INFO)  # fairseq's greetings
    try:
        sys.exit(function())
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        sys.exit(f"{program}: error: {one_line(what)}")
    except UnicodeDecodeError as error:
        sys.exit(f"{program}: error: {one_line(error)}")
