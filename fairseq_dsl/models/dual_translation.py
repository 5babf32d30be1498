"""The pair of models: any two of fairseq's encoder-decoders, one for each direction."""

import logging
import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

import torch.nn as nn
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from torch import Tensor

from ..directions import Direction
from ..errors import BadInput
from ..vocabulary import Dictionaries

logger = logging.getLogger(__name__)

NAME = "dual_translation"
CRITICS = "critics"
"""The prefix of the critics' parameter names, and the key of their outputs."""


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
    """Two translation models, keyed by their direction's name (``de-en``, ``en-de``), whose parameters are disjoint.

    Built by the task `dual_translation`, which knows both directions. The models themselves are used as they are.

    Attributes:
        critics: by language, of a training whose method has some: parts of its state, and of nothing that translates.

    Args:
        models: a model for each direction.
        active: the direction of the batches' top level; the one that is translated at inference.
        dictionaries: those of the data folder, which a checkpoint that is loaded must be of.
    """

    def __init__(self, models: Mapping[Direction, nn.Module], active: Direction, dictionaries: Dictionaries):
        super().__init__()
        self.dictionaries = dictionaries  # first: compared before anything is loaded
        self.models = nn.ModuleDict({str(direction): model for direction, model in models.items()})
        self.critics = nn.ModuleDict()
        self.active = str(active)
        self.keeps_reverse = False
        """Whether both directions stay for inference."""
        self._translates = False
        self.num_updates = 0

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """fairseq's, but with the dual inference of its arguments, or that which ``tune`` stored: as fairseq-generate.

        fairseq would take over the flags of training, where dual inference is that of validation alone.
        """
        not_given = {"source_lm": None, "target_lm": None, "reverse_weight": None, "lm_weight": math.nan}
        return super().from_pretrained(*args, **{**not_given, "dump_scores": None, **kwargs})

    @classmethod
    def build_model(cls, cfg, task):
        raise BadInput(f"--arch {NAME}: requires --task dual_translation, which builds both directions")

    def load_state_dict(self, state_dict, strict=True, model_cfg=None, args=None):
        if not any(name.startswith("models.") for name in state_dict):
            raise BadInput(
                "It is of a single model, not of a pair: start from it with --primal-checkpoint or --dual-checkpoint, "
                "and give another --save-dir"
            )
        self._order_as(state_dict)
        self._keep_own_critics(state_dict)
        return super().load_state_dict(state_dict, strict=strict, model_cfg=model_cfg, args=args)

    def _order_as(self, state_dict):
        """Put the models in the checkpoint's order, which its optimizer state has: -s and -t may be exchanged."""
        stored = [name for name in state_dict if name.startswith("models.")]
        order = dict.fromkeys(name.split(".")[1] for name in stored)
        if order.keys() == self.models.keys():
            self.models = nn.ModuleDict({direction: self.models[direction] for direction in order})

    def _keep_own_critics(self, state_dict):
        """Drop critics that this training has no use for from a state, or add its new ones where that has none."""
        own = {f"{CRITICS}.{name}": value for name, value in self.critics.state_dict().items()}
        stored = [name for name in state_dict if name.startswith(f"{CRITICS}.")]
        if stored and not own:
            logger.info("the checkpoint's critics are left out: nothing here is judged by them")
            for name in stored:
                del state_dict[name]
        elif own and not stored:
            logger.info("the checkpoint has no critics: they begin untrained")
            state_dict.update(own)
        elif {name: value.shape for name, value in own.items()} != {name: state_dict[name].shape for name in stored}:
            raise BadInput("Its critics are of another size; give the --critic-dim that it was trained with")

    def upgrade_state_dict(self, state_dict):
        """Each model sees its own parameters, by their own names, which BART looks up."""
        for direction, model in self.models.items():
            prefix = f"models.{direction}."
            names = [name for name in state_dict if name.startswith(prefix)]
            own = {name[len(prefix) :]: state_dict.pop(name) for name in names}
            model.upgrade_state_dict(own)
            state_dict.update({prefix + name: value for name, value in own.items()})

    def forward(
        self, inputs: Dict[str, List[Dict[str, Any]]], texts: Optional[Mapping[str, Tensor]] = None
    ) -> Dict[str, Any]:
        """Run any number of inputs through each direction, and texts through critics, in one call.

        All that an update differentiates goes through one call: calling the sub-models would bypass the hooks of
        data-parallel training, and the workers' gradients would differ.

        Args:
            inputs: the ``net_input`` of fairseq batches, by direction.
            texts: by language, the sentences for its critic, ``(sentences, length)``.

        Returns:
            the outputs of the direction's model for each input; with texts, under ``critics``, which is no
            direction's name, the logits of each language's critic, ``(sentences,)``.
        """
        outputs: Dict[str, Any] = {
            direction: [self.models[direction](**net_input) for net_input in net_inputs]
            for direction, net_inputs in inputs.items()
        }
        if texts:
            outputs[CRITICS] = {language: self.critics[language](tokens) for language, tokens in texts.items()}
        return outputs

    @property
    def parts(self) -> Dict[str, nn.Module]:
        """All that is trained, by the names that gradients are logged by: the models, then the critics."""
        return {**self.models, **{f"critic_{language}": critic for language, critic in self.critics.items()}}

    def get_normalized_probs(self, net_output, log_probs, sample=None):
        """As of the active direction's model; a criterion asks ``models[direction]``."""
        return self.models[self.active].get_normalized_probs(net_output, log_probs, sample)

    def max_positions(self):
        """The longest (source, target) that every direction allows, so that all see the same pairs; to translate, the
        active one alone."""
        if self._translates:
            return self.models[self.active].max_positions()
        source, target = zip(
            *(
                model.max_positions() if direction == self.active else reversed(model.max_positions())
                for direction, model in self.models.items()
            )
        )
        return min(source), min(target)

    def set_num_updates(self, num_updates):
        self.num_updates = num_updates
        for model in self.models.values():
            model.set_num_updates(num_updates)

    def prepare_for_inference_(self, cfg):
        """Prepare the direction that is translated for beam search; the other one goes, or stays to score."""
        others = {direction: model for direction, model in self.models.items() if direction != self.active}
        for direction in others:
            del self.models[direction]
        super().prepare_for_inference_(cfg)
        self._translates = True
        if self.keeps_reverse:
            self.models.update({direction: model.eval() for direction, model in others.items()})
