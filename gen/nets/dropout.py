"""Dropout (Srivastava et al. 2014) whose masks are rows of the loss's Noise: the same however a batch is shared.

torch's own draws from a generator of the process, so what it drops would depend on the worker a row is on.
"""

import torch
from torch import Tensor, nn

from gen.family import Noise


class Dropout(nn.Module):
    """Zeroes each number with probability `share` in training, and divides the rest by 1 - share."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """`x`, with some of its numbers dropped.

        Args:
            x: as many rows as the noise has, or a multiple (real rows and then generated ones, say).
            noise: of the loss; may be None in evaluation mode, where nothing is dropped.

        Raises:
            ValueError: there is no noise in training mode, or not a row of it for each row of `x`.
        """
        if not (self.training and self.share):
            return x
        if noise is None or x.shape[0] % noise.rows:
            rows = "no noise" if noise is None else f"noise of {noise.rows} rows"
            raise ValueError(f"dropout of {x.shape[0]} rows by {rows}; give the networks the noise of the loss")
        return x * kept(x, noise, self.share)


class Layers(nn.Sequential):
    """nn.Sequential that gives the noise to those of its layers that drop."""

    def forward(self, x: Tensor, noise: Noise | None = None) -> Tensor:
        """`x` after all layers."""
        for layer in self:
            x = layer(x, noise) if isinstance(layer, Layers | Dropout) else layer(x)
        return x


def kept(x: Tensor, noise: Noise, share: float) -> Tensor:
    """1 / (1 - share) where a number of `x` is kept, else 0."""
    draws = [noise.bernoulli(*x.shape[1:], probability=1 - share) for _ in range(x.shape[0] // noise.rows)]
    mask = draws[0] if len(draws) == 1 else torch.cat(draws)
    return mask.to(x.dtype).mul_(1 / (1 - share))
