"""What a family keeps of each row of the batch from step to step: a Markov chain, a pool of earlier images."""

from typing import cast

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from gen.family import Family, Noise
from gen.frozen import trained_modules


class Memory(nn.Module):
    """One value for each row of the global batch, zeros at first; a loss recalls and keeps the rows that its noise has.

    It is no part of the model: checkpoints hold it, exported weights do not. Rows are those of the global batch, so any
    number of workers and microbatches remember the same.
    """

    def __init__(self, *shape: int) -> None:
        """`shape` is that of one row's value."""
        super().__init__()
        self.shape = shape
        self.register_buffer("values", torch.zeros(0, *shape), persistent=False)
        self.values: Tensor

    def recall(self, noise: Noise) -> Shaped[Tensor, "rows ..."]:
        """What was kept of the noise's rows."""
        return self.values[noise.take]

    def keep(self, noise: Noise, values: Shaped[Tensor, "rows ..."]) -> None:
        """To be recalled at the next step."""
        self.values[noise.take] = values.detach()

    def make_room(self, rows: int) -> None:
        """For a global batch of so many rows; what was kept is forgotten."""
        self.values = self.values.new_zeros(rows, *self.shape)


def memories(family: Family) -> list[Memory]:
    """All that a family has; those of its part stay empty."""
    return [module for module in trained_modules(cast(nn.Module, family)) if isinstance(module, Memory)]
