"""Prints the folder of the plugin, which is what fairseq's --user-dir expects.

    fairseq-train data-bin/m30k --user-dir $(fairseq-dsl user-dir) --task dual_translation ...

Installed by `pip install .`, the plugin's name will do: --user-dir fairseq_dsl.
"""

from argparse import Namespace
from importlib.util import find_spec

from .arguments import Parser


def add_arguments(parser: Parser) -> None:
    pass


def run(parser: Parser, args: Namespace) -> None:
    print(folder_of_plugin())


def folder_of_plugin() -> str:
    """Where this Python finds the plugin, which is not imported."""
    spec = find_spec("fairseq_dsl")
    assert spec and spec.submodule_search_locations, "fairseq_dsl is installed with its commands"
    return spec.submodule_search_locations[0]
