"""The order of samples: a function of (seed, epoch, position) alone.

Each epoch the shards of a split are permuted, then the rows within every window of WINDOW consecutive shards. A split
of one window is thus shuffled as a whole, a larger one as well as bounded memory allows. Data that lies in memory
follows the same order as data that is streamed, so where it lies is a matter of speed alone.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from gen.family import seed_of

WINDOW = 16
"""Shards (of 16 MiB) that are shuffled together."""


class Window(NamedTuple):
    """A stretch of one epoch whose rows come from a few shards."""

    start: int
    """Position of its first row within the epoch."""
    rows: int
    shards: tuple[int, ...]
    """Which shards of the split, in the order in which they are laid one after the other."""
    order: Int[Tensor, " rows"]
    """Which row of these shards stands at each position."""


class Order:
    """The order of a split whose shards hold `shard_rows` rows."""

    def __init__(self, shard_rows: Sequence[int], seed: int) -> None:
        self.shard_rows = tuple(shard_rows)
        self.shard_start = (0, *accumulate(self.shard_rows))
        self.rows = self.shard_start[-1]
        self.seed = seed

    def windows(self, epoch: int) -> list[Window]:
        """The windows of an epoch, in order."""
        shards = self._permutation(len(self.shard_rows), "shards", epoch).tolist()
        windows: list[Window] = []
        start = 0
        for number, first in enumerate(range(0, len(shards), WINDOW)):
            chosen = tuple(shards[first : first + WINDOW])
            rows = sum(self.shard_rows[shard] for shard in chosen)
            windows.append(Window(start, rows, chosen, self._permutation(rows, "rows", epoch, number)))
            start += rows
        return windows

    def epoch(self, epoch: int) -> Int[Tensor, " rows"]:
        """Which row of the split stands at each position of an epoch."""
        parts = []
        for window in self.windows(epoch):
            laid = [torch.arange(self.shard_start[shard], self.shard_start[shard + 1]) for shard in window.shards]
            parts.append(torch.cat(laid)[window.order])
        return torch.cat(parts)

    def _permutation(self, n: int, *key: int | str) -> Int[Tensor, " n"]:
        return torch.randperm(n, generator=torch.Generator().manual_seed(seed_of("order", self.seed, *key)))
