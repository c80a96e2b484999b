"""A family that is made with another, to prove parts: an encoder that inverts a trained decoder."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from gen.abilities import Latent
from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.frozen import Frozen
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """It has no hyperparameters."""


class Model(nn.Module):
    """Minimises |G(E(x)) - x|^2 over a linear E, where G is the decoder of the part."""

    needs_part = Latent
    held_out = "held_out_error"

    def __init__(self, config: Config, data: DataSpec, part: Frozen) -> None:
        super().__init__()
        self.part = part
        d = part.family.prior(Noise("resolution", rows=1)).shape[1]  # type: ignore[operator]
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(data.image), d))

    def updates(self) -> Sequence[Update]:
        """One, of the encoder alone."""
        step = OptimizerStep(params=[*self.encoder.parameters()], optimizer=adam(1e-2, (0.9, 0.999)), ema=True)
        return [Update(name="invert", loss=self.loss, optimizer_steps={"error": step})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """The mean over pixels and rows."""
        return {"error": (self.decode(self.encode(batch.images)) - batch.images).square().mean()}

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """The same, of each row."""
        error = self.decode(self.encode(batch.images)) - batch.images
        return error.square().flatten(1).mean(dim=1)

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """E(x)."""
        z: Tensor = self.encoder(images)
        return z

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z)."""
        made: Tensor = self.part.family.decode(z)  # type: ignore[operator]
        return made
