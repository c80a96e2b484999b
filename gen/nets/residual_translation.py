"""The generator of CycleGAN (Zhu et al. 2017, appendix 7.2; Johnson et al. 2016): residual blocks between two halvings.

`width` is the number of maps next to the image, 64 in the paper: c7s1-64, d128, d256, R256 in each block, u128, u64,
c7s1-3. Edges are reflected rather than padded with zeros. Norms are instance norm without scale or shift, as the
published code has them; convolutions before a norm have no bias, which it would take away.
"""

from jaxtyping import Float
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets.convolutional import initialise

HALVED = 4
"""The side of the middle's maps goes so often into that of the image."""


class ResidualGenerator(nn.Module):
    """An image of the same shape, in [-1, 1]."""

    def __init__(self, width: int, blocks: int, image: ImageShape) -> None:
        """Raises InputError for images that do not halve twice, or are too small to be reflected at their edges."""
        super().__init__()
        if image.height % HALVED or image.width % HALVED or min(image.height, image.width) < 2 * HALVED:
            raise InputError(
                f"image of {image.height}x{image.width}: it takes sides of 8 pixels or more that 4 divides; choose "
                "one as the run's resolution"
            )
        self.layers = nn.Sequential(
            *_same_size(image.channels, width, kernel=7),
            *_halved(width),
            *_halved(2 * width),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *_doubled(4 * width),
            *_doubled(2 * width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, image.channels, 7),
            nn.Tanh(),
        )
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Translated images."""
        made: Tensor = self.layers(images)
        return made


class ResidualBlock(nn.Module):
    """What two convolutions add to their input."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        without_activation = _same_size(maps, maps, kernel=3)[:-1]
        self.layers = nn.Sequential(*_same_size(maps, maps, kernel=3), *without_activation)

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Without an activation at the end."""
        changed: Tensor = maps + self.layers(maps)
        return changed


def _same_size(channels: int, maps: int, kernel: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), *_normed(nn.Conv2d(channels, maps, kernel, bias=False))]


def _halved(maps: int) -> list[nn.Module]:
    """Half of the side, twice the maps."""
    return _normed(nn.Conv2d(maps, 2 * maps, 3, stride=2, padding=1, bias=False))


def _doubled(maps: int) -> list[nn.Module]:
    """Twice the side, half of the maps."""
    return _normed(nn.ConvTranspose2d(maps, maps // 2, 3, stride=2, padding=1, output_padding=1, bias=False))


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]
