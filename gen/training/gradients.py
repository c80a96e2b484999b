"""Gradients after they are taken: added up over microbatches, cut to a norm, and handed to an optimizer."""

import torch
from torch import Tensor

from gen.family import OptimizerStep, constant


def clip(gradients: list[Tensor | None], max_norm: float | None) -> Tensor:
    """Scale gradients down to `max_norm`, in place, when they exceed it. Returns their norm before that."""
    found = [gradient for gradient in gradients if gradient is not None]
    norm: Tensor = torch.stack(torch._foreach_norm(found)).norm()
    if max_norm is not None:
        torch._foreach_mul_(found, (max_norm / (norm + 1e-12)).clamp(max=1.0))
    return norm


def apply(move: OptimizerStep, gradients: list[Tensor | None], optimizer: torch.optim.Optimizer, step: int) -> None:
    """Make one move: the optimizer sees these gradients and no others."""
    if move.schedule is not constant:
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * move.schedule(step)
    for param, gradient in zip(move.params, gradients, strict=True):
        # A compiled network's gradients may lie otherwise in memory; the fused kernels go by address alone.
        if gradient is None or gradient.stride() == param.stride():
            param.grad = gradient
        else:
            param.grad = torch.empty_like(param).copy_(gradient)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def add(total: list[Tensor | None] | None, more: tuple[Tensor | None, ...], weight: float) -> list[Tensor | None]:
    """total + weight * more, gradient by gradient; None where no loss reaches a parameter."""
    if weight == 1.0:
        return list(more)
    scaled = [None if gradient is None else gradient * weight for gradient in more]
    if total is None:
        return scaled
    return [old if new is None else new if old is None else old + new for old, new in zip(total, scaled, strict=True)]
