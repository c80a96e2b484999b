"""Causal convolutions (van den Oord et al. 2016, Pixel recurrent neural networks, section 3.4), and their cache.

What they put out for a pixel depends on the pixels before it, row by row from the top left, and on those channels of
its own that come before, R, G, B. Maps are shared out among the channels: the first third stands for R, and so on.

Each network here is evaluated in one of two ways: on whole images, or with a `Cache` pixel by pixel, when each layer
computes one pixel and finds in the cache what it was given of the earlier ones.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
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
        """The inputs of each layer, with its padding around them; maps last, so that a window is few copies."""
        self.weights: dict[nn.Module, Tensor] = {}

    def apply(self, layer: "CausalConv2d", x: Tensor) -> Tensor:
        """The layer at the current pixel or row; `x` is what it is given there, or of the rows up to there."""
        up, left, right = layer.up, layer.left, layer.right
        if layer not in self.given:
            shape = (x.shape[0], self.height + up, left + self.width + right, x.shape[1])
            self.given[layer] = x.new_zeros(shape)
            self.weights[layer] = (layer.weight * layer.mask).permute(2, 3, 1, 0).flatten(0, 2).contiguous()
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
        inputs: Int[Tensor, " i"],
        outputs: Int[Tensor, " o"],
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
        mask = torch.ones(shape)
        mask[:, :, -1] = 1.0 if see == "row" else 0.0
        if see in ("A", "B"):
            mask[:, :, -1, : self.left] = 1.0
            before, own = inputs[None] < outputs[:, None], inputs[None] == outputs[:, None]
            mask[:, :, -1, self.left] = (before | own if see == "B" else before).to(mask.dtype)
        self.register_buffer("mask", mask, persistent=False)
        self.mask: Tensor

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Maps of whole images or, with a cache, of its pixel or row."""
        if cache is not None:
            return cache.apply(self, x)
        return conv2d(pad(x, (self.left, self.right, self.up, 0)), self.weight * self.mask, self.bias)


def shared_out(maps: int, channels: int) -> Int[Tensor, " maps"]:
    """The channel that each map stands for: the first share of them for the first channel, and so on."""
    return torch.arange(maps) * channels // maps


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


class ResidualBlock(nn.Module):
    """Figure 5, left: 2h maps to h, a masked convolution, and back to 2h, added to what came in."""

    def __init__(self, h: int, kernel: int, channels: int) -> None:
        super().__init__()
        outer, inner = shared_out(2 * h, channels), shared_out(h, channels)
        self.narrow = CausalConv2d(outer, inner, (1, 1), "B")
        self.masked = CausalConv2d(inner, inner, (kernel, kernel), "B")
        self.wide = CausalConv2d(inner, outer, (1, 1), "B")

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n i *place"]:
        """The maps after the block."""
        inner = self.masked(self.narrow(x.relu(), cache).relu(), cache)
        sum_: Tensor = x + self.wide(inner.relu(), cache)
        return sum_


class Plain(nn.Module):
    """The PixelCNN of table 1. Stacked masks leave a blind spot: pixels above, to the right, that no layer reaches."""

    def __init__(
        self, channels: int, h: int, depth: int, kernel: int, first_kernel: int, head: int, outputs: int
    ) -> None:
        super().__init__()
        size = (first_kernel, first_kernel)
        self.first = CausalConv2d(torch.arange(channels), shared_out(2 * h, channels), size, "A")
        self.blocks = nn.ModuleList(ResidualBlock(h, kernel, channels) for _ in range(depth))
        self.head = Head(2 * h, head, channels, outputs)

    def forward(self, x: Float[Tensor, "n c *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Logits of whole images; with a cache, of its pixel, `x` being the rows up to there."""
        x = self.first(x, cache)
        for block in self.blocks:
            x = block(x, cache)
        logits: Tensor = self.head(x, cache)
        return logits

    def begin_row(self, rows: Float[Tensor, "n c h w"], cache: Cache) -> None:
        """Nothing: every layer goes from pixel to pixel."""


class GatedLayer(nn.Module):
    """Figure 2 of van den Oord et al. 2016, Conditional image generation: a vertical and a horizontal convolution.

    Maps of the vertical stack know the rows above alone, at every column, and so nothing is left unseen: what the
    horizontal stack of a pixel is given of them stands in the pixel's own place.
    """

    def __init__(self, inputs: int, p: int, kernel: int, channels: int, first: bool) -> None:
        super().__init__()
        given, maps = shared_out(inputs, channels), shared_out(p, channels)
        both = torch.cat([maps, maps])
        self.first = first
        self.vertical = CausalConv2d(given, both, (kernel, kernel), "above" if first else "row")
        self.down = CausalConv2d(both, both, (1, 1), "row")
        self.horizontal = CausalConv2d(given, both, (1, kernel), "A" if first else "B")
        self.out = CausalConv2d(maps, maps, (1, 1), "B")

    def above(self, v: Float[Tensor, "n i h w"], cache: Cache | None = None) -> tuple[Tensor, Tensor]:
        """The vertical stack's next maps, and what the horizontal stack is given of them."""
        found = self.vertical(v, cache)
        return gate(found), self.down(found, cache)

    def forward(self, h: Tensor, above: Tensor, cache: Cache | None = None) -> Tensor:
        """The horizontal stack's next maps."""
        found: Tensor = self.out(gate(self.horizontal(h, cache) + above), cache)
        return found if self.first else found + h


class Gated(nn.Module):
    """The Gated PixelCNN: two stacks without a blind spot."""

    def __init__(
        self, channels: int, p: int, depth: int, kernel: int, first_kernel: int, head: int, outputs: int
    ) -> None:
        super().__init__()
        rest = [GatedLayer(p, p, kernel, channels, first=False) for _ in range(depth - 1)]
        self.layers = nn.ModuleList([GatedLayer(channels, p, first_kernel, channels, first=True), *rest])
        self.head = Head(p, head, channels, outputs)

    def forward(self, x: Float[Tensor, "n c *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Logits of whole images; with a cache, of its pixel, `x` being the rows up to there."""
        column = None if cache is None else cache.column
        rows = self.above(x) if cache is None else cache.above
        for layer, above in zip(self.layers, rows, strict=True):
            x = layer(x, above if column is None else above[:, :, 0, column], cache)
        logits: Tensor = self.head(x, cache)
        return logits

    def above(self, v: Float[Tensor, "n c h w"], cache: Cache | None = None) -> list[Tensor]:
        """What each layer's horizontal stack is given of the vertical one."""
        found = []
        for layer in self.layers:
            v, down = layer.above(v, cache)
            found.append(down)
        return found

    def begin_row(self, rows: Float[Tensor, "n c h w"], cache: Cache) -> None:
        """The vertical stack of the row, which asks for the rows above alone."""
        cache.above = self.above(rows, cache)


def gate(x: Float[Tensor, "n twice *place"]) -> Float[Tensor, "n once *place"]:
    """tanh of one half of the maps times sigmoid of the other (equation 2)."""
    f, g = x.chunk(2, dim=1)
    return f.tanh() * g.sigmoid()
