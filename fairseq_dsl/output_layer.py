"""A model's last layer, which is left out where the loss needs no logits: its input and parameters stand for them."""

import contextlib
from typing import Any, Dict, List, Mapping, NamedTuple, Optional
from weakref import WeakKeyDictionary

import torch
from fairseq.models.lstm import LSTMDecoder
from torch import Tensor, nn


class Projected(NamedTuple):
    """What stands for logits, ``features @ weight.T + bias``: all that `likelihood` requires of them.

    The parameters are views of the model's. Data-parallel training looks in a model's outputs for what a loss may
    reach; parameters that it does not find there it takes for unused.
    """

    features: Tensor
    """``(sentences, length, width)``."""
    weight: Tensor
    """``(vocabulary, width)``."""
    bias: Optional[Tensor]
    """``(vocabulary,)``."""

    def tempered(self, temperature: float) -> "Projected":
        """What stands for the logits divided by a temperature."""
        bias = None if self.bias is None else self.bias / temperature
        return Projected(self.features / temperature, self.weight, bias)


class OutputLayer(NamedTuple):
    """A plain projection to the vocabulary, with nothing between it and the softmax.

    Attributes:
        owner: the module that has the parameters.
        method: the name of its method that computes the logits.
    """

    owner: nn.Module
    method: str

    def projected(self, features: Tensor) -> Projected:
        if isinstance(self.owner, nn.Linear):
            weight, bias = self.owner.weight, self.owner.bias
        else:
            weight, bias = self.owner.embed_tokens.weight, None
        return Projected(features, weight.view_as(weight), None if bias is None else bias.view_as(bias))


@contextlib.contextmanager
def left_out(models: Mapping[nn.Module, Mapping[str, Any]]):
    """Within the block the output of each of these models has a `Projected` in place of its logits.

    Models whose output layer is no plain projection, such as those with an adaptive softmax, are left as they are.

    Args:
        models: each with a ``net_input``, on whose first row it is tried, once in each mode.
    """
    with contextlib.ExitStack() as stack:
        for model, net_input in models.items():
            layer = output_layer_of(model, net_input)
            if layer is not None:
                stack.enter_context(_in_place_of(layer, layer.projected))
        yield


_known: "WeakKeyDictionary[nn.Module, Dict[bool, Optional[OutputLayer]]]" = WeakKeyDictionary()
"""What the trial of a model found, in training and in evaluation mode."""


def output_layer_of(model: Any, net_input: Mapping[str, Any]) -> Optional[OutputLayer]:
    """The output layer of a model in its present mode, if it is a plain projection.

    What decides is how the model behaves: the first of its outputs has to be the very tensor that the layer returned,
    and its log-probabilities the log-softmax of that. Random numbers are left as they were.

    Args:
        net_input: of a batch; its first row is tried.
    """
    if not isinstance(getattr(model, "decoder", None), nn.Module):
        return None
    known = _known.setdefault(model, {})
    layer = known.get(model.training)
    if model.training not in known or layer is not None and layer not in _candidates(model.decoder):
        known[model.training] = layer = _found(model, {name: value[:1] for name, value in net_input.items()})
    return layer


@torch.no_grad()
def _found(model: nn.Module, net_input: Dict[str, Tensor]) -> Optional[OutputLayer]:
    returned: Dict[OutputLayer, List[Tensor]] = {}

    def recorded(layer: OutputLayer):
        compute = getattr(layer.owner, layer.method)

        def call(features):
            returned.setdefault(layer, []).append(compute(features))
            return returned[layer][-1]

        return call

    with contextlib.ExitStack() as stack:
        for layer in _candidates(model.decoder):  # type: ignore[arg-type]
            stack.enter_context(_in_place_of(layer, recorded(layer)))
        device = next(iter(net_input.values())).device
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        output = model(**net_input)
        lprobs = model.get_normalized_probs(output, log_probs=True)  # type: ignore[operator]
    for layer, calls in returned.items():
        if len(calls) == 1 and calls[0] is output[0]:
            wanted = calls[0].log_softmax(-1, dtype=lprobs.dtype)
            if lprobs.shape == wanted.shape and torch.allclose(lprobs, wanted, rtol=1e-4, equal_nan=True):
                return layer
    return None


def _candidates(decoder: nn.Module) -> List[OutputLayer]:
    """What may be the output layer: linear layers that nothing else watches; shared embeddings of an LSTM."""
    found = [
        OutputLayer(module, "forward")
        for module in decoder.modules()
        if type(module) is nn.Linear
        and not (module._forward_hooks or module._backward_hooks or "forward" in vars(module))
    ]
    if isinstance(decoder, LSTMDecoder) and decoder.share_input_output_embed and decoder.adaptive_softmax is None:
        if "output_layer" not in vars(decoder):
            found.append(OutputLayer(decoder, "output_layer"))
    return found


@contextlib.contextmanager
def _in_place_of(layer: OutputLayer, stand_in):
    setattr(layer.owner, layer.method, stand_in)  # of this object alone, before that of its class
    try:
        yield
    finally:
        delattr(layer.owner, layer.method)
