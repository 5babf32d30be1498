"""fairseq's own translation task and models, for terms that need no other direction."""

from typing import Any, Dict, List

import torch
from torch import Tensor, nn

from ..directions import Direction, OnlyDirection
from ..output_layer import Projected
from ..terms import Resources


class OneModel:
    """A translation model as a pair of models of which the other is missing.

    A list of inputs is one batch to the model, which data-parallel training expects to be called once in an update.
    """

    def __init__(self, model: nn.Module, direction: Direction, flags: Any, pad: int):
        self.models = {str(direction): _unwrapped(model)}
        self.critics: Dict[str, nn.Module] = {}
        self._model = model
        self._flags = flags
        self._pad = pad

    def __call__(self, inputs: Dict[str, List[Dict[str, Any]]], texts=None) -> Dict[str, Any]:
        return {direction: self._outputs(net_inputs) for direction, net_inputs in inputs.items()}

    def _outputs(self, net_inputs: List[Dict[str, Any]]) -> List[Any]:
        if len(net_inputs) == 1:
            return [self._model(**net_inputs[0])]
        left_pad_source, left_pad_target = self._flags.left_pad_source, self._flags.left_pad_target
        sources = self._together([inputs["src_tokens"] for inputs in net_inputs], left_pad_source)
        targets = self._together([inputs["prev_output_tokens"] for inputs in net_inputs], left_pad_target)
        lengths, order = torch.cat([inputs["src_lengths"] for inputs in net_inputs]).sort(descending=True)
        output = self._model(sources[order], lengths, targets[order])[0]
        columns = [inputs["prev_output_tokens"].size(1) for inputs in net_inputs]
        projected = isinstance(output, Projected)
        rows = (output.features if projected else output)[order.argsort()]
        parts = []
        for found, count in zip(rows.split([len(inputs["src_tokens"]) for inputs in net_inputs]), columns):
            found = found[:, -count:] if left_pad_target else found[:, :count]
            parts.append((output._replace(features=found) if projected else found, None))
        return parts

    def _together(self, batches: List[Tensor], left_pad: bool) -> Tensor:
        """The rows of several batches of tokens, made equally wide by padding, where the others have theirs."""
        width = max(tokens.size(1) for tokens in batches)
        missing = [width - tokens.size(1) for tokens in batches]
        sides = [(count, 0) if left_pad else (0, count) for count in missing]
        return torch.cat([nn.functional.pad(tokens, side, value=self._pad) for tokens, side in zip(batches, sides)])


def _unwrapped(model: nn.Module) -> nn.Module:
    """Without what data-parallel training puts around it."""
    while hasattr(model, "module"):
        model = model.module  # type: ignore[assignment]
    return model


def resources_of_one_direction(task, criterion: str) -> Resources:
    """What `terms` are given, from fairseq's translation task."""
    flags = task.cfg
    direction = Direction(flags.source_lang, flags.target_lang)

    def no_frozen_pair(path: str):
        raise NotImplementedError("round trips require both directions")

    return Resources(
        criterion=criterion,
        directions=OnlyDirection(direction),
        dictionaries={direction.source: task.source_dictionary, direction.target: task.target_dictionary},
        flags=flags,
        marginals={},
        monolingual=(),
        longest=lambda language: flags.max_target_positions,
        frozen_pair=no_frozen_pair,
        as_pair=lambda model: OneModel(model, direction, flags, task.target_dictionary.pad()),
    )
