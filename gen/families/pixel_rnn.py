"""PixelRNN: van den Oord et al. 2016, Pixel recurrent neural networks.

    p(x) = prod_i p(x_i | x_1 .. x_(i-1)),    minimise  -log p(x)

The PixelCNN's factorisation, masks and likelihood (pixel_cnn.py), with layers that remember, in two forms:

- The Row LSTM (section 3.2) goes down the rows, all pixels of a row at once. Its state comes from three pixels of the
  row above, so that a pixel sees a triangle above it and has a blind spot beside that.
- The Diagonal BiLSTM (section 3.3) goes along the diagonals, from the top left and from the top right, all pixels of a
  diagonal at once, and sees what comes before a pixel.

In the Diagonal BiLSTM as published one pixel is left unseen all the same: the last one of the row above. The first
layer's mask hides a pixel from its own maps, the state from the right is shifted down by a row and begins with those
maps, and none further right has seen it; only the first convolution reaches it, near the right edge. A test shows this.

Deviations: no connections from each layer to the output (0.01 bits a dimension in table 2); states outside of the image
are zero, of which the paper says nothing; gradients are clipped.
"""

from typing import Literal

from pydantic import Field

from gen.family import DataSpec
from gen.nets.autoregressive import outputs
from gen.nets.pixel_model import PixelModel, PixelSettings
from gen.nets.pixel_rnn import Recurrent


class Config(PixelSettings):
    """Hyperparameters of the PixelRNN."""

    recurrence: Literal["row", "diagonal"] = "diagonal"
    """Along which an image is read: Row LSTM or Diagonal BiLSTM."""
    base_channels: int = Field(default=128, ge=1)
    """h: maps of a state, half of those between layers; 128 for CIFAR-10, 16 for MNIST."""
    depth: int = Field(default=12, ge=1)
    """Layers; 12 for CIFAR-10, 7 for MNIST."""


class Model(PixelModel):
    """Recurrent layers between the first convolution and the last two."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        network = Recurrent(
            channels=data.image.channels,
            h=config.base_channels,
            depth=config.depth,
            first_kernel=config.first_kernel,
            head=config.head_channels,
            outputs=outputs(config.levels),
            diagonal=config.recurrence == "diagonal",
        )
        super().__init__(network, config, data)
