"""The networks of the PixelCNN: masked convolutions in one stack, or in a vertical and a horizontal one."""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from gen.nets.masked import Cache, CausalConv2d, Head, shared_out


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
        self, *, channels: int, h: int, depth: int, kernel: int, first_kernel: int, head: int, outputs: int
    ) -> None:
        super().__init__()
        size = (first_kernel, first_kernel)
        self.first = CausalConv2d(range(channels), shared_out(2 * h, channels), size, "A")
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
        both = maps + maps
        self.first = first
        self.vertical = CausalConv2d(given, both, (kernel, kernel), "above" if first else "row")
        self.down = CausalConv2d(both, both, (1, 1), "row")
        self.horizontal = CausalConv2d(given, both, (1, kernel), "A" if first else "B")
        self.out = CausalConv2d(maps, maps, (1, 1), "B")

    def vertical_maps(self, v: Float[Tensor, "n i h w"], cache: Cache | None = None) -> tuple[Tensor, Tensor]:
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
        self, *, channels: int, p: int, depth: int, kernel: int, first_kernel: int, head: int, outputs: int
    ) -> None:
        super().__init__()
        rest = [GatedLayer(p, p, kernel, channels, first=False) for _ in range(depth - 1)]
        self.layers = nn.ModuleList([GatedLayer(channels, p, first_kernel, channels, first=True), *rest])
        self.head = Head(p, head, channels, outputs)

    def forward(self, x: Float[Tensor, "n c *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Logits of whole images; with a cache, of its pixel, `x` being the rows up to there."""
        column = None if cache is None else cache.column
        rows = self.stack(x) if cache is None else cache.above
        for layer, above in zip(self.layers, rows, strict=True):
            x = layer(x, above if column is None else above[:, :, 0, column], cache)
        logits: Tensor = self.head(x, cache)
        return logits

    def stack(self, v: Float[Tensor, "n c h w"], cache: Cache | None = None) -> list[Tensor]:
        """What each layer's horizontal stack is given of the vertical one."""
        found = []
        for layer in cast("list[GatedLayer]", self.layers):
            v, down = layer.vertical_maps(v, cache)
            found.append(down)
        return found

    def begin_row(self, rows: Float[Tensor, "n c h w"], cache: Cache) -> None:
        """The vertical stack of the row, which asks for the rows above alone."""
        cache.above = self.stack(rows, cache)


def gate(x: Float[Tensor, "n twice *place"]) -> Float[Tensor, "n once *place"]:
    """tanh of one half of the maps times sigmoid of the other (equation 2)."""
    f, g = x.chunk(2, dim=1)
    return f.tanh() * g.sigmoid()
