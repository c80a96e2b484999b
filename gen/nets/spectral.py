"""Layers whose weights have a largest singular value of 1 (Miyato et al. 2018, Spectral normalization for GANs).

A weight W, seen as a matrix with a row for each output, is used as W / sigma. Its largest singular value sigma is found
by power iteration (algorithm 1), from a vector u that a layer keeps in a buffer:

    v <- W^T u / ||W^T u||        in every pass
    sigma = u^T W v               in every pass
    u <- W v / ||W v||            once per update of the weights

Deviation: the published code moves u in every pass. Here `power_iteration` does it, after an update. So a loss leaves
the network as it is, gradient accumulation sees one sigma, and u depends on weights alone, and is the same for all
workers.

Weights start orthogonal (Saxe et al. 2014), biases at 0.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class Normalised(nn.Module):
    """What such layers have in common. Each calls `begin` once its weight is there."""

    weight: Tensor
    u: Tensor

    def begin(self, bias: Tensor | None = None) -> None:
        """Initial weights, and a first u."""
        nn.init.orthogonal_(self.weight)
        if bias is not None:
            nn.init.zeros_(bias)
        self.register_buffer("u", nn.init.normal_(torch.empty(len(self.weight))))
        if not self.weight.is_meta:
            self.iterate()

    def normalised(self) -> Float[Tensor, "outputs ..."]:
        """W / sigma. Gradients pass through both."""
        with without_autocast(self.weight):
            sigma = self.u @ (self.weight.flatten(1) @ self.right())
            return self.weight / sigma

    @torch.no_grad()
    def right(self) -> Float[Tensor, " inputs"]:
        """v, the right singular vector as far as it is known."""
        return functional.normalize(self.u @ self.weight.flatten(1), dim=0)

    @torch.no_grad()
    def iterate(self) -> None:
        """Bring u nearer to the left singular vector of the weights as they are now."""
        self.u.copy_(functional.normalize(self.weight.flatten(1) @ self.right(), dim=0))


class Convolution(Normalised, nn.Conv2d):
    """A convolution that leaves the size of maps as it is."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> None:
        """`kernel` is odd."""
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.begin(self.bias)

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs h w"]:
        """Maps of the same size."""
        found: Tensor = self._conv_forward(maps, self.normalised(), self.bias)
        return found


class Linear(Normalised, nn.Linear):
    """A fully connected layer."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.begin(self.bias)

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Any numbers."""
        return functional.linear(x, self.normalised(), self.bias)


class Embedding(Normalised, nn.Embedding):
    """A row of weights for each class."""

    def __init__(self, classes: int, outputs: int) -> None:
        super().__init__(classes, outputs)
        self.begin()

    def forward(self, y: Int[Tensor, " n"]) -> Float[Tensor, "n outputs"]:
        """The rows of the given classes."""
        return functional.embedding(y, self.normalised())


def power_iteration(network: nn.Module) -> None:
    """One step for every layer of a network, after its weights have moved."""
    for layer in network.modules():
        if isinstance(layer, Normalised):
            layer.iterate()


def without_autocast(weight: Tensor) -> AbstractContextManager[None]:
    """Products of weights keep their precision. Nothing has any on meta, and autocast refuses it."""
    return nullcontext() if weight.is_meta else torch.autocast(weight.device.type, enabled=False)
