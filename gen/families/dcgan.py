"""DCGAN: Radford, Metz & Chintala 2015, Unsupervised representation learning with deep convolutional GANs.

Its five guidelines for stable training (section 3), all in gen/nets/convolutional.py:

    1. strided convolutions (discriminator) and fractionally strided ones (generator) instead of pooling
    2. batch norm in both, but not at the generator's output nor the discriminator's input
    3. no fully connected hidden layers
    4. ReLU in the generator, tanh at its output
    5. LeakyReLU with slope 0.2 in the discriminator

The algorithm is that of the GAN with the non-saturating loss:

    for each step
        k times: draw z and x; D descends  -log D(x) - log(1 - D(G(z)))
        draw z;  G descends                -log D(G(z))

z is uniform in [-1, 1]^100, weights start from N(0, 0.02), Adam with lr 2e-4 and beta1 0.5, batches of 128.

Deviations: kernels of 4x4 (see gen/nets/convolutional.py); the size of images and the width of networks are free; k is
free (1 in the published code). The discriminator whose features svm@ takes was trained with L2 weight decay in the
published experiment; here it has none.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import discriminator_loss, non_saturating, probabilities
from gen.nets.convolutional import Discriminator, Generator
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of DCGAN."""

    latent_dim: int = Field(default=100, ge=1)
    """Dimensions of z; 100 in the paper."""
    width: int = Field(default=128, ge=1)
    """Maps next to the image, doubled at every halving of its side; 128 in the paper."""
    k: int = Field(default=1, ge=1)
    """Discriminator steps per generator step; 1 in the published code."""
    lr: float = Field(default=2e-4, gt=0)
    """Of Adam, for both networks; 2e-4 in the paper."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; 0.5 in the paper."""


class Model(nn.Module):
    """Generator G and discriminator D."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is not a square of 16, 32, 64 or 128 pixels."""
        super().__init__()
        self.config = config
        self.generator = Generator(config.latent_dim, config.width, data.image)
        self.discriminator = Discriminator(config.width, data.image, norm="batch")

    def updates(self) -> Sequence[Update]:
        """k discriminator steps, then the generator's."""
        optimizer = adam(self.config.lr, (self.config.beta1, 0.999))
        discriminator = OptimizerStep(params=list(self.discriminator.parameters()), optimizer=optimizer)
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        return [
            Update(
                name="discriminator",
                loss=self.discriminator_loss,
                optimizer_steps={"discriminator": discriminator},
                repeat=self.config.k,
            ),
            Update(
                name="generator",
                uses_batch=False,
                loss=self.generator_loss,
                optimizer_steps={"generator": generator},
            ),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(x) - log(1 - D(G(z))); real and generated images apart, for batch norm's sake."""
        with torch.no_grad():
            generated = self.decode(self.prior(noise))
        real, fake = self.discriminator(batch.images), self.discriminator(generated)
        return {
            "discriminator": discriminator_loss(real, fake),
            **probabilities(real, fake),
        }

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(G(z))."""
        return {"generator": non_saturating(self.discriminator(self.decode(self.prior(noise))))}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Uniform in [-1, 1]."""
        return noise.uniform(self.config.latent_dim, low=-1.0, high=1.0)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z), in [-1, 1]."""
        images: Tensor = self.generator(z)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What the discriminator sees, for a linear classifier."""
        return self.discriminator.features(images)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One image for every row of noise."""
        return self.decode(self.prior(noise))
