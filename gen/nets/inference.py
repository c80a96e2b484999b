"""The networks of ALI (Dumoulin et al. 2016, table 3) for images: encoder, decoder, discriminator of pairs (x, z).

All convolutions are unpadded. Between 13x13 and 1x1 every size has the paper's layers; in front of them it has its own
(kernel/stride):

    32 -5/1-> 28 -4/2-> 13 -4/1-> 10 -4/2-> 4 -4/1-> 1                  the paper's model for SVHN
    16 -4/1-> 13 ...                                                    one layer less
    64 -5/1-> 60 -4/2-> 29 -5/2-> 13 ...                                one layer more

`width` is the number of maps of a 32x32 image's first layer, 32 in the paper; maps double from layer to layer, up to
16 `width`, where every size ends. Images are in [-1, 1] outside, in [0, 1] inside, as the sigmoid of table 3 has them.

Where the table is silent this follows the published code (experiments/ali_svhn.py and ali/bricks.py of
IshmaelBelghazi/ALI): dropout acts on what goes into each layer of D; layers before batch norm, and those of D(z), have
no bias.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape, Noise
from gen.nets.dropout import Dropout, Layers
from gen.nets.precision import at_least_float32

SLOPE = 0.01
"""Of LeakyReLU."""
DEVIATION = 0.01
"""Of initial weights."""

_TAIL = ((4, 1), (4, 2), (4, 1))
STAGES = {16: ((4, 1), *_TAIL), 32: ((5, 1), (4, 2), *_TAIL), 64: ((5, 1), (4, 2), (5, 2), *_TAIL)}
"""Side of an image -> kernel and stride of each convolution from there to 1x1."""


class Encoder(nn.Module):
    """G_z: images to `outputs` numbers. Convolutions to 1x1 and one of 1x1 more, each with batch norm; one linear."""

    def __init__(self, image: ImageShape, width: int, outputs: int) -> None:
        """Raises InputError when there is no network for such images."""
        super().__init__()
        stages, maps = _plan(image, width)
        shapes = zip(pairwise([image.channels, *maps, maps[-1]]), [*stages, (1, 1)], strict=True)
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Conv2d(*sizes, *stage, bias=False), nn.BatchNorm2d(sizes[1])) for sizes, stage in shapes
        )
        self.output = nn.Conv2d(maps[-1], outputs, 1)
        initialise(self)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n outputs"]:
        """Any numbers: the last layer is linear."""
        outputs: Tensor = self.output(_leaky(self.normed(images)[-1]))
        return outputs.flatten(1)

    def normed(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """What leaves the batch norm of each hidden layer, before its LeakyReLU."""
        found = [self.hidden[0]((images + 1) / 2)]
        for layer in self.hidden[1:]:
            found.append(layer(_leaky(found[-1])))
        return found

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The last three hidden layers after batch norm (ALI, section 4.1)."""
        return torch.cat([layer.flatten(1) for layer in self.normed(images)[-3:]], dim=1)


class Decoder(nn.Module):
    """G_x: latent vectors to images. Transposed convolutions, the last 1x1, with batch norm; 1x1 and a sigmoid."""

    def __init__(self, image: ImageShape, width: int, latent_dim: int) -> None:
        """Raises InputError when there is no network for such images."""
        super().__init__()
        stages, maps = _plan(image, width)
        layers: list[nn.Module] = [nn.Unflatten(1, (latent_dim, 1, 1))]
        shapes = zip(
            pairwise([latent_dim, *reversed(maps[:-1]), maps[0], maps[0]]), [*reversed(stages), (1, 1)], strict=True
        )
        for (inputs, outputs), stage in shapes:
            layers.append(nn.ConvTranspose2d(inputs, outputs, *stage, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE, True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps[0], image.channels, 1), nn.Sigmoid())
        initialise(self)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1]."""
        images: Tensor = self.layers(z)
        return 2 * images - 1


class JointDiscriminator(nn.Module):
    """D(x, z): D(x) beside D(z), then two hidden layers and one logit. Batch norm in D(x) alone, but for its first."""

    def __init__(self, image: ImageShape, width: int, latent_dim: int, dropout: float) -> None:
        """Raises InputError when there is no network for such images."""
        super().__init__()
        stages, maps = _plan(image, width)
        shapes = list(zip(pairwise([image.channels, *maps]), stages, strict=True))
        of_x: list[nn.Module] = []
        for (inputs, outputs), stage in shapes:
            of_x += [Dropout(dropout), nn.Conv2d(inputs, outputs, *stage, bias=not of_x)]
            of_x += [nn.BatchNorm2d(outputs)] if len(of_x) > 2 else []
            of_x.append(nn.LeakyReLU(SLOPE, True))
        self.of_x = Layers(*of_x, nn.Flatten())
        self.of_z = _layers([latent_dim, maps[-1], maps[-1]], dropout, bias=False)
        self.of_both = _layers([2 * maps[-1]] * 3, dropout, bias=True)
        self.output = Layers(Dropout(dropout), nn.Linear(2 * maps[-1], 1))
        initialise(self)

    def forward(
        self, images: Float[Tensor, "n c h w"], z: Float[Tensor, "n d"], noise: Noise | None = None
    ) -> Float[Tensor, " n"]:
        """Logits, in float32 at least. Dropout draws from `noise` in training."""
        both = torch.cat([self.of_x((images + 1) / 2, noise), self.of_z(z, noise)], dim=1)
        return at_least_float32(self.output(self.of_both(both, noise), noise).squeeze(1))


def initialise(network: nn.Module) -> None:
    """Weights from N(0, 0.01), biases 0; batch norm starts as the identity."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _leaky(normed: Tensor) -> Tensor:
    return nn.functional.leaky_relu(normed, SLOPE)


def _layers(sizes: list[int], dropout: float, bias: bool) -> Layers:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Dropout(dropout), nn.Linear(inputs, outputs, bias=bias), nn.LeakyReLU(SLOPE, True)]
    return Layers(*layers)


def _plan(image: ImageShape, width: int) -> tuple[tuple[tuple[int, int], ...], list[int]]:
    """Kernel and stride, and number of maps, of the convolutions from the image to 1x1."""
    if image.height != image.width or image.height not in STAGES:
        raise InputError(
            f"image of {image.height}x{image.width}: networks with an encoder are for squares of "
            f"{', '.join(map(str, STAGES))} pixels; choose one as the run's resolution"
        )
    stages = STAGES[image.height]
    first = max(5 - len(stages), 0)  # the last is 16 `width` for every size
    return stages, [width << min(stage, 4) for stage in range(first, first + len(stages))]
