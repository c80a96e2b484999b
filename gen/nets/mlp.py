"""Fully connected networks: for points, and for images as in Goodfellow 2014.

`width` units in each of `depth` hidden layers. Weights start as He 2015 has them for ReLU (so that deep networks
neither fade nor explode at the start), biases at 0.
"""

from collections.abc import Mapping
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen.family import ImageShape, Noise
from gen.nets.dropout import Dropout, Layers
from gen.nets.precision import at_least_float32

NORMS: Mapping[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": nn.Identity}


class Generator(nn.Module):
    """ReLU between layers; tanh at the output for images, nothing for points, whose place is not bounded."""

    def __init__(self, latent_dim: int, width: int, depth: int, image: ImageShape, norm: str = "none") -> None:
        """`norm` before every ReLU but the first: `batch`, `layer` or `none`."""
        super().__init__()
        hidden = _hidden(latent_dim, width, depth, NORMS[norm], nn.ReLU(True))
        end = nn.Identity() if is_points(image) else nn.Tanh()
        self.layers = nn.Sequential(*hidden, nn.Linear(width, prod(image)), end, nn.Unflatten(1, image))
        initialise(self)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1], or points."""
        images: Tensor = self.layers(z)
        return images


class Discriminator(nn.Module):
    """LeakyReLU of slope 0.2 between layers; one number at the end, unbounded: a logit or a critic's score."""

    def __init__(self, width: int, depth: int, image: ImageShape, norm: str, dropout: float = 0.0) -> None:
        """`norm` before every LeakyReLU but the first: `batch`, `layer` or `none`; `dropout` after each."""
        super().__init__()
        activation = Layers(nn.LeakyReLU(0.2, True), Dropout(dropout)) if dropout else nn.LeakyReLU(0.2, True)
        hidden = _hidden(prod(image), width, depth, NORMS[norm], activation)
        self.layers = Layers(nn.Flatten(), *hidden, nn.Linear(width, 1))
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"], noise: Noise | None = None) -> Float[Tensor, " n"]:
        """One number for every image, in float32 at least. Dropout draws from `noise` in training."""
        return at_least_float32(self.layers(images, noise).squeeze(1))

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The last hidden layer."""
        hidden: Tensor = self.layers[:-1](images)
        return hidden


class Encoder(nn.Module):
    """Samples to `outputs` numbers: ReLU between layers, nothing at the end."""

    def __init__(self, image: ImageShape, width: int, depth: int, outputs: int, norm: str) -> None:
        """`norm` before every ReLU but the first: `batch`, `layer` or `none`."""
        super().__init__()
        hidden = _hidden(prod(image), width, depth, NORMS[norm], nn.ReLU(True))
        self.hidden = nn.Sequential(nn.Flatten(), *hidden)
        self.output = nn.Linear(width, outputs)
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs"]:
        """Any numbers: the last layer is linear."""
        outputs: Tensor = self.output(self.hidden(images))
        return outputs

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The last hidden layer."""
        hidden: Tensor = self.hidden(images)
        return hidden


class JointDiscriminator(nn.Module):
    """D(x, z): a discriminator of sample and latent vector side by side."""

    def __init__(self, image: ImageShape, width: int, depth: int, latent_dim: int, dropout: float) -> None:
        super().__init__()
        both = ImageShape(prod(image) + latent_dim, 1, 1)
        self.of_both = Discriminator(width, depth, both, norm="none", dropout=dropout)

    def forward(
        self, images: Float[Tensor, "n c h w"], z: Float[Tensor, "n d"], noise: Noise | None = None
    ) -> Float[Tensor, " n"]:
        """Logits, in float32 at least. Dropout draws from `noise` in training."""
        logits: Tensor = self.of_both(torch.cat([images.flatten(1), z], dim=1)[:, :, None, None], noise)
        return logits


def is_points(image: ImageShape) -> bool:
    """Whether samples are points: one pixel whose channels are coordinates."""
    return image.height == image.width == 1


def initialise(network: nn.Module) -> None:
    """He's normal weights, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def _hidden(inputs: int, width: int, depth: int, norm: type[nn.Module], activation: nn.Module) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(inputs, width), activation]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), norm(width), activation]
    return layers
