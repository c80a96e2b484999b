"""Exponential moving average of the weights that samples are drawn with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gen.config.params import Run
from gen.family import Family, Update
from gen.frozen import trained_modules


class MovingAverage:
    """Keeps average = d * average + (1 - d) * weight, for each of `weights`; they start equal.

    After t updates d is the smaller of `decay` and (1 + t) / (10 + t), so that a young average is not made of the
    initial weights (as tf.train.ExponentialMovingAverage has it).
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self.weights = list(weights)
        self.decay = decay
        self.averages = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def update(self, t: int) -> None:
        """Move the averages towards the weights, `t` updates having been made before."""
        if self.weights:
            torch._foreach_lerp_(self.averages, self.weights, 1 - min(self.decay, (1 + t) / (10 + t)))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The family holds the averages inside the block, its own weights again after it."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchange weights and averages."""
        for weight, average in zip(self.weights, self.averages, strict=True):
            weight.data, average.data = average.data, weight.data

    def state(self) -> list[Tensor]:
        """The averages, to be saved."""
        return self.averages

    def restore(self, saved: Sequence[Tensor]) -> None:
        """The averages as they were saved."""
        for average, value in zip(self.averages, saved, strict=True):
            average.copy_(value)


def moving_average(run: Run, family: Family, updates: Sequence[Update]) -> MovingAverage:
    """The average a run keeps: of what its optimizer steps say is sampled with, or of nothing.

    Running statistics of batch norm layers are averaged with the weights of their network: those of the live weights
    would not fit the averaged ones.
    """
    if run.ema is None:
        return MovingAverage([], 0.0)
    optimizer_steps = [move for update in updates for move in update.optimizer_steps.values() if move.ema]
    # By identity: a parameter of several steps, or a layer of several networks, is averaged once.
    chosen: dict[int, Tensor] = {id(param): param for move in optimizer_steps for param in move.params}
    networks = [network for _, network in family.named_children() if any(id(p) in chosen for p in network.parameters())]
    chosen |= {id(one): one for network in networks for layer in batch_norms(network) for one in running(layer)}
    return MovingAverage(list(chosen.values()), run.ema)


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Its batch norm layers, with or without weights of their own, but for those of a frozen part."""
    return [layer for layer in trained_modules(network) if isinstance(layer, _BatchNorm)]


def running(layer: _BatchNorm) -> list[Tensor]:
    """Running mean and variance of a layer that keeps them."""
    return [statistic for statistic in (layer.running_mean, layer.running_var) if statistic is not None]
