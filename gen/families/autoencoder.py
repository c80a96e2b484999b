"""Autoencoder: Hinton & Salakhutdinov 2006, Reducing the dimensionality of data with neural networks.

An encoder squeezes x into a code z of few dimensions, and a decoder makes x of it again:

    minimise  E ||x - decode(encode(x))||^2

Nothing says where codes lie, so there is no prior to sample from: that is what the variational autoencoder adds.

Deviations: trained as a whole from a random start, not layer by layer as restricted Boltzmann machines; squared error
and tanh where the paper has cross entropy and sigmoids; ReLU in hidden layers; convolutional networks, which
the paper has not; Adam in place of conjugate gradients.
"""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.nets.forms import autoencoder_networks_for
from gen.nets.precision import at_least_float32
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the autoencoder."""

    latent_dim: int = Field(default=30, ge=1)
    """Dimensions of the code; 30 in the paper's experiments with digits."""
    convolutional: bool = False
    """Whether encoder and decoder are the DCGAN's networks, for images of 16 to 128 pixels, or fully connected."""
    width: int = Field(default=1000, ge=1)
    """Units of each hidden layer, where the paper's have 1,000, 500 and 250; of convolutional networks, maps next to
    the image."""
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers of encoder and decoder, by default 3 as in the paper; the size decides of convolutional ones."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam; the usual one, since the paper has conjugate gradients."""


class Model(nn.Module):
    """Encoder and decoder; fully connected ones for images of any shape and for points."""

    held_out: ClassVar = "reconstruction_error"

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for convolutional networks with a depth, or of images that they do not make."""
        super().__init__()
        self.config = config
        self.encoder, self.decoder = autoencoder_networks_for(
            data.image,
            convolutional=config.convolutional,
            latent_dim=config.latent_dim,
            encoded=config.latent_dim,
            width=config.width,
            depth=config.depth,
            usual_depth=3,
            bounded=True,
        )

    def updates(self) -> Sequence[Update]:
        """One, of both networks."""
        move = OptimizerStep(params=list(self.parameters()), optimizer=adam(self.config.lr, (0.9, 0.999)), ema=True)
        return [Update(name="reconstruction", loss=self.loss, optimizer_steps={"reconstruction": move})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """E ||x - decode(encode(x))||^2, the sum over an image's values."""
        return {"reconstruction": self.squared_error(batch.images).mean()}

    def squared_error(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """||x - decode(encode(x))||^2 of each image."""
        return at_least_float32(images - self.decode(self.encode(images))).square().flatten(1).sum(dim=1)

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """The mean square per value: it has no samples that checkpoints could be chosen by."""
        return self.squared_error(batch.images) / batch.images[0].numel()

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The code of each image."""
        code: Tensor = self.encoder(images)
        return code

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of codes, or points."""
        images: Tensor = self.decoder(z)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The encoder's last hidden layer, for a linear classifier."""
        return self.encoder.features(images)
