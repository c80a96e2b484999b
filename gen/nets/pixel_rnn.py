"""The networks of the PixelRNN: LSTMs along the rows or the diagonals of an image.

What a layer is given of its input comes from a masked convolution of the whole image at once; only states go step by
step, a row or a diagonal at a time. Pixel by pixel, with a cache, a layer finds there the states of earlier pixels.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from gen.nets.masked import Cache, CausalConv2d, Head, shared_out


class RowLSTM(nn.Module):
    """Section 3.2: the state of a pixel comes from those of three pixels of the row above."""

    def __init__(self, maps: int, h: int, channels: int) -> None:
        super().__init__()
        self.given = CausalConv2d(shared_out(maps, channels), 4 * shared_out(h, channels), (1, 3), "B")
        self.state = nn.Conv1d(h, 4 * h, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n maps *place"]:
        """States of whole images or, with a cache, of its pixel."""
        given = self.given(x, cache)
        if cache is not None:
            return self.at_pixel(given, cache)
        cell = hidden = given.new_zeros(len(given), self.state.in_channels, given.shape[3])
        found = []
        for row in given.unbind(2):
            hidden, cell = lstm(row + self.state(hidden), cell)
            found.append(hidden)
        return torch.stack(found, dim=2)

    def at_pixel(self, given: Float[Tensor, "n gates"], cache: Cache) -> Float[Tensor, "n maps"]:
        """The pixel's state, which the cache keeps."""
        h, row, column = self.state.in_channels, cache.row, cast("int", cache.column)
        hidden, cell = cache.keep(self, len(given), h, h)
        seen = hidden[:, row, column : column + 3].flatten(1)
        here = hidden[:, row + 1, column + 1], cell[:, row + 1, column + 1]
        return written(here, lstm(torch.addmm(given, seen, by_pixel(self.state)), cell[:, row, column + 1]))

    def begin_row(self, cache: Cache) -> None:
        """Nothing: states come from the row above alone."""


