"""Conditional GAN: Mirza & Osindero 2014, Conditional generative adversarial nets.

Equation 2, with y the class, an input of both networks:

    min_G max_D  E log D(x | y) + E log(1 - D(G(z | y) | y))

x and y of a step come from one batch: D sees generated images with the labels of the real ones. Steps alternate as in
the GAN, one of each network.

Deviations: LeakyReLU in D in place of maxout; Adam in place of SGD whose rate and momentum change; images in [-1, 1]
through tanh in place of a sigmoid; z is standard normal; G minimises -log D (Goodfellow et al. 2014, section 3); z, y
and x have hidden layers of one width, the paper's of 200, 1,000 and 240.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import discriminator_loss, non_saturating, probabilities
from gen.nets.conditional import Discriminator, Generator
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the conditional GAN. The number of classes is the data set's."""

    latent_dim: int = Field(default=100, ge=1)
    """Dimensions of z; 100 in the paper."""
    width: int = Field(default=1200, ge=1)
    """Units of each hidden layer; 1,200 in the paper's generator, where z and the class have met."""
    depth: int = Field(default=2, ge=2)
    """Hidden layers of each network, the first of which sees the class apart; 2 in the paper."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of D's hidden units dropped while it trains; 0.5 in the paper."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam, for both networks; DCGAN's, since the paper has SGD."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; DCGAN's."""


class Model(nn.Module):
    """Generator G(z | y) and discriminator D(x | y), for images of any shape and for points."""

    conditions_on: ClassVar = ("labels",)

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for data without classes."""
        super().__init__()
        if not data.classes:
            raise InputError("cgan conditions on the class, and the data set has none; use gan")
        self.config = config
        self.generator = Generator(config.latent_dim, data.classes, config.width, config.depth, data.image)
        self.discriminator = Discriminator(data.image, data.classes, config.width, config.depth, config.dropout)

    def updates(self) -> Sequence[Update]:
        """One step of D, then one of G, which needs the batch for its labels."""
        optimizer = adam(self.config.lr, (self.config.beta1, 0.999))
        discriminator = OptimizerStep(params=list(self.discriminator.parameters()), optimizer=optimizer)
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        return [
            Update(
                name="discriminator", loss=self.discriminator_loss, optimizer_steps={"discriminator": discriminator}
            ),
            Update(name="generator", loss=self.generator_loss, optimizer_steps={"generator": generator}),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(x | y) - log(1 - D(G(z | y) | y)), in one forward of D."""
        y = batch.labels
        with torch.no_grad():
            generated = self.generator(self.prior(noise), y)
        real, fake = self.discriminator(torch.cat([batch.images, generated]), torch.cat([y, y]), noise).chunk(2)
        return {"discriminator": discriminator_loss(real, fake), **probabilities(real, fake)}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(G(z | y) | y)."""
        generated = self.generator(self.prior(noise), batch.labels)
        return {"generator": non_saturating(self.discriminator(generated, batch.labels, noise))}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def decode_given(self, z: Float[Tensor, "n d"], condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(z | y), in [-1, 1]."""
        images: Tensor = self.generator(z, condition.labels)
        return images

    def sample(self, noise: Noise, condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(z | y): one sample of each label, from its row of noise."""
        return self.decode_given(self.prior(noise), condition)
