"""PixelCNN: van den Oord et al. 2016, Pixel recurrent neural networks.

And its gated form: van den Oord et al. 2016, Conditional image generation with PixelCNN decoders.

    p(x) = prod_i p(x_i | x_1 .. x_(i-1)),    minimise  -log p(x)

Values come row by row from the top left, R before G before B, each with a softmax over its 256 levels, or a Bernoulli
distribution of binary pixels. Masked convolutions see the values before alone, so all terms come from one pass.

The plain form has a blind spot, pixels above and to the right that no mask of the stack reaches; the gated form has two
stacks and none: one goes down the rows above, one along the row (figures 1 and 2 of the second paper).

Deviations: no connections from each layer to the output (0.01 bits a dimension in table 2 of the first paper); the
gated form is not conditional, and its learning rate and clipped gradients are ours, since neither paper has them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Bool, Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.levels import Binarisation, check_support
from gen.nets.autoregressive import Autoregressive, outputs
from gen.nets.pixel_cnn import Gated, Plain
from gen.optimizers import rmsprop
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the PixelCNN."""

    gated: bool = False
    """Whether it is the gated form, without a blind spot."""
    base_channels: int = Field(default=128, ge=1)
    """h: maps inside a residual block, half of those between blocks; or of each gated stack. 128 for CIFAR-10."""
    depth: int = Field(default=15, ge=1)
    """Residual blocks, or gated layers; 15 for CIFAR-10."""
    kernel: int = Field(default=3, ge=3)
    """Side of a masked convolution, odd."""
    first_kernel: int = Field(default=7, ge=3)
    """Side of the first one, which does not see the pixel itself (mask A)."""
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

    @field_validator("kernel", "first_kernel")
    @classmethod
    def _has_a_centre(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("input should be odd, so that a kernel has a centre")
        return value


class Model(nn.Module):
    """The network and the images it says the probabilities of."""

    density: ClassVar = "exact"

    def __init__(self, config: Config, data: DataSpec) -> None:
        super().__init__()
        self.config = config
        common = {
            "channels": data.image.channels,
            "depth": config.depth,
            "kernel": config.kernel,
            "first_kernel": config.first_kernel,
            "head": config.head_channels,
            "outputs": outputs(config.levels),
        }
        maps = config.base_channels
        network = Gated(p=maps, **common) if config.gated else Plain(h=maps, **common)
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
        """log p(x) of each image in nats. Raises InputError where a value is outside of [-1, 1]."""
        check_support(batch.images)
        return self.pixels.log_likelihood(batch.images, noise)

    def held_out_loss(self, batch: Batch, noise: Noise) -> Mapping[str, Float[Tensor, " n"]]:
        """-log p(x): samples would take longer, and say less."""
        return {"nats": -self.log_likelihood(batch, noise)}

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """Images pixel by pixel; of each, only what it changes is computed."""
        return self.pixels.sample(noise)

    def complete(
        self, images: Float[Tensor, "n c h w"], known: Bool[Tensor, "h w"], noise: Noise
    ) -> Float[Tensor, "n c h w"]:
        """Images whose first pixels are known. Raises InputError where a known pixel comes after an unknown one."""
        return self.pixels.complete(images, known, noise)
