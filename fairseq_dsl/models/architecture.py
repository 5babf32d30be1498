"""What one direction's model is built from: a warm start's architecture, or one that flags name."""

import argparse
import inspect
import shlex
from typing import Any, Dict, List, Optional

from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import ARCH_MODEL_REGISTRY

from ..checkpoints import Checkpoint, plain
from ..directions import Direction
from ..errors import BadInput
from .dual_translation import NAME

NET_INPUT = ("src_tokens", "src_lengths", "prev_output_tokens")
"""What a translation batch has for a model."""
TASK_FLAGS = ("source_lang", "target_lang", "max_source_positions", "max_target_positions")
"""Flags of the task that architectures without a dataclass read from their own configuration."""


class Architecture:
    """What one direction's model is built from, and started from.

    Attributes:
        cfg: its configuration as plain values.
        name: of the architecture, and the flag that named it.
        warm_start: the checkpoint that its parameters are read from, if any.
    """

    def __init__(self, cfg: Dict[str, Any], flag: str, warm_start: Optional[Checkpoint] = None):
        self.cfg = cfg
        self.warm_start = warm_start
        self.name = f"{flag} {check_architecture(cfg.get('_name') or cfg.get('arch'), flag)}"

    @classmethod
    def from_checkpoint(cls, path: str, role: str, direction: Direction) -> "Architecture":
        """From a plain translation checkpoint, or from one direction of a pair's."""
        checkpoint = Checkpoint(path, f"--{role}-checkpoint")
        if checkpoint.pair:
            checkpoint = checkpoint.direction(direction)
        elif checkpoint.task_name == "language_modeling":
            raise BadInput(f"{checkpoint.name}: expected a translation model, found a language model")
        source, target = checkpoint.task.get("source_lang"), checkpoint.task.get("target_lang")
        found = Direction(source, target) if source and target else direction  # it may not say
        if found != direction:
            raise BadInput(
                f"{checkpoint.name}: translates {found}; the {role} model translates {direction}"
                + (" (are the two checkpoints swapped?)" if found == direction.reversed else "")
            )
        return cls(checkpoint.model_cfg, checkpoint.name + ": architecture", checkpoint)

    @classmethod
    def from_flags(cls, arch: str, text: Optional[str], role: str, task_cfg) -> "Architecture":
        """From an architecture's name and its own ordinary flags, as ``fairseq-train`` would read them."""
        check_architecture(arch, f"--{role}-arch")
        flags = split_flags(text, role)
        refuse_foreign_flags(arch, flags, role)
        command = [task_cfg.data or "", "--task", "translation", "--arch", arch, "--criterion", "cross_entropy"]
        for name in TASK_FLAGS:  # given, as a transformer takes its own default where they are not
            command += [f"--{name.replace('_', '-')}", str(getattr(task_cfg, name))]
        parsed = options.parse_args_and_arch(options.get_training_parser(), command + flags)
        return cls(plain(convert_namespace_to_omegaconf(parsed).model), f"--{role}-arch")

    def fitted(self, task_cfg) -> "Architecture":
        """For architectures that read the task's flags from their own configuration: those of this direction."""
        for name in TASK_FLAGS:
            if name in self.cfg:
                self.cfg[name] = getattr(task_cfg, name)
        return self


def architectures(cfg, directions: Dict[Direction, Any]) -> Dict[Direction, Architecture]:
    """The two architectures that the flags ask for.

    Args:
        cfg: the model's configuration: of `DualTranslationModelConfig`, or of any translation architecture.
        directions: the configuration of each direction's translation task, primal first.
    """
    ordinary = getattr(cfg, "_name", None) or getattr(cfg, "arch", None)
    if ordinary != NAME:
        return {
            direction: Architecture(plain(cfg), "--arch").fitted(task_cfg) for direction, task_cfg in directions.items()
        }
    found = {}
    for role, direction in zip(("primal", "dual"), directions):
        checkpoint, arch, args = (getattr(cfg, f"{role}_{name}", None) for name in ("checkpoint", "arch", "args"))
        if checkpoint and (arch or args):
            raise BadInput(
                f"--{role}-checkpoint {checkpoint}: brings its own architecture; "
                f"give it without --{role}-arch and --{role}-args"
            )
        if checkpoint:
            found[direction] = Architecture.from_checkpoint(checkpoint, role, direction)
        elif arch:
            found[direction] = Architecture.from_flags(arch, args, role, directions[direction])
        else:
            raise BadInput(
                f"--arch {NAME}: the {role} model ({direction}) is missing: "
                f"give --{role}-checkpoint FILE or --{role}-arch ARCHITECTURE"
            )
    return found


def check_architecture(arch: Optional[str], flag: str) -> str:
    """Return the name of an architecture that may translate, by what it is called with; refuse others.

    Before it is built: what it does then is tried by `trial.require_translation_model`.
    """
    if arch is None or arch not in ARCH_MODEL_REGISTRY:
        raise BadInput(f"{flag} {arch}: not the name of an architecture of fairseq")
    parameters = inspect.signature(ARCH_MODEL_REGISTRY[arch].forward).parameters
    if not {*NET_INPUT} <= {*parameters}:
        raise BadInput(
            f"{flag} {arch}: expected a translation architecture, found one that is no encoder-decoder of texts"
        )
    required = [name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    others = [name for name in required if name not in ("self", *NET_INPUT)]
    if others:
        raise BadInput(
            f"{flag} {arch}: requires {' and '.join(others)} as well as {', '.join(NET_INPUT)}, and gives "
            "translations no log-probability to train; expected a translation architecture"
        )
    return arch


def split_flags(text: Optional[str], role: str) -> List[str]:
    try:
        return shlex.split(text or "")
    except ValueError as error:
        raise BadInput(f"--{role}-args {text!r}: {error}") from error


def refuse_foreign_flags(arch: str, flags: List[str], role: str):
    """Refuse what is not a flag of the architecture: flags of training would be read and have no effect."""

    class Parser(argparse.ArgumentParser):
        def error(self, message):
            raise BadInput(f"--{role}-args, for --{role}-arch {arch}: {message}")

    parser = Parser(add_help=False, allow_abbrev=False)
    ARCH_MODEL_REGISTRY[arch].add_args(parser)
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        raise BadInput(f"--{role}-args: {unknown[0]} is not a flag of the architecture {arch}")
