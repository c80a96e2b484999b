"""Causal convolutions (van den Oord et al. 2016, Pixel recurrent neural networks, section 3.4), and their cache.

What they put out for a pixel depends on the pixels before it, row by row from the top left, and on those channels of
its own that come before, R, G, B. Maps are shared out among the channels: the first third stands for R, and so on.

A network of such layers is evaluated in one of two ways: on whole images, or with a `Cache` pixel by pixel, when each
layer computes one pixel and finds in the cache what it was given of the earlier ones.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

See = Literal["A", "B", "above", "row"]
"""What a layer sees in its pixel's own row: the pixels to the left and, of the pixel itself, the channels before (A) or
also its own channel (B); nothing, so only the rows above; or, of maps that know only the rows above, the whole row."""


class Cache:
    """Where an evaluation pixel by pixel stands, and what layers were given so far.

    At a pixel, maps have the shape (n, maps); of a whole row, which vertical stacks compute at once, (n, maps, 1, w).
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.row = 0
        self.column: int | None = None
        """None: the whole row is computed."""
        self.above: list[Tensor] = []
        """What a network has computed from the rows above, for its whole row."""
        self.given: dict[nn.Module, Tensor] = {}
        """The inputs of each layer that sees earlier pixels, with its padding around them; maps last, so that a window
        is few copies."""
        self.weights: dict[nn.Module, Tensor] = {}
        self.kept: dict[nn.Module, tuple[Tensor, ...]] = {}
        """What recurrent layers keep of every pixel, maps last, with a row above and a column on either side."""

    def keep(self, layer: nn.Module, rows: int, *maps: int) -> tuple[Tensor, ...]:
        """What the layer keeps of every pixel: tensors of so many maps, zero at first; [row + 1, column + 1] is one."""
        if layer not in self.kept:
            like = next(layer.parameters())
            self.kept[layer] = tuple(like.new_zeros(rows, self.height + 1, self.width + 2, each) for each in maps)
        return self.kept[layer]

    def apply(self, layer: "CausalConv2d", x: Tensor) -> Tensor:
        """The layer at the current pixel or row; `x` is what it is given there, or of the rows up to there."""
        up, left, right = layer.up, layer.left, layer.right
        if layer not in self.weights:
            self.weights[layer] = (layer.weight * layer.mask).permute(2, 3, 1, 0).flatten(0, 2).contiguous()
            if up or left or right:
                shape = (x.shape[0], self.height + up, left + self.width + right, x.shape[1])
                self.given[layer] = x.new_zeros(shape)
        if layer not in self.given and x.ndim == 2:  # a 1x1 convolution needs nothing of earlier pixels
            return torch.addmm(layer.bias, x, self.weights[layer])
        if layer not in self.given:
            return conv2d(x[:, :, -1:], layer.weight * layer.mask, layer.bias)
        given = self.given[layer]
        if x.ndim == 4:
            end = self.row + up + 1
            given[:, end - x.shape[2] : end, left : left + self.width] = x.permute(0, 2, 3, 1)
        elif self.column is not None:
            given[:, self.row + up, left + self.column] = x
        rows = given[:, self.row : self.row + up + 1]
        if self.column is None:
            return conv2d(rows.permute(0, 3, 1, 2), layer.weight * layer.mask, layer.bias)
        window = rows[:, :, self.column : self.column + left + right + 1]
        return torch.addmm(layer.bias, window.flatten(1), self.weights[layer])


class CausalConv2d(nn.Module):
    """A convolution whose kernel ends with its pixel's own row, as much of it as may be seen."""

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        kernel: tuple[int, int],
        see: See,
    ) -> None:
        """Weights start as those of nn.Conv2d.

        Args:
            inputs: the channel that each map of the input stands for.
            outputs: the same of the output.
            kernel: height and width, both odd, of the convolution that is masked.
            see: what is seen of the pixel's own row.
        """
        super().__init__()
        self.up, self.left = kernel[0] // 2, kernel[1] // 2
        self.right = 0 if self.up == 0 and see in ("A", "B") else self.left
        shape = (len(outputs), len(inputs), self.up + 1, self.left + 1 + self.right)
        plain = nn.Conv2d(len(inputs), len(outputs), shape[2:])
        self.weight, self.bias = plain.weight, nn.Parameter(plain.bias.detach())  # type: ignore[union-attr]
        mask = np.ones(shape, np.float32)
        mask[:, :, -1] = 1.0 if see == "row" else 0.0
        if see in ("A", "B"):
            mask[:, :, -1, : self.left] = 1.0
            seen = np.less_equal if see == "B" else np.less
            mask[:, :, -1, self.left] = seen(np.asarray(inputs)[None], np.asarray(outputs)[:, None])
        self.register_buffer("mask", torch.tensor(mask), persistent=False)
        self.mask: Tensor

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Maps of whole images or, with a cache, of its pixel or row."""
        if cache is not None:
            return cache.apply(self, x)
        return conv2d(pad(x, (self.left, self.right, self.up, 0)), self.weight * self.mask, self.bias)


def shared_out(maps: int, channels: int) -> list[int]:
    """The channel that each map stands for: the first share of them for the first channel, and so on."""
    return [place * channels // maps for place in range(maps)]


class Head(nn.Module):
    """Two layers of ReLU and 1x1 convolution, mask B: from maps to the numbers of each channel."""

    def __init__(self, maps: int, head: int, channels: int, outputs: int) -> None:
        super().__init__()
        between = shared_out(head, channels)
        self.first = CausalConv2d(shared_out(maps, channels), between, (1, 1), "B")
        self.last = CausalConv2d(between, shared_out(channels * outputs, channels), (1, 1), "B")

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n o *place"]:
        """`outputs` numbers for the first channel, then for the next."""
        logits: Tensor = self.last(self.first(x.relu(), cache).relu(), cache)
        return logits
