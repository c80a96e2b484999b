"""Fully connected networks that are told the class, as in Mirza & Osindero 2014.

The class y has a hidden layer of its own, beside that of z or x, and both meet in the next one. What a layer makes of a
one-hot vector is one row of its weights, an embedding.
"""

from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gen.family import ImageShape, Noise
from gen.nets.dropout import Dropout, Layers
from gen.nets.mlp import Discriminator as Joint
from gen.nets.mlp import Generator as Decoder
from gen.nets.mlp import initialise

DEVIATION = 0.2
"""Of G's initial embedding: with torch's 1, G listens to y and hardly to z, and draws one digit of each class."""


class Generator(nn.Module):
    """G(z | y): ReLU between layers; tanh at the output for images, nothing for points."""

    def __init__(self, latent_dim: int, classes: int, width: int, depth: int, image: ImageShape) -> None:
        """`width` units in each of `depth` hidden layers, of which the first is one of z beside one of y."""
        super().__init__()
        self.of_z = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(True))
        initialise(self.of_z)
        embedding = nn.Embedding(classes, width)
        nn.init.normal_(embedding.weight, 0.0, DEVIATION)
        self.of_y = nn.Sequential(embedding, nn.ReLU(True))
        self.of_both = Decoder(2 * width, width, depth - 1, image)

    def forward(self, z: Float[Tensor, "n d"], y: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1], or points."""
        images: Tensor = self.of_both(torch.cat([self.of_z(z), self.of_y(y)], dim=1))
        return images


class Discriminator(nn.Module):
    """D(x | y): LeakyReLU of slope 0.2 between layers, one logit at the end."""

    def __init__(self, image: ImageShape, classes: int, width: int, depth: int, dropout: float) -> None:
        """`width` units in each of `depth` hidden layers, of which the first is one of x beside one of y."""
        super().__init__()
        self.of_x = Layers(nn.Flatten(), nn.Linear(prod(image), width), nn.LeakyReLU(0.2, True), Dropout(dropout))
        initialise(self.of_x)
        self.of_y = nn.Sequential(nn.Embedding(classes, width), nn.LeakyReLU(0.2, True))
        self.of_both = Joint(width, depth - 1, ImageShape(2 * width, 1, 1), norm="none", dropout=dropout)

    def forward(
        self, images: Float[Tensor, "n c h w"], y: Int[Tensor, " n"], noise: Noise | None = None
    ) -> Float[Tensor, " n"]:
        """Logits, in float32 at least. Dropout draws from `noise` in training."""
        both = torch.cat([self.of_x(images, noise), self.of_y(y)], dim=1)
        logits: Tensor = self.of_both(both[:, :, None, None], noise)
        return logits
