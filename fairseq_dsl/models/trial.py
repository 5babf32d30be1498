"""Whether a model can be trained to translate, found out by trying it on one sentence pair."""

import contextlib
from typing import Optional

import torch
import torch.nn as nn
from fairseq.data import Dictionary
from fairseq.distributed import FullyShardedDataParallel
from fairseq.modules import FairseqDropout
from fairseq.sequence_generator import SequenceGenerator

from ..errors import BadInput, first_line
from ..modes import in_evaluation_mode

WORDS = 2  # of each sentence of the trial
QUANTIZED = "fairseq.modules.quantization.scalar"


@contextlib.contextmanager
def failures_of(name: str):
    """Turn any exception within the block into `BadInput`: the architecture does not work with these flags and data."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except Exception as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise  # lack of memory does not mean that it is not a translation model
        raise BadInput(
            f"{name}: cannot be trained to translate with these flags and data ({first_line(error)}); "
            "choose a translation architecture, such as transformer"
        ) from error


def require_translation_model(model: nn.Module, source: Dictionary, target: Dictionary, name: str):
    """Refuse a model that cannot be trained on the likelihood of sentences, or cannot translate.

    The trial has no side effects: gradients, random number generators and the model's mode stay as they were.

    Args:
        source, target: the dictionaries.
        name: the flag and the architecture that it named, for messages.
    """
    if any(needs_gpu(module) for module in model.modules()):
        return
    with torch.random.fork_rng(devices=[]), in_evaluation_mode(model), failures_of(name):
        problem = _problem(model, source, target)
    if problem:
        raise BadInput(f"{name}: {problem}; choose a translation architecture, such as transformer")


def needs_gpu(module: nn.Module) -> bool:
    """Whether a module cannot be tried on the CPU."""
    return isinstance(module, FullyShardedDataParallel) or QUANTIZED in type(module).__module__


def _problem(model: nn.Module, source: Dictionary, target: Dictionary) -> Optional[str]:
    """What keeps a model from being a translation model, in words; None if nothing does."""
    for name, module in model.named_modules():  # checked here because the trial itself does not use dropout
        if isinstance(module, FairseqDropout) and not 0 <= module.p <= 1:
            return f"expected a dropout from 0 to 1, found {module.p} ({name})"
    lengths = [min(WORDS, int(limit) - 1) for limit in model.max_positions()]  # type: ignore[operator]
    src_tokens = torch.tensor([[len(source) - 1] * lengths[0] + [source.eos()]])
    gold = torch.tensor([[len(target) - 1] * lengths[1] + [target.eos()]])
    net_input = {"src_tokens": src_tokens, "src_lengths": torch.tensor([src_tokens.size(1)])}

    def log_probs(previous):
        return model.get_normalized_probs(model(**net_input, prev_output_tokens=previous), log_probs=True)

    previous = gold.roll(1, -1)
    lprobs = log_probs(previous)
    expected = (1, gold.size(1), len(target))
    if tuple(lprobs.shape) != expected:
        found = tuple(lprobs.shape)
        return f"expected log-probabilities of shape (sentences, length, vocabulary) = {expected}, found {found}"
    total = lprobs.detach().double().exp().sum(-1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-3):
        return f"expected probabilities that sum to 1, found a sum of {total[0, 0]:.3g}"
    if not _reaches_a_parameter(lprobs.gather(-1, gold.unsqueeze(-1)).sum(), model):
        return "found no parameter that the probabilities of translations depend on"
    with torch.no_grad():
        changed = previous.clone()
        changed[:, 1:] = target.unk()
        if not torch.allclose(log_probs(changed)[:, 0], lprobs[:, 0], atol=1e-3):
            return "it sees the words that it is to predict"
    generator = SequenceGenerator([model], target, beam_size=1, max_len_a=0, max_len_b=1, min_len=0)
    generator.generate([model], {"net_input": net_input})
    return None


def _reaches_a_parameter(loss: torch.Tensor, model: nn.Module) -> bool:
    """Whether a loss has a gradient; those that parameters have already stay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    if loss.requires_grad:
        loss.backward()  # torch.autograd.grad() is more than --checkpoint-activations allows
    found = any(parameter.grad is not None for parameter in parameters)
    for parameter, gradient in zip(parameters, before):
        parameter.grad = gradient
    return found
