"""LSGAN: Mao et al. 2017, Least squares generative adversarial networks.

Equation 2, with a the target of generated images for D, b that of real ones, c the one G aims at:

    min_D  1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2
    min_G  1/2 E (D(G(z)) - c)^2

D has no sigmoid: samples on the right side of the boundary but far from it are pulled in too. Steps alternate as in the
GAN, k of D for one of G. b - c = 1 and b - a = 2 make it Pearson's chi^2 (section 3.2); the paper trains with 0, 1, 1.

Deviations: the networks are DCGAN's (the paper adds two layers for scenes of 112x112) with z uniform in [-1, 1]; Adam
alone, where the paper also tries RMSProp; points have MLPs (the paper's mixture experiment: three layers).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import least_squares
from gen.nets.forms import discriminator_for, generator_for
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of LSGAN."""

    latent_dim: int = Field(default=100, ge=1)
    """Dimensions of z; 100 as in DCGAN."""
    width: int = Field(default=128, ge=1)
    """Maps next to the image, doubled at every halving of its side; for points, units of each hidden layer.

    128 as in DCGAN.
    """
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers for points; null for images, whose size decides."""
    norm: Literal["batch", "layer", "none"] = "batch"
    """Normalisation in the discriminator; batch in the paper."""
    k: int = Field(default=1, ge=1)
    """Discriminator steps per generator step; 1 in the paper."""
    a: float = 0.0
    """What D should say of generated images; 0 in the paper."""
    b: float = 1.0
    """What D should say of real images; 1 in the paper."""
    c: float = 1.0
    """What G wants D to say of generated images; 1 in the paper."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam, for both networks; 2e-4 as in DCGAN."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; 0.5 in the paper."""


class Model(nn.Module):
    """Generator G and discriminator D."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is neither points nor a square of 16, 32, 64 or 128 pixels."""
        super().__init__()
        self.config = config
        self.generator = generator_for(data.image, config.latent_dim, config.width, config.depth)
        self.discriminator = discriminator_for(data.image, config.width, config.depth, config.norm)

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
                name="generator", loss=self.generator_loss, uses_batch=False, optimizer_steps={"generator": generator}
            ),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2; real and generated images apart, for batch norm's sake."""
        with torch.no_grad():
            generated = self.decode(self.prior(noise))
        real, fake = self.discriminator(batch.images), self.discriminator(generated)
        loss = least_squares(real, self.config.b) + least_squares(fake, self.config.a)
        return {"discriminator": loss, "d_real": real.detach().mean(), "d_fake": fake.detach().mean()}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """1/2 (D(G(z)) - c)^2."""
        scores = self.discriminator(self.decode(self.prior(noise)))
        return {"generator": least_squares(scores, self.config.c)}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Uniform in [-1, 1]."""
        return noise.uniform(self.config.latent_dim, low=-1.0, high=1.0)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z): images in [-1, 1], or points."""
        images: Tensor = self.generator(z)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What the discriminator sees, for a linear classifier."""
        return self.discriminator.features(images)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One sample for every row of noise."""
        return self.decode(self.prior(noise))