class Diagonals(nn.Module):
    """One direction of section 3.3: the state of a pixel comes from those above it and to its left, in this order."""

    def __init__(self, maps: int, h: int, channels: int) -> None:
        super().__init__()
        self.given = CausalConv2d(shared_out(maps, channels), 4 * shared_out(h, channels), (1, 1), "B")
        self.state = nn.Conv1d(h, 4 * h, 2, bias=False)

    def forward(self, given: Float[Tensor, "n gates h w"]) -> Float[Tensor, "n maps h w"]:
        """States of whole images, a diagonal at a time: a column of the skewed image."""
        inside = skewed(torch.ones_like(given[:1, :1]))
        cell = hidden = given.new_zeros(len(given), self.state.in_channels, given.shape[2])
        found = []
        for column, there in zip(skewed(given).unbind(3), inside.unbind(3), strict=True):
            hidden, cell = lstm(column + self.state(pad(hidden, (1, 0))), cell)
            hidden, cell = hidden * there, cell * there
            found.append(hidden)
        return unskewed(torch.stack(found, dim=3))

    def step(self, given: Tensor, above: Tensor, side: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """State and cell of one pixel from the states above and beside it, and the cell beside it."""
        return lstm(torch.addmm(given, torch.cat([above, side], dim=1), by_pixel(self.state)), cell)


class DiagonalBiLSTM(nn.Module):
    """Section 3.3: from the top left, plus from the top right shifted down by a row, lest it knows later pixels."""

    def __init__(self, maps: int, h: int, channels: int) -> None:
        super().__init__()
        self.left, self.right = Diagonals(maps, h, channels), Diagonals(maps, h, channels)

    def forward(self, x: Float[Tensor, "n i *place"], cache: Cache | None = None) -> Float[Tensor, "n maps *place"]:
        """States of whole images or, with a cache, of its pixel."""
        left, right = self.left.given(x, cache), self.right.given(x, cache)
        if cache is not None:
            return self.at_pixel(left, right, cache)
        states: Tensor = self.left(left) + pad(self.right(right.flip(3)).flip(3), (0, 0, 1, -1))
        return states

    def at_pixel(self, left: Tensor, right: Tensor, cache: Cache) -> Float[Tensor, "n maps"]:
        """The pixel's state, which the cache keeps, with what the other direction is given here."""
        h, row, column = self.left.state.in_channels, cache.row, cast("int", cache.column)
        hidden, cell = cache.keep(self.left, len(left), h, h)
        given, from_right, _ = cache.keep(self.right, len(left), 4 * h, h, h)
        given[:, row + 1, column + 1] = right
        here = hidden[:, row + 1, column + 1], cell[:, row + 1, column + 1]
        above, side, before = hidden[:, row, column + 1], hidden[:, row + 1, column], cell[:, row + 1, column]
        return written(here, self.left.step(left, above, side, before)) + from_right[:, row, column + 1]

    def begin_row(self, cache: Cache) -> None:
        """The states from the right of the row above, all of whose pixels are known now."""
        if cache.row == 0:
            return
        given, hidden, cell = cache.kept[self.right]
        for column in range(cache.width, 0, -1):
            here = hidden[:, cache.row, column], cell[:, cache.row, column]
            above, side = hidden[:, cache.row - 1, column], hidden[:, cache.row, column + 1]
            written(here, self.right.step(given[:, cache.row, column], above, side, cell[:, cache.row, column + 1]))


class Recurrent(nn.Module):
    """The PixelRNN of table 1: a 7x7 convolution, LSTMs each of which adds to what it is given, and the head."""

    def __init__(
        self, *, channels: int, h: int, depth: int, first_kernel: int, head: int, outputs: int, diagonal: bool
    ) -> None:
        super().__init__()
        maps = shared_out(2 * h, channels)
        self.first = CausalConv2d(range(channels), maps, (first_kernel, first_kernel), "A")
        form = DiagonalBiLSTM if diagonal else RowLSTM
        self.lstms = nn.ModuleList(form(2 * h, h, channels) for _ in range(depth))
        self.wide = nn.ModuleList(CausalConv2d(shared_out(h, channels), maps, (1, 1), "B") for _ in range(depth))
        self.head = Head(2 * h, head, channels, outputs)

    def forward(self, x: Float[Tensor, "n c *place"], cache: Cache | None = None) -> Float[Tensor, "n o *there"]:
        """Logits of whole images; with a cache, of its pixel, `x` being the rows up to there."""
        x = self.first(x, cache)
        for layer, wide in zip(self.lstms, self.wide, strict=True):
            x = x + wide(layer(x, cache), cache)
        logits: Tensor = self.head(x, cache)
        return logits

    def begin_row(self, rows: Float[Tensor, "n c h w"], cache: Cache) -> None:
        """What layers compute of the row above at once."""
        for layer in self.lstms:
            layer.begin_row(cache)  # type: ignore[operator]


def lstm(gates: Float[Tensor, "n gates *place"], cell: Tensor) -> tuple[Tensor, Tensor]:
    """State and cell of an LSTM from the sums before its gates, in the order of equation 3: o, f, i, g."""
    o, f, i, g = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def skewed(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h columns"]:
    """Each row moved to the right by one more than the row above: diagonals are columns, h + w - 1 of them."""
    height, width = x.shape[2:]
    return pad(x, (0, height)).flatten(2)[:, :, :-height].reshape(*x.shape[:3], height + width - 1)


def unskewed(x: Float[Tensor, "n c h columns"]) -> Float[Tensor, "n c h w"]:
    """What `skewed` was made of."""
    height, columns = x.shape[2:]
    return pad(x.flatten(2), (0, height)).reshape(*x.shape[:3], columns + 1)[..., : columns + 1 - height]


def by_pixel(state: nn.Conv1d) -> Float[Tensor, "seen gates"]:
    """The convolution's weights as a matrix for what one pixel sees: place after place, maps last."""
    return state.weight.permute(2, 1, 0).flatten(0, 1)


def written(here: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> Tensor:
    """The state, after it and its cell were written to where the cache keeps them."""
    for place, value in zip(here, found, strict=True):
        place.copy_(value)
    return found[0]
