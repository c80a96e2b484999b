"""A small conditional GAN after Mirza & Osindero 2014, to show what a family is told of its data."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, DataSpec, ImageShape, Losses, Move, Noise, Update
from gen.losses import discriminator_loss, non_saturating
from gen.nets.mlp import Discriminator, Generator
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters; how many classes there are is none of them."""

    latent: int = Field(ge=1)
    """Dimensions of z."""
    width: int = Field(ge=1)
    """Units of each hidden layer."""


class Model(nn.Module):
    """Generator and discriminator that see the label, as one number for each class."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for data without classes."""
        super().__init__()
        if not data.classes:
            raise InputError("a conditional family needs classes; the data set has none")
        self.config, self.data = config, data
        self.generator = Generator(config.latent + data.classes, config.width, 2, data.image)
        seen = ImageShape(data.image.channels + data.classes, data.image.height, data.image.width)
        self.discriminator = Discriminator(config.width, 2, seen, norm="none")

    def updates(self) -> Sequence[Update]:
        """One of each network; both look at the batch, whose labels they need."""
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        losses = {"discriminator": self.discriminator_loss, "generator": self.generator_loss}
        optimizer = adam(1e-3, (0.5, 0.999))
        moves = {name: Move(params=list(net.parameters()), optimizer=optimizer) for name, net in networks.items()}
        return [Update(name=name, loss=losses[name], moves={name: moves[name]}) for name in networks]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(x, y) - log(1 - D(G(z, y), y))."""
        with torch.no_grad():
            fake = self.draw(noise, batch.labels)
        real, fake = self.judge(batch.images, batch.labels), self.judge(fake, batch.labels)
        return {"discriminator": discriminator_loss(real, fake)}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-log D(G(z, y), y)."""
        return {"generator": non_saturating(self.judge(self.draw(noise, batch.labels), batch.labels))}

    def judge(self, images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """D(x, y)."""
        maps = self.one_hot(labels)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        scores: Tensor = self.discriminator(torch.cat([images, maps], dim=1))
        return scores

    def draw(self, noise: Noise, labels: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """G(z, y)."""
        images: Tensor = self.generator(torch.cat([noise.normal(self.config.latent), self.one_hot(labels)], dim=1))
        return images

    def one_hot(self, labels: Int[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """1 for the label's class, else 0."""
        return (labels[:, None] == torch.arange(self.data.classes, device=labels.device)).float()

    def sample(self, noise: Noise, given: Batch | None = None) -> Float[Tensor, "n c h w"]:
        """Of the given labels, or of classes drawn at random."""
        labels = (noise.uniform(1)[:, 0] * self.data.classes).long() if given is None else given.labels
        return self.draw(noise, labels)
