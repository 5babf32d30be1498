"""Prints the flags that the plugin adds to fairseq's commands, with their defaults; fairseq-train --help lacks them.

    fairseq-dsl help                      # the topics
    fairseq-dsl help task
    fairseq-dsl help criterion dsl_cross_entropy

In a configuration file a flag's key is its name with _ for -.
"""

import argparse
import sys
from argparse import Namespace
from typing import Any, Collection, Dict

from .arguments import Parser

TOPICS = {
    "task": "the flags of --task dual_translation",
    "model": "the flags of --arch dual_translation",
    "criterion": "the methods",
    "criterion NAME": "the flags of --criterion NAME",
}
DSL = "dsl_cross_entropy"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="task, model or criterion")
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"a criterion, such as {DSL}")


def run(parser: Parser, args: Namespace) -> None:
    if args.topic is None:
        _print_table(TOPICS)
        return
    if args.topic not in TOPICS:
        parser.error(
            f"{args.topic!r} is not a topic; expected one of {', '.join(TOPICS)}; the options of a command are "
            "printed by fairseq-dsl COMMAND --help"
        )
    if args.name is not None and args.topic != "criterion":
        parser.error(f"{args.topic} {args.name!r}: expected no name after {args.topic}")

    from fairseq.tasks.translation import TranslationConfig

    from fairseq_dsl.criterions import METHODS
    from fairseq_dsl.models.dual_translation import DualTranslationModelConfig
    from fairseq_dsl.tasks.config import DualTranslationTaskConfig

    if args.topic == "task":
        of_fairseq = TranslationConfig.__dataclass_fields__
        _print_flags("--task dual_translation", DualTranslationTaskConfig, "fairseq's task translation", of_fairseq)
    elif args.topic == "model":
        _print_flags("--arch dual_translation", DualTranslationModelConfig)
    elif args.name is None:
        _print_table({f"criterion {name}": _summary(method.terms[-1]) for name, method in METHODS.items()})
    elif args.name in METHODS:
        of_all = () if args.name == DSL else METHODS[DSL].flags.__dataclass_fields__
        _print_flags(f"--criterion {args.name}", METHODS[args.name].flags, "all methods", of_all)
    else:
        parser.error(f"criterion {args.name!r}: expected one of {', '.join(METHODS)}")


def _summary(term: type) -> str:
    """What the file of a term says of it in its first line."""
    return (sys.modules[term.__module__].__doc__ or "").partition("\n")[0]


def _print_table(summaries: Dict[str, str]) -> None:
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        print(f"fairseq-dsl help {name:{width}}  {summary}")


def _print_flags(chosen_by: str, config: Any, shared_by: str = "", shared: Collection[str] = ()) -> None:
    """Print the flags of a dataclass as the help of a command.

    Args:
        chosen_by: the flag that has fairseq read them.
        config: the dataclass.
        shared_by: what has the flags `shared`, which come last.
    """
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    from fairseq_dsl.tasks.config import REFUSED_FLAGS

    usage = f"fairseq-train DATA_BIN --user-dir fairseq_dsl {chosen_by} ..."
    parser = argparse.ArgumentParser(usage=usage, add_help=False, formatter_class=_Defaults)
    own, others = parser.add_argument_group(chosen_by), parser.add_argument_group(f"of {shared_by}")

    class Groups:
        """Stands in for the parser that fairseq adds the flags to."""

        def add_argument(self, flag: str, *aliases: str, **options: Any) -> None:
            name = flag.lstrip("-").replace("-", "_")
            if name in REFUSED_FLAGS:
                options["help"] = f"not for pairs: {REFUSED_FLAGS[name]}"
            group = others if name in shared else own
            group.add_argument(flag, *aliases, **options)

    gen_parser_from_dataclass(Groups(), config())  # type: ignore[arg-type]
    parser.print_help()


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Adds defaults to the help that does not tell them itself."""

    def _get_help_string(self, action: argparse.Action) -> Any:
        told = "default: " in (action.help or "") or action.default is None or action.default is False
        return action.help if told else super()._get_help_string(action)
