"""Whether a model can be trained to translate: by trying it, with one pair of sentences."""

import contextlib
from typing import Optional

import torch
import torch.nn as nn
from fairseq.data import Dictionary
from fairseq.distributed import FullyShardedDataParallel
from fairseq.modules import FairseqDropout
from fairseq.sequence_generator import SequenceGenerator

from ..errors import BadInput, first_line
from ..sampling import in_evaluation_mode

WORDS = 2  # of each sentence of the trial
QUANTIZED = "fairseq.modules.quantization.scalar"


@contextlib.contextmanager
def failures_of(name: str):
    """What an architecture fails with, of any kind, is bad input: it is no architecture for these flags and data."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except Exception as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise  # it may be an architecture of translation models all the same
        raise BadInput(
            f"{name}: cannot be trained to translate with these flags and data ({first_line(error)}); "
            "expected an architecture of translation models, such as transformer"
        ) from error


def require_translation_model(model: nn.Module, source: Dictionary, target: Dictionary, name: str):
    """Refuse a model that cannot be trained by the likelihood of sentences, or cannot be translated with.

    Nothing is left behind: no gradients, and the random numbers and the mode of the model are as they were.

    Args:
        source, target: the dictionaries.
        name: of the architecture, and the flag that named it.
    """
    if any(needs_gpu(module) for module in model.modules()):
        return
    with torch.random.fork_rng(devices=[]), in_evaluation_mode(model), failures_of(name):
        problem = _problem(model, source, target)
    if problem:
        raise BadInput(f"{name}: {problem}; expected an architecture of translation models, such as transformer")


def needs_gpu(module: nn.Module) -> bool:
    return isinstance(module, FullyShardedDataParallel) or QUANTIZED in type(module).__module__


def _problem(model: nn.Module, source: Dictionary, target: Dictionary) -> Optional[str]:
    for name, module in model.named_modules():  # out of use in a trial without randomness
        if isinstance(module, FairseqDropout) and not 0 <= module.p <= 1:
            return f"has a dropout of {module.p} ({name}), expected a number from 0 to 1"
    lengths = [min(WORDS, int(limit) - 1) for limit in model.max_positions()]
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
        return f"gives log-probabilities of the shape {found}, not of (sentences, length, vocabulary) = {expected}"
    total = lprobs.detach().double().exp().sum(-1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-3):
        return f"gives probabilities that sum to {total[0, 0]:.3g}, not to 1"
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = lprobs.gather(-1, gold.unsqueeze(-1)).sum()
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True) if loss.requires_grad else []
    if all(gradient is None for gradient in gradients):
        return "has no parameter that the probabilities of translations depend on"
    with torch.no_grad():
        changed = previous.clone()
        changed[:, 1:] = target.unk()
        if not torch.allclose(log_probs(changed)[:, 0], lprobs[:, 0], atol=1e-3):
            return "sees the words that it is to predict"
    generator = SequenceGenerator([model], target, beam_size=1, max_len_a=0, max_len_b=1, min_len=0)
    generator.generate([model], {"net_input": net_input})
    return None
