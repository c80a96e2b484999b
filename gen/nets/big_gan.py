"""The networks of BigGAN (Brock et al. 2019, appendix B), class-conditional, for square images of 16 to 128 pixels.

Maps are multiples of `width`, from 4x4 to the image in the generator, and from the image on in the discriminator, whose
last blocks leave the size as it is. Those of 128 are table 4 of the paper, those of 32 and 64 are of the published code
(ajbrock/BigGAN-PyTorch), and 16 is 32 with one block less. All layers but the generator's embedding are spectrally
normalised.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets.precision import at_least_float32
from gen.nets.spectral import Convolution, Embedding, Linear

START = 4
"""Side of the generator's first maps."""
UP = {16: (4, 4, 4), 32: (4, 4, 4, 4), 64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1)}
"""Side of an image -> maps in multiples of the width, before and after each of the generator's blocks."""
DOWN = {16: (4, 4, 4), 32: (4, 4, 4, 4), 64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16)}
"""The same after each of the discriminator's blocks."""
HALVINGS = {16: 2, 32: 2, 64: 4, 128: 5}
"""How many of the discriminator's blocks, the first ones, halve the side."""


class Generator(nn.Module):
    """G(z, y): the first part of z makes the first maps, each other part one block's batch norm, with the class."""

    def __init__(
        self, image: ImageShape, *, latent_dim: int, classes: int, embedding_dim: int, width: int, attention: int | None
    ) -> None:
        """`attention` is the side of the maps after which self-attention stands, None for none.

        Raises InputError for an image, an attention or a latent vector that there are no networks for.
        """
        super().__init__()
        maps = [width * factor for factor in UP[_side(image)]]
        self.parts = _parts(latent_dim, len(maps))
        self.embedding = nn.Embedding(classes, embedding_dim)
        nn.init.orthogonal_(self.embedding.weight)
        self.first = Linear(self.parts[0], maps[0] * START**2)
        self.blocks = nn.ModuleList(
            UpBlock(inputs, outputs, part + embedding_dim)
            for (inputs, outputs), part in zip(pairwise(maps), self.parts[1:], strict=True)
        )
        self.after = _attentions(maps[1:], sides_up(image), attention, image)
        self.last = nn.Sequential(nn.BatchNorm2d(maps[-1]), nn.ReLU(), Convolution(maps[-1], image.channels))

    def forward(self, z: Float[Tensor, "n d"], y: Int[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1]."""
        first, *parts = torch.split(z, self.parts, dim=1)
        embedded = self.embedding(y)
        maps: Tensor = self.first(first).unflatten(1, (-1, START, START))
        for block, after, part in zip(self.blocks, self.after, parts, strict=True):
            maps = after(block(maps, torch.cat([embedded, part], dim=1)))
        images: Tensor = self.last(maps).tanh()
        return images


class Discriminator(nn.Module):
    """D(x, y) = f(h(x)) + e(y)^T h(x): a linear f, an embedding e, features h (Miyato & Koyama 2018, equation 5)."""

    def __init__(self, image: ImageShape, classes: int, width: int, attention: int | None) -> None:
        """Raises InputError for an image or an attention that there are no networks for."""
        super().__init__()
        maps = [image.channels, *(width * factor for factor in DOWN[_side(image)])]
        self.blocks = nn.ModuleList(
            DownBlock(inputs, outputs, first=index == 0, halve=index < HALVINGS[image.height])
            for index, (inputs, outputs) in enumerate(pairwise(maps))
        )
        self.after = _attentions(maps[1:], sides_down(image), attention, image)
        self.output = Linear(maps[-1], 1)
        self.embedding = Embedding(classes, maps[-1])

    def forward(self, images: Float[Tensor, "n c h w"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Scores, in float32 at least."""
        h = self.features(images)
        scores: Tensor = at_least_float32(self.output(h).squeeze(1)) + (self.embedding(y) * h).sum(dim=1)
        return scores

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """h(x): the last maps, summed over their pixels."""
        for block, after in zip(self.blocks, self.after, strict=True):
            images = after(block(images))
        return at_least_float32(images.relu()).sum(dim=(2, 3))


class UpBlock(nn.Module):
    """A residual block that doubles the side. No bias: batch norms would take it away."""

    def __init__(self, inputs: int, outputs: int, conditions: int) -> None:
        """`conditions` is how many numbers its batch norms are told."""
        super().__init__()
        self.norms = nn.ModuleList(ConditionalBatchNorm(maps, conditions) for maps in (inputs, outputs))
        self.convolutions = nn.ModuleList(Convolution(maps, outputs, bias=False) for maps in (inputs, outputs))
        self.shortcut = Convolution(inputs, outputs, kernel=1, bias=False)

    def forward(
        self, maps: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n outputs 2*h 2*w"]:
        """Maps of twice the side."""
        found = functional.interpolate(self.norms[0](maps, condition).relu(), scale_factor=2)
        found = self.convolutions[0](found)
        found = self.convolutions[1](self.norms[1](found, condition).relu())
        # A 1x1 convolution before the doubling is the same as after it, at a quarter of the cost.
        wider: Tensor = found + functional.interpolate(self.shortcut(maps), scale_factor=2)
        return wider


class DownBlock(nn.Module):
    """A residual block that may halve the side."""

    def __init__(self, inputs: int, outputs: int, first: bool, halve: bool) -> None:
        """`first`: whether it sees images, which no ReLU goes before."""
        super().__init__()
        self.first = first
        self.convolutions = nn.ModuleList(Convolution(maps, outputs) for maps in (inputs, outputs))
        self.shortcut = Convolution(inputs, outputs, kernel=1) if halve or inputs != outputs else nn.Identity()
        self.halve = nn.AvgPool2d(2) if halve else nn.Identity()

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs ..."]:
        """Maps of half the side, or of the same."""
        found = self.convolutions[0](maps if self.first else maps.relu())
        found = self.halve(self.convolutions[1](found.relu()))
        # Here, too, the mean of four pixels may come before a 1x1 convolution as well as after it.
        narrower: Tensor = found + self.shortcut(self.halve(maps))
        return narrower


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gains and biases are linear in a condition, with gains around 1 (de Vries et al. 2017)."""

    def __init__(self, maps: int, conditions: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.gain = Linear(conditions, maps, bias=False)
        self.bias = Linear(conditions, maps, bias=False)

    def forward(self, maps: Float[Tensor, "n c h w"], condition: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
        """Maps of the same size."""
        gain, bias = (each(condition)[:, :, None, None] for each in (self.gain, self.bias))
        normalised: Tensor = self.norm(maps) * (1 + gain) + bias
        return normalised


class Attention(nn.Module):
    """x + gamma o(x): every pixel sees those of a map of half the side (Zhang et al. 2019, self-attention GAN).

    gamma starts at 0, where this is the identity. Queries and keys have an eighth of the maps, values a half.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        few, half = max(1, maps // 8), max(1, maps // 2)
        self.query = Convolution(maps, few, kernel=1, bias=False)
        self.key = Convolution(maps, few, kernel=1, bias=False)
        self.value = Convolution(maps, half, kernel=1, bias=False)
        self.output = Convolution(half, maps, kernel=1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Maps of the same size."""
        query = self.query(maps).flatten(2)
        key, value = (functional.max_pool2d(each(maps), 2).flatten(2) for each in (self.key, self.value))
        weights = (query.transpose(1, 2) @ key).softmax(dim=2)
        seen = (value @ weights.transpose(1, 2)).unflatten(2, maps.shape[2:])
        attended: Tensor = maps + self.gamma * self.output(seen)
        return attended


def sides_up(image: ImageShape) -> list[int]:
    """Sides of the maps after each of the generator's blocks."""
    return [START << block for block in range(1, len(UP[image.height]))]


def sides_down(image: ImageShape) -> list[int]:
    """Sides of the maps after each of the discriminator's blocks."""
    side = image.height
    return [side >> min(block, HALVINGS[side]) for block in range(1, len(DOWN[side]) + 1)]


def _side(image: ImageShape) -> int:
    if image.height != image.width or image.height not in UP:
        raise InputError(
            f"image of {image.height}x{image.width}: the networks of BigGAN make squares of "
            f"{', '.join(map(str, UP))} pixels; choose one as the run's resolution"
        )
    return image.height


def _parts(latent_dim: int, count: int) -> list[int]:
    """Sizes of so many parts of z, as equal as can be."""
    if latent_dim < count:
        raise InputError(
            f"model.latent_dim: {latent_dim}; the first layer and each block see a part of z: give {count} or more"
        )
    return [latent_dim * (part + 1) // count - latent_dim * part // count for part in range(count)]


def _attentions(maps: Sequence[int], sides: list[int], attention: int | None, image: ImageShape) -> nn.ModuleList:
    """What follows on each block: self-attention after the first one whose maps have that side."""
    both = sorted({*sides_up(image)} & {*sides_down(image)})
    if attention is not None and attention not in both:
        known = ", ".join(map(str, both))
        raise InputError(
            f"model.attention: {attention}; for images of {image.height}x{image.width} give the side of maps that "
            f"both networks have: {known}"
        )
    place = sides.index(attention) if attention is not None else None
    return nn.ModuleList(Attention(each) if block == place else nn.Identity() for block, each in enumerate(maps))
