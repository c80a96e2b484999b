"""What networks that grow are made of (Karras, Aila, Laine & Lehtinen 2018, sections 3 and 4)."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gen.nets.precision import at_least_float32

GROUP = 4
"""Rows whose deviation is taken together; 4 in the published code."""
EPSILON = 1e-8
"""Added to a square before its root is taken."""


class Convolution(nn.Conv2d):
    """Weights from N(0, 1), multiplied by He's constant at each use: the equalised learning rate (section 4.1).

    Adam's steps do not depend on the scale of a gradient, so that this way all weights learn equally fast.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int = 0, gain: float = sqrt(2)) -> None:
        """`gain`: of He's constant, gain / sqrt(inputs of a unit); 1 where no ReLU follows."""
        super().__init__(inputs, outputs, kernel, padding=padding)
        self.scale = gain / sqrt(inputs * kernel * kernel)
        nn.init.normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs height width"]:
        """The convolution with scaled weights."""
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """The vector of a pixel's maps, or a latent vector, divided by the root of its mean square (section 4.2)."""

    def forward(self, x: Float[Tensor, "n c ..."]) -> Float[Tensor, "n c ..."]:
        """Each vector on the sphere of radius sqrt(c)."""
        return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


class MinibatchDeviation(nn.Module):
    """One more map: how much the rows of a group differ, the mean of all standard deviations over them (section 3).

    A group has 4 rows, or the most that divide the rows evenly. Rows of a group are as far apart as possible, as in the
    published code: workers take every second, third, ... row, so they have the same groups as one worker has, as long
    as each has a multiple of 4 rows.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n more h w"]:
        """`x` with that map behind its own, which is the same number everywhere."""
        rows, _, height, width = x.shape
        size = max(size for size in range(1, GROUP + 1) if rows % size == 0)
        groups = at_least_float32(x).view(size, rows // size, *x.shape[1:])
        deviation = (groups.var(dim=0, correction=0) + EPSILON).sqrt().mean(dim=(1, 2, 3))
        everywhere = deviation.repeat(size)[:, None, None, None].expand(rows, 1, height, width)
        return torch.cat([x, everywhere.to(x.dtype)], dim=1)
