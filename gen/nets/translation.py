"""The networks of pix2pix (Isola et al. 2017, appendix 6.1): U-Net and PatchGAN, for squares of 8 to 256 pixels.

`width` is the number of maps next to the image, 64 in the paper; it doubles each time the side halves, up to 8 times.
Norms are instance norm with a scale and a shift for each map: with one image in a batch, as in the paper, that is its
batch norm. The 1x1 maps in the middle have none, which would leave nothing of them (as the published code has it).
Convolutions before a norm have no bias, which it would take away.
"""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape, Noise
from gen.nets.convolutional import initialise
from gen.nets.dropout import kept
from gen.nets.precision import at_least_float32

Patch = Literal[1, 16, 34, 70, "image"]
"""Side in pixels of what one number of a PatchGAN looks at; `image`: a single number looks at all of it."""
HALVINGS = {16: 1, 34: 2, 70: 3}
"""Convolutions of stride 2 in a PatchGAN of that patch."""
DROPPED = 3
"""Layers of the decoder, from its middle, that drop."""


class UNet(nn.Module):
    """Convolutions down to 1x1 and up again, each layer of which also sees the one of its size on the way down."""

    def __init__(self, given: int, width: int, image: ImageShape, dropout: float) -> None:
        """From images of `given` channels to ones of that shape. Raises InputError for a size that does not halve."""
        super().__init__()
        sides = halvings(image)
        maps = [width * min(2**stage, 8) for stage in range(sides)]
        normed = range(1, sides - 1)
        self.dropout = dropout
        self.down = nn.ModuleList(
            nn.Sequential(
                *([nn.LeakyReLU(0.2)] if stage else []),
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=stage not in normed),
                *([norm(after)] if stage in normed else []),
            )
            for stage, (before, after) in enumerate(pairwise([given, *maps]))
        )
        inputs = [maps[-1], *(2 * each for each in maps[-2:0:-1])]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), norm(after))
            for before, after in zip(inputs, maps[-2::-1], strict=True)
        )
        last = nn.ConvTranspose2d(2 * maps[0], image.channels, 4, stride=2, padding=1)
        self.last = nn.Sequential(nn.ReLU(), last, nn.Tanh())
        initialise(self)

    def forward(self, images: Float[Tensor, "n given h w"], noise: Noise) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1]; what is dropped, in evaluation too, is the only thing random about them."""
        seen = []
        for layer in self.down:
            images = layer(images)
            seen.append(images)
        for number, layer in enumerate(self.up):
            images = layer(images)
            if self.dropout and number < DROPPED:
                images = images * kept(images, noise, self.dropout)
            images = torch.cat([images, seen[-2 - number]], dim=1)
        made: Tensor = self.last(images)
        return made


class PatchDiscriminator(nn.Module):
    """One number for each of many patches of an image, which overlap: the same convolutions everywhere."""

    def __init__(self, channels: int, width: int, patch: Patch, image: ImageShape, affine: bool = True) -> None:
        """`affine`: whether norms have a scale and a shift, as in pix2pix; in CycleGAN they have none.

        Raises InputError for images that are too small for a patch, or do not halve.
        """
        super().__init__()
        halved = halvings(image)
        if patch in HALVINGS and image.height < (least := 2 ** (HALVINGS[patch] + 2)):
            size = f"{image.height}x{image.width}"
            remedy = f"it takes {least} or more: choose a smaller patch, or image"
            raise InputError(f"patch: {patch}; images of {size} pixels are too small, {remedy}")
        if patch == 1:
            self.layers = nn.Sequential(
                nn.Conv2d(channels, width, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, 2 * width, 1, bias=False),
                norm(2 * width, affine),
                nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 1, 1),
            )
        else:
            stages = halved - 2 if patch == "image" else HALVINGS[patch]
            strides = [2] * stages + ([] if patch == "image" else [1])
            maps = [width * min(2**stage, 8) for stage in range(len(strides))]
            layers: list[nn.Module] = []
            for stage, ((before, after), stride) in enumerate(zip(pairwise([channels, *maps]), strides, strict=True)):
                normed = [norm(after, affine)] if stage else []
                convolution = nn.Conv2d(before, after, 4, stride, padding=1, bias=not normed)
                layers += [convolution, *normed, nn.LeakyReLU(0.2)]
            inner = maps[-1] if maps else channels
            self.layers = nn.Sequential(*layers, nn.Conv2d(inner, 1, 4, padding=0 if patch == "image" else 1))
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n patches"]:
        """Logits, in float32 at least."""
        return at_least_float32(self.layers(images).flatten(1))


def norm(maps: int, affine: bool = True) -> nn.Module:
    """Instance norm (Ulyanov et al. 2016), perhaps with a scale and a shift for each map."""
    return nn.InstanceNorm2d(maps, affine=affine)


def halvings(image: ImageShape) -> int:
    """How often the side halves down to 1. Raises InputError for images that are no such square."""
    side = image.height
    if image.height != image.width or not 8 <= side <= 256 or side & (side - 1):
        raise InputError(
            f"image of {image.height}x{image.width}: translation is for squares of 8, 16, 32, 64, 128 or 256 pixels; "
            "choose one as the run's resolution"
        )
    return side.bit_length() - 1


def jittered(images: Float[Tensor, "n c h w"], noise: Noise, jitter: int, mirror: bool) -> Float[Tensor, "n c h w"]:
    """Each image made larger by `jitter` pixels (bilinear), cut back to its size somewhere, and half of them mirrored.

    Give a pair's pictures as the channels of one image, and both are treated alike (Isola et al. 2017, appendix 6.2).
    """
    n, _, height, width = images.shape
    moved = (noise.uniform(2, high=jitter + 1.0).floor() - jitter / 2).to(images.dtype)
    turned = 1 - 2 * noise.bernoulli(probability=0.5 if mirror else 0.0).to(images.dtype)
    matrix = images.new_zeros(n, 2, 3)
    for axis, side in ((0, width), (1, height)):
        matrix[:, axis, axis] = side / (side + jitter)
        matrix[:, axis, 2] = 2 * moved[:, axis] / (side + jitter)
    matrix[:, 0, 0] *= turned
    places = nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, places, padding_mode="border", align_corners=False)
