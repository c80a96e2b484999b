"""BigGAN: Brock, Donahue & Simonyan 2019, Large scale GAN training for high fidelity natural image synthesis.

A step is n_D discriminator updates and one of the generator, by the hinge loss (section 3):

    D descends   E max(0, 1 - D(x, y)) + E max(0, 1 + D(G(z, y), y))
    G descends   -E D(G(z, y), y) + beta sum_W ||W W^T (1 - I)||_F^2

The last term is the orthogonal regularisation of equation 3, with 1 - I entry by entry: it holds filters, the rows of
W, apart in direction and leaves their norms alone. Further:

- z is cut into parts, one for the first layer and one for each residual block, where it stands beside the class: a
  single embedding, of which all batch norms take their gains and biases linearly (section 3.1).
- D scores by projecting its features on an embedding of the class (Miyato & Koyama 2018).
- Both networks are spectrally normalised (gen/nets/spectral.py), start orthogonal, and may have self-attention.
- Samples are drawn with an average of G's weights (the run's `ema`; 0.9999 in the paper), and perhaps with a truncated
  z (section 3.1): what is larger than a threshold is drawn again.

Deviations: batch norm has the statistics of each worker's rows, the paper's those of all devices; samples are made with
running averages of them, averaged as the weights are, the paper's with statistics taken anew; D sees generated images
with the labels of the real ones, not with labels drawn uniformly; power iteration makes a step per update, not per
pass. The regularisation is of G's weights before they are divided by their spectral norm, without the embedding, as in
the published code (ajbrock/BigGAN-PyTorch), whose gradient is half of equation 3's.
"""

from collections.abc import Sequence
from math import erf, sqrt
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.nets.big_gan import Discriminator, Generator
from gen.nets.spectral import Normalised, power_iteration, without_autocast
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of BigGAN. The number of classes is the data set's.

    What is said of the paper is its run on ImageNet at 128x128; of CIFAR-10, the published code's run on it.
    """

    latent_dim: int = Field(default=128, ge=1)
    """Dimensions of z, cut into parts as equal as can be; 128 on CIFAR-10, 120 in the paper."""
    embedding_dim: int = Field(default=128, ge=1)
    """Dimensions of the embedding of the class that G's batch norms share; 128 in the paper."""
    width: int = Field(default=64, ge=1)
    """Maps that a network's are multiples of, 4 times as many at 16x16 and 32x32; 64 on CIFAR-10, 96 in the paper."""
    attention: int | None = Field(default=None, ge=1)
    """Side of the maps that attend to themselves, in both networks; null for none, as on CIFAR-10; 64 in the paper."""
    n_discriminator: int = Field(default=2, ge=1)
    """n_D: discriminator updates per generator update; 2 in the paper, 4 on CIFAR-10."""
    orthogonal_weight: float = Field(default=1e-4, ge=0)
    """beta: weight of the orthogonal regularisation; 1e-4 in the paper, 0 on CIFAR-10."""
    truncation: float | None = Field(default=None, gt=0)
    """Threshold on the entries of z, by size, in samples and not in training; null for none; 0.04 to 2 in the paper."""
    lr: float = Field(default=5e-5, gt=0)
    """Learning rate of Adam for G; 5e-5 in the paper, 2e-4 on CIFAR-10."""
    discriminator_lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam for D; 2e-4 in the paper and on CIFAR-10."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of Adam; 0 in the paper."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of Adam's second moment; 0.999 in the paper."""


class Model(nn.Module):
    """Generator G(z, y) and discriminator D(x, y)."""

    conditions_on: ClassVar = ("labels",)

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for data without classes, and for settings and sizes that there are no networks for."""
        super().__init__()
        if not data.classes:
            raise InputError("big_gan conditions on the class, and the data set has none; use dcgan")
        self.config = config
        self.generator = Generator(
            data.image,
            latent_dim=config.latent_dim,
            classes=data.classes,
            embedding_dim=config.embedding_dim,
            width=config.width,
            attention=config.attention,
        )
        self.discriminator = Discriminator(data.image, data.classes, config.width, config.attention)

    def updates(self) -> Sequence[Update]:
        """n_D updates of D, then one of G, which needs the batch for its labels."""
        c = self.config
        discriminator = OptimizerStep(
            params=list(self.discriminator.parameters()), optimizer=adam(c.discriminator_lr, (c.beta1, c.beta2))
        )
        generator = OptimizerStep(
            params=list(self.generator.parameters()), optimizer=adam(c.lr, (c.beta1, c.beta2)), ema=True
        )
        return [
            Update(
                name="discriminator",
                loss=self.discriminator_loss,
                optimizer_steps={"discriminator": discriminator},
                repeat=c.n_discriminator,
                post_step=lambda losses: power_iteration(self.discriminator),
            ),
            Update(
                name="generator",
                loss=self.generator_loss,
                optimizer_steps={"generator": generator},
                post_step=lambda losses: power_iteration(self.generator),
            ),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """The hinge loss, in one forward of D; also the mean scores."""
        y = batch.labels
        with torch.no_grad():
            generated = self.generator(noise.normal(self.config.latent_dim), y)
        real, fake = self.discriminator(torch.cat([batch.images, generated]), torch.cat([y, y])).chunk(2)
        message = {"d_real": real.detach().mean(), "d_fake": fake.detach().mean()}
        return {"discriminator": hinge(real, fake), **message}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-D(G(z, y), y) and the orthogonal regularisation; also what that is without its weight."""
        generated = self.generator(noise.normal(self.config.latent_dim), batch.labels)
        score = self.discriminator(generated, batch.labels).mean()
        overlap = overlap_of(self.generator)
        return {"generator": self.config.orthogonal_weight * overlap - score, "overlap": overlap.detach()}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal, truncated where samples are to be."""
        return self.truncated_prior(noise, self.config.truncation)

    def truncated_prior(self, noise: Noise, threshold: float | None) -> Float[Tensor, "n d"]:
        """Standard normal numbers, none larger than the threshold."""
        if threshold is None:
            return noise.normal(self.config.latent_dim)
        return truncated_normal(noise, self.config.latent_dim, threshold)

    def decode_given(self, z: Float[Tensor, "n d"], condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(z, y), in [-1, 1]."""
        images: Tensor = self.generator(z, condition.labels)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What D projects on the class's embedding, for a linear classifier."""
        return self.discriminator.features(images)

    def sample(self, noise: Noise, condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(z, y): one sample of each label, from its row of noise."""
        return self.decode_given(self.prior(noise), condition)


def hinge(real: Float[Tensor, " n"], fake: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) (Lim & Ye 2017): scores beyond 1 and -1 are good enough."""
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


def overlap_of(network: nn.Module) -> Float[Tensor, ""]:
    """Sum of ||W W^T (1 - I)||_F^2 over its normalised layers (equation 3): products of their different rows."""
    weights = [layer.weight.flatten(1) for layer in network.modules() if isinstance(layer, Normalised)]
    with without_autocast(weights[0]):
        products = [weight @ weight.T for weight in weights]
        return torch.stack([(each - each.diagonal().diag()).square().sum() for each in products]).sum()


def truncated_normal(noise: Noise, dimensions: int, threshold: float) -> Float[Tensor, "n d"]:
    """Standard normal numbers, none larger than the threshold.

    What drawing again until all are within it would give, by the inverse of the distribution function: one draw.
    """
    inside = noise.uniform(dimensions, low=-1.0) * erf(threshold / sqrt(2))
    return (sqrt(2) * inside.erfinv()).clamp(-threshold, threshold)
