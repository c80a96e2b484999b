"""Optimizers as a Move takes them: a function of the parameters, fused and capturable where the device allows."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.optim import Optimizer

Maker = Callable[[Sequence[nn.Parameter]], Optimizer]


def adam(lr: float, betas: tuple[float, float]) -> Maker:
    """Adam (Kingma & Ba 2015), one fused kernel per step; on CUDA it can be part of a captured graph."""

    def make(params: Sequence[nn.Parameter]) -> Optimizer:
        return torch.optim.Adam(params, lr=lr, betas=betas, fused=True, capturable=params[0].is_cuda)

    return make


def rmsprop(lr: float) -> Maker:
    """RMSProp with torch's alpha of 0.99, as the published WGAN code uses it."""

    def make(params: Sequence[nn.Parameter]) -> Optimizer:
        return torch.optim.RMSprop(params, lr=lr, foreach=True, capturable=params[0].is_cuda)

    return make


def sgd(lr: float) -> Maker:
    """Gradient descent without momentum."""

    def make(params: Sequence[nn.Parameter]) -> Optimizer:
        return torch.optim.SGD(params, lr=lr, fused=True)

    return make
