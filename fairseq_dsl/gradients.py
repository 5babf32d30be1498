"""The gradients of each model of the pair, and of each critic: their norms, and clipping each on its own."""

from typing import Dict, Iterator, List, Tuple

import torch
import torch.nn as nn
from fairseq.logging import metrics
from torch import Tensor


def clip_and_log_gradients(optimizer, models: Dict[str, nn.Module], max_norm: float):
    """Clip each model's gradient at `max_norm` (0: do not); log its norm before any clipping, and its parameters' norm.

    Call it before the optimizer's step, when the gradients have been reduced over workers, divided by the sample size
    and clipped together (``--clip-norm``, which leaves each model its share of the norm).
    """
    clipped = [
        (direction, parts, norm_of(parts) * factor)
        for direction, parts, factor in gradients_by_model(optimizer, models)
    ]
    total = norm_of([norm for _, _, norm in clipped])
    before = getattr(optimizer, "norm_before_clipping", total)
    for direction, parts, norm in clipped:
        share = norm / total.clamp(min=torch.finfo(total.dtype).tiny)
        metrics.log_scalar(f"gnorm_{direction}", before * share, priority=410, round=3)
        pnorm = norm_of([p.detach() for p in models[direction].parameters() if p.requires_grad])
        metrics.log_scalar(f"pnorm_{direction}", pnorm, priority=420, round=3)
        # If the norm is not finite, AMP skips the update; without AMP the trainer has stopped before.
        if max_norm > 0 and torch.isfinite(norm) and norm > max_norm:
            for gradient in parts:
                gradient.mul_(max_norm / norm)


def gradients_by_model(optimizer, models: Dict[str, nn.Module]) -> Iterator[Tuple[str, List[Tensor], float]]:
    """Yield each direction with the gradients of its model, and the factor by which they are still to be multiplied.

    In single precision and under ``--amp`` these are the parameters' own. Under ``--fp16`` they are those of the fp32
    copies: slices of one flat buffer in the order of the parameters, or one for each parameter; the loss scale and the
    sample size are in the optimizer's pending factor.
    """
    factor = getattr(optimizer, "_multiply_factor", 1.0)
    masters = {}
    if hasattr(optimizer, "fp32_params"):
        if optimizer.has_flat_params:
            flat = {device: params.grad for device, params in optimizer.fp32_params.items()}
            offset = {device: 0 for device in flat}
            for p in optimizer.fp16_params:
                device = p.device.index if p.device.index in flat else next(iter(flat))
                start, offset[device] = offset[device], offset[device] + p.numel()
                masters[p] = flat[device][start : offset[device]]
        else:
            masters = {p: p32.grad for p, p32 in zip(optimizer.fp16_params, optimizer.fp32_params)}
    for direction, model in models.items():
        parameters = [p for p in model.parameters() if p.requires_grad]
        gradients = [masters.get(p, p.grad) for p in parameters]
        yield direction, [g for g in gradients if g is not None], factor


def norm_of(tensors: List[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors together, in float32."""
    if not tensors:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t, dtype=torch.float32) for t in tensors]))
