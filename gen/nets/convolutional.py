"""The DCGAN networks (Radford, Metz & Chintala 2015, section 3 and figure 1), for square images of 16 to 128 pixels.

`width` is the number of maps next to the image; it doubles each time the side halves, down to 4x4. The paper's
generator for 64x64 has width 128. Kernels are 4x4 with stride 2, where the paper has 5x5: 4 is a multiple of the
stride, so every output pixel sees as many inputs (no checkerboard), at two thirds of the cost.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets.precision import at_least_float32

SIZES = (16, 32, 64, 128)


class Generator(nn.Module):
    """z projected to 4x4 maps, then fractionally strided convolutions up to the image; batch norm, ReLU, last tanh."""

    def __init__(self, latent_dim: int, width: int, image: ImageShape, bounded: bool = True) -> None:
        """`bounded`: whether tanh ends it, or nothing.

        Raises InputError for an image that is not a square of one of `SIZES`.
        """
        super().__init__()
        maps = [width << stage for stage in reversed(range(_stages(image)))]
        layers = _up(latent_dim, maps[0], stride=1, padding=0)
        for wide, narrow in pairwise(maps):
            layers += _up(wide, narrow, stride=2, padding=1)
        self.layers = nn.Sequential(
            *layers,
            nn.ConvTranspose2d(maps[-1], image.channels, 4, stride=2, padding=1),
            nn.Tanh() if bounded else nn.Identity(),
        )
        initialise(self)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1], or of any numbers."""
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Encoder(nn.Module):
    """Strided convolutions down to 4x4, then to some numbers, unbounded."""

    def __init__(self, width: int, image: ImageShape, outputs: int, norm: str = "batch") -> None:
        """`norm` after every convolution but the first and the last: `batch`, `layer` or `none`.

        Raises InputError for an image that is not a square of one of `SIZES`.
        """
        super().__init__()
        maps = [width << stage for stage in range(_stages(image))]
        layers: list[nn.Module] = [
            nn.Conv2d(image.channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, True),
        ]
        for narrow, wide in pairwise(maps):
            layers += _down(narrow, wide, norm)
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps[-1], outputs, 4))
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs"]:
        """Any numbers: the last layer is linear."""
        outputs: Tensor = self.layers(images).flatten(1)
        return outputs

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Every convolution's maps, the last one's numbers excepted, max-pooled to 4x4, side by side (section 5.1)."""
        found = []
        for layer in self.layers:
            images = layer(images)
            if isinstance(layer, nn.LeakyReLU):
                found.append(nn.functional.adaptive_max_pool2d(images, 4).flatten(1))
        return torch.cat(found, dim=1)


class Discriminator(Encoder):
    """An encoder to one number: a logit or a critic's score."""

    def __init__(self, width: int, image: ImageShape, norm: str) -> None:
        """As an encoder."""
        super().__init__(width, image, 1, norm)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """One number for every image, in float32 at least."""
        return at_least_float32(self.layers(images).flatten())


def initialise(network: nn.Module, deviation: float = 0.02) -> None:
    """Weights from N(0, 0.02), those of batch norm from N(1, 0.02) as in the published code, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, deviation)


def _up(inputs: int, outputs: int, stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(True)]


def _down(inputs: int, outputs: int, norm: str) -> list[nn.Module]:
    # Layer norm of maps is over channels, rows and columns of one sample: group norm with a single group.
    norms: dict[str, Callable[[int], nn.Module]] = {
        "batch": nn.BatchNorm2d,
        "layer": partial(nn.GroupNorm, 1),
        "none": nn.Identity,
    }
    convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
    return [convolution, norms[norm](outputs), nn.LeakyReLU(0.2, True)]


def _stages(image: ImageShape) -> int:
    """How often the side halves from the image down to 4x4."""
    if image.height != image.width or image.height not in SIZES:
        raise InputError(
            f"image of {image.height}x{image.width}: convolutional networks make squares of "
            f"{', '.join(map(str, SIZES))} pixels; choose one as the run's resolution"
        )
    return image.height.bit_length() - 3
