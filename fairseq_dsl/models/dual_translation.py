"""The pair of models: any two of fairseq's encoder-decoders, one for each direction."""

import argparse
import inspect
import shlex
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import torch.nn as nn
from fairseq import options
from fairseq.dataclass import FairseqDataclass
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import (
    ARCH_MODEL_REGISTRY,
    BaseFairseqModel,
    FairseqEncoderDecoderModel,
    register_model,
)

from .. import vocabulary
from ..checkpoints import Checkpoint, plain
from ..errors import BadInput

NAME = "dual_translation"
NET_INPUT = ("src_tokens", "src_lengths", "prev_output_tokens")
"""What a translation batch has for a model."""
TASK_FLAGS = ("source_lang", "target_lang", "max_source_positions", "max_target_positions")
"""Flags of the task that architectures without a dataclass read from their own configuration."""


@dataclass
class DualTranslationModelConfig(FairseqDataclass):
    primal_checkpoint: Optional[str] = field(
        default=None,
        metadata={"help": "start source→target from this checkpoint of a translation model, and take its architecture"},
    )
    dual_checkpoint: Optional[str] = field(
        default=None,
        metadata={"help": "start target→source from this checkpoint of a translation model, and take its architecture"},
    )
    primal_arch: Optional[str] = field(
        default=None, metadata={"help": "architecture of source→target, where it has no checkpoint"}
    )
    dual_arch: Optional[str] = field(
        default=None, metadata={"help": "architecture of target→source, where it has no checkpoint"}
    )
    primal_args: Optional[str] = field(
        default=None,
        metadata={"help": 'flags of --primal-arch; write the equals sign: --primal-args="--dropout 0.3"'},
    )
    dual_args: Optional[str] = field(
        default=None,
        metadata={"help": 'flags of --dual-arch; write the equals sign: --dual-args="--dropout 0.3"'},
    )


