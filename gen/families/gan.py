"""GAN: Goodfellow et al. 2014, Generative adversarial networks.

Algorithm 1:

    for each step
        k times: sample z(1..m) from p_g(z) and x(1..m) from the data
                 D ascends   1/m sum log D(x(i)) + log(1 - D(G(z(i))))
        sample z(1..m)
        G descends           1/m sum log(1 - D(G(z(i))))         minimax
        or ascends           1/m sum log D(G(z(i)))              non_saturating, section 3: stronger gradients early

Both networks are multilayer perceptrons. Deviations: Adam in place of SGD with momentum; LeakyReLU in D in place of
maxout; images in [-1, 1] through tanh in place of a sigmoid; z is standard normal (the paper leaves it open).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import discriminator_loss, minimax, non_saturating, probabilities
from gen.nets.mlp import Discriminator, Generator
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the GAN."""

    latent_dim: int = Field(default=100, ge=1)
    """Dimensions of z; 100 in the published code."""
    width: int = Field(default=1200, ge=1)
    """Units of each hidden layer; 1,200 in the published code's generator of MNIST."""
    depth: int = Field(default=2, ge=1)
    """Hidden layers of each network; 2 in the published code."""
    loss: Literal["minimax", "non_saturating"] = "non_saturating"
    """What the generator minimises; section 3 of the paper prefers the non-saturating loss."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of D's hidden units dropped while it trains; 0.5 in the published code, the paper says not how much."""
    k: int = Field(default=1, ge=1)
    """Discriminator steps per generator step; 1 in the paper."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam, for both networks; DCGAN's, since the paper has SGD."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; DCGAN's."""


class Model(nn.Module):
    """Generator G and discriminator D, for images of any shape and for points."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config.latent_dim, config.width, config.depth, data.image)
        self.discriminator = Discriminator(config.width, config.depth, data.image, norm="none", dropout=config.dropout)

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
        """-log D(x) - log(1 - D(G(z))), in one forward of D."""
        with torch.no_grad():
            generated = self.decode(self.prior(noise))
        real, fake = self.discriminator(torch.cat([batch.images, generated]), noise).chunk(2)
        return {"discriminator": discriminator_loss(real, fake), **probabilities(real, fake)}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """log(1 - D(G(z))) or -log D(G(z))."""
        loss = {"minimax": minimax, "non_saturating": non_saturating}[self.config.loss]
        return {"generator": loss(self.discriminator(self.decode(self.prior(noise)), noise))}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

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
