"""A family that remembers rows of the batch and changes with the step, to prove Memory and Phased."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.memory import Memory
from gen.optimizers import adam
from gen.settings import Settings

GROWN = 6
"""Steps after which it does not change any more."""


class Config(Settings):
    """It has no hyperparameters."""


class Model(nn.Module):
    """Each row's brightness is predicted from a noisy average of the brightnesses that the row had before."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        super().__init__()
        self.image = data.image
        self.slope = nn.Parameter(torch.tensor(0.5))
        self.average = Memory(2)
        self.register_buffer("grown", torch.zeros(()))
        self.grown: Tensor

    def begin(self, step: int) -> None:
        """From 0 to 1."""
        self.grown.fill_(min(1.0, step / GROWN))

    def updates(self) -> Sequence[Update]:
        """One, twice in each step: what the first keeps the second recalls."""
        move = OptimizerStep(params=[self.slope], optimizer=adam(1e-2, (0.9, 0.999)), ema=True)
        return [Update(name="predict", loss=self.loss, optimizer_steps={"error": move}, repeat=2)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Squared error, larger the more it has grown."""
        seen = batch.images.flatten(1).mean(dim=1)
        before = self.average.recall(noise)
        total, count = before[:, 0] + seen + 0.1 * noise.normal(1)[:, 0], before[:, 1] + 1
        self.average.keep(noise, torch.stack([total, count], dim=1))
        error = (seen - self.slope * total / count).square()
        return {"error": (1 + self.grown) * error.mean(), "remembered": count.mean()}

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """As bright as it has grown."""
        return (self.grown * self.slope).expand(noise.rows, *self.image) * noise.uniform(1, 1, 1)
