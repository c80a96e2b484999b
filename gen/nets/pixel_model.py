"""What models of pixels have in common as families: settings, the likelihood as a loss, sampling, completion."""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from pydantic import Field, field_validator
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.levels import Binarisation, check_support, to_levels
from gen.nets.autoregressive import Autoregressive
from gen.optimizers import rmsprop
from gen.settings import Settings


class PixelSettings(Settings):
    """Hyperparameters of every model of pixels."""

    first_kernel: int = Field(default=7, ge=3)
    """Side of the first convolution, odd; it does not see the pixel itself (mask A)."""
    head_channels: int = Field(default=1024, ge=1)
    """Maps of the last hidden layer, a 1x1 convolution; 1,024 for CIFAR-10, 32 for MNIST."""
    levels: int = Field(default=256, ge=2, le=256)
    """Levels that a value is rounded to; with 2, pixels are binary, and p(x_i | ...) a Bernoulli distribution."""
    binarisation: Binarisation = "threshold"
    """How grey pixels become binary ones, with 2 levels: white from 1/2 up, or drawn with that probability."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of RMSProp; the papers chose one by hand for each data set."""
    max_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm when they exceed it."""

    @field_validator("first_kernel", "kernel", check_fields=False)
    @classmethod
    def _has_a_centre(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("input should be odd, so that a kernel has a centre")
        return value


class PixelModel(nn.Module):
    """A causal network and the images it says the probabilities of."""

    density: ClassVar = "exact"
    held_out: ClassVar = "nats"

    def __init__(self, network: nn.Module, config: PixelSettings, data: DataSpec) -> None:
        super().__init__()
        self.config, self.levels = config, config.levels
        self.pixels = Autoregressive(network, data.image, config.levels, config.binarisation)

    def updates(self) -> Sequence[Update]:
        """One."""
        move = OptimizerStep(
            params=list(self.parameters()),
            optimizer=rmsprop(self.config.lr),
            max_norm=self.config.max_norm,
            ema=True,
        )
        return [Update(name="likelihood", loss=self.loss, optimizer_steps={"nats": move})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log p(x), in nats an image."""
        return {"nats": -self.pixels.log_likelihood(batch.images, noise).mean()}

    def log_likelihood(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """log p(x) of each image in nats. Raises InputError of other shapes or values outside of [-1, 1]."""
        check_support(batch.images, self.pixels.image)
        return self.pixels.log_likelihood(batch.images, noise)

    def to_levels(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Int[Tensor, "n c h w"]:
        """What the probabilities are of."""
        return to_levels(images, self.levels, self.config.binarisation, noise)

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-log p(x): samples would take longer, and say less."""
        return -self.log_likelihood(batch, noise)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """Images pixel by pixel; of each, only what it changes is computed."""
        return self.pixels.sample(noise)

    def complete(
        self, images: Float[Tensor, "n c h w"], known: Bool[Tensor, "h w"], noise: Noise
    ) -> Float[Tensor, "n c h w"]:
        """Images whose first pixels are known. Raises InputError where a known pixel comes after an unknown one."""
        return self.pixels.complete(images, known, noise)
