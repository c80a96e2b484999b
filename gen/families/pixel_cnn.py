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

from typing import Any

from pydantic import Field

from gen.family import DataSpec
from gen.nets.autoregressive import outputs
from gen.nets.pixel_cnn import Gated, Plain
from gen.nets.pixel_model import PixelModel, PixelSettings


class Config(PixelSettings):
    """Hyperparameters of the PixelCNN."""

    gated: bool = False
    """Whether it is the gated form, without a blind spot."""
    base_channels: int = Field(default=128, ge=1)
    """h: maps inside a residual block, half of those between blocks; or of each gated stack. 128 for CIFAR-10."""
    depth: int = Field(default=15, ge=1)
    """Residual blocks, or gated layers; 15 for CIFAR-10."""
    kernel: int = Field(default=3, ge=3)
    """Side of a masked convolution, odd."""


class Model(PixelModel):
    """Masked convolutions, plain or gated."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        common: dict[str, Any] = {
            "channels": data.image.channels,
            "depth": config.depth,
            "kernel": config.kernel,
            "first_kernel": config.first_kernel,
            "head": config.head_channels,
            "outputs": outputs(config.levels),
        }
        maps = config.base_channels
        super().__init__(Gated(p=maps, **common) if config.gated else Plain(h=maps, **common), config, data)