@register_model(NAME, dataclass=DualTranslationModelConfig)
class DualTranslationModel(BaseFairseqModel):
    """Two translation models, keyed by their direction (``de-en``, ``en-de``), whose parameters are disjoint.

    Built by the task `dual_translation`, which knows both directions. The models themselves are used as they are.

    Args:
        models: a model for each direction.
        direction: the direction of the batches' top level; the one that is translated at inference.
        dictionaries: those of the data folder, which a checkpoint that is loaded must be of.
    """

    def __init__(
        self, models: Dict[str, FairseqEncoderDecoderModel], direction: str, dictionaries: vocabulary.Dictionaries
    ):
        super().__init__()
        self.dictionaries = dictionaries  # first: compared before anything is loaded
        self.models = nn.ModuleDict(models)
        self.direction = direction
        self.num_updates = 0

    @classmethod
    def build_model(cls, cfg, task):
        raise BadInput(f"--arch {NAME}: needs --task dual_translation, which builds both directions")

    def load_state_dict(self, state_dict, strict=True, model_cfg=None, args=None):
        if not any(name.startswith("models.") for name in state_dict):
            raise BadInput(
                "It is of a single model, not of a pair: start from it with --primal-checkpoint or --dual-checkpoint, "
                "and give another --save-dir"
            )
        self._order_as(state_dict)
        return super().load_state_dict(state_dict, strict=strict, model_cfg=model_cfg, args=args)

    def _order_as(self, state_dict):
        """Put the models in the checkpoint's order, which its optimizer state has: -s and -t may have been exchanged."""
        stored = [name for name in state_dict if name.startswith("models.")]
        order = dict.fromkeys(name.split(".")[1] for name in stored)
        if order.keys() == self.models.keys():
            self.models = nn.ModuleDict({direction: self.models[direction] for direction in order})

    def upgrade_state_dict(self, state_dict):
        """Each model sees its own parameters, by their own names, which BART looks up."""
        for direction, model in self.models.items():
            prefix = f"models.{direction}."
            names = [name for name in state_dict if name.startswith(prefix)]
            own = {name[len(prefix) :]: state_dict.pop(name) for name in names}
            model.upgrade_state_dict(own)
            state_dict.update({prefix + name: value for name, value in own.items()})

    def forward(self, inputs: Dict[str, List[Dict[str, Any]]]) -> Dict[str, List[Any]]:
        """Run any number of inputs through each direction, in one call.

        All that an update differentiates goes through one call: calling the sub-models would bypass the hooks of
        data-parallel training, and the workers' gradients would differ.

        Args:
            inputs: the ``net_input`` of fairseq batches, by direction.

        Returns:
            the outputs of the direction's model for each input.
        """
        return {
            direction: [self.models[direction](**net_input) for net_input in net_inputs]
            for direction, net_inputs in inputs.items()
        }

    def get_normalized_probs(self, net_output, log_probs, sample=None):
        """As of the active direction's model; a criterion asks ``models[direction]``."""
        return self.models[self.direction].get_normalized_probs(net_output, log_probs, sample)

    def max_positions(self):
        """The longest (source, target) that every direction takes, so that all see the same pairs."""
        source, target = zip(
            *(
                model.max_positions() if direction == self.direction else reversed(model.max_positions())
                for direction, model in self.models.items()
            )
        )
        return min(source), min(target)

    def set_num_updates(self, num_updates):
        self.num_updates = num_updates
        for model in self.models.values():
            model.set_num_updates(num_updates)

    def prepare_for_inference_(self, cfg):
        """Keep the direction that is translated; the limits on lengths are then its own."""
        for direction in list(self.models):
            if direction != self.direction:
                del self.models[direction]
        super().prepare_for_inference_(cfg)


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
    def from_checkpoint(cls, path: str, role: str, direction: str, reverse: str) -> "Architecture":
        """From a plain translation checkpoint, or from one direction of a dual one."""
        checkpoint = Checkpoint(path, f"--{role}-checkpoint")
        if checkpoint.pair:
            checkpoint = checkpoint.direction(direction)
        elif checkpoint.task_name == "language_modeling":
            raise BadInput(f"{checkpoint.name}: is a language model; a translation model is wanted")
        found = f"{checkpoint.task.get('source_lang')}-{checkpoint.task.get('target_lang')}"
        if None not in (checkpoint.task.get("source_lang"), checkpoint.task.get("target_lang")) and found != direction:
            raise BadInput(
                f"{checkpoint.name}: translates {found}; the {role} model translates {direction}"
                + (" (are the two checkpoints swapped?)" if found == reverse else "")
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


def architectures(cfg, directions: Dict[str, Any]) -> Dict[str, Architecture]:
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
    primal, dual = directions
    for role, direction, reverse in (("primal", primal, dual), ("dual", dual, primal)):
        checkpoint, arch, args = (getattr(cfg, f"{role}_{name}", None) for name in ("checkpoint", "arch", "args"))
        if checkpoint and (arch or args):
            raise BadInput(
                f"--{role}-checkpoint {checkpoint}: brings its own architecture; "
                f"give it without --{role}-arch and --{role}-args"
            )
        if checkpoint:
            found[direction] = Architecture.from_checkpoint(checkpoint, role, direction, reverse)
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
    if arch not in ARCH_MODEL_REGISTRY:
        raise BadInput(f"{flag} {arch}: fairseq has no architecture of this name")
    parameters = inspect.signature(ARCH_MODEL_REGISTRY[arch].forward).parameters
    if not {*NET_INPUT} <= {*parameters}:
        raise BadInput(f"{flag} {arch}: is no encoder-decoder of texts; a translation architecture is wanted")
    required = [name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    others = [name for name in required if name not in ("self", *NET_INPUT)]
    if others:
        raise BadInput(
            f"{flag} {arch}: requires {' and '.join(others)} as well as {', '.join(NET_INPUT)}, and gives translations no "
            "log-probability to train; a translation architecture is wanted"
        )
    return arch


def split_flags(text: Optional[str], role: str) -> List[str]:
    try:
        return shlex.split(text or "")
    except ValueError as error:
        raise BadInput(f"--{role}-args {text!r}: {error}") from error


def refuse_foreign_flags(arch: str, flags: List[str], role: str):
    """Refuse what is no flag of the architecture: flags of training would be read and have no effect."""

    class Parser(argparse.ArgumentParser):
        def error(self, message):
            raise BadInput(f"--{role}-args, for --{role}-arch {arch}: {message}")

    parser = Parser(add_help=False, allow_abbrev=False)
    ARCH_MODEL_REGISTRY[arch].add_args(parser)
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        raise BadInput(f"--{role}-args: {unknown[0]} is no flag of the architecture {arch}")
