"""Networks that grow from 4x4 by doubling (Karras, Aila, Laine & Lehtinen 2018, figures 1 and 2, table 2).

`level` says how often 4x4 is doubled, `alpha` how far the last block is faded in, from 0 to 1; None: altogether.
`maps` are the channels of each level, from 4x4 on.
"""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets.equalised import Convolution, MinibatchDeviation, PixelNorm
from gen.nets.precision import at_least_float32

FIRST = 4
"""Side of the images that networks begin with."""
SIZES = (8, 16, 32, 64, 128)

Alpha = Float[Tensor, ""] | None


class Generator(nn.Module):
    """z on the sphere to 4x4 maps, then blocks that double the side; LeakyReLU and pixel norm, a linear end."""

    def __init__(self, latent_dim: int, maps: Sequence[int], channels: int) -> None:
        super().__init__()
        # The fully connected first layer, written as the convolution of a single pixel that it is.
        first = [*_up(latent_dim, maps[0], kernel=4, padding=3), *_up(maps[0], maps[0])]
        self.blocks = nn.ModuleList([nn.Sequential(PixelNorm(), nn.Unflatten(1, (latent_dim, 1, 1)), *first)])
        for wide, narrow in pairwise(maps):
            self.blocks.append(nn.Sequential(nn.Upsample(scale_factor=2), *_up(wide, narrow), *_up(narrow, narrow)))
        self.to_image = nn.ModuleList(Convolution(each, channels, 1, gain=1.0) for each in maps)

    def forward(self, z: Float[Tensor, "n d"], level: int, alpha: Alpha = None) -> Float[Tensor, "n c side side"]:
        """Images of any numbers, of side 4 * 2^level."""
        before = x = z
        for block in self.blocks[: level + 1]:
            before, x = x, block(x)
        images: Tensor = self.to_image[level](x)
        return images if alpha is None else faded(double(self.to_image[level - 1](before)), images, alpha)


class Discriminator(nn.Module):
    """The generator's mirror image, without norms; the deviation of a minibatch is a map of its last block."""

    def __init__(self, maps: Sequence[int], channels: int) -> None:
        super().__init__()
        last = [*_down(maps[0] + 1, maps[0]), *_down(maps[0], maps[0], kernel=4, padding=0)]
        self.blocks = nn.ModuleList([nn.Sequential(MinibatchDeviation(), *last, Convolution(maps[0], 1, 1, gain=1.0))])
        for wide, narrow in pairwise(maps):
            self.blocks.append(nn.Sequential(*_down(narrow, narrow), *_down(narrow, wide), nn.AvgPool2d(2)))
        self.from_image = nn.ModuleList(nn.Sequential(*_down(channels, each, kernel=1, padding=0)) for each in maps)

    def forward(self, images: Float[Tensor, "n c side side"], level: int, alpha: Alpha = None) -> Float[Tensor, " n"]:
        """One number for every image of side 4 * 2^level, in float32 at least."""
        x = self.blocks[level](self.from_image[level](images))
        if alpha is not None:
            x = faded(self.from_image[level - 1](avg_pool2d(images, 2)), x, alpha)
        for block in reversed(self.blocks[:level]):
            x = block(x)
        return at_least_float32(x.flatten())


def faded(before: Float[Tensor, "n c h w"], after: Float[Tensor, "n c h w"], alpha: Alpha) -> Float[Tensor, "n c h w"]:
    """From what was before to what comes after; exactly `before` at 0, and `after` at 1."""
    return after if alpha is None else (1 - alpha) * before + alpha * after


def double(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c height width"]:
    """Each pixel becomes four."""
    return interpolate(images, scale_factor=2)


def shrunk(images: Float[Tensor, "n c h w"], level: int, alpha: Alpha = None) -> Float[Tensor, "n c side side"]:
    """Images averaged down to the side 4 * 2^level, and faded in as generated ones are (figure 2)."""
    small = avg_pool2d(images, images.shape[-1] // (FIRST << level))
    return small if alpha is None else faded(double(avg_pool2d(small, 2)), small, alpha)


def levels_of(image: ImageShape) -> int:
    """How often 4x4 is doubled until it is the image. Raises InputError for one that is no square of `SIZES`."""
    if image.height != image.width or image.height not in SIZES:
        raise InputError(
            f"image of {image.height}x{image.width}: networks that grow make squares of "
            f"{', '.join(map(str, SIZES))} pixels; choose one as the run's resolution"
        )
    return (image.height // FIRST).bit_length() - 1


def _up(inputs: int, outputs: int, kernel: int = 3, padding: int = 1) -> list[nn.Module]:
    return [*_down(inputs, outputs, kernel, padding), PixelNorm()]


def _down(inputs: int, outputs: int, kernel: int = 3, padding: int = 1) -> list[nn.Module]:
    return [Convolution(inputs, outputs, kernel, padding), nn.LeakyReLU(0.2, True)]
