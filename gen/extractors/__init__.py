"""What samples are compared by: an extractor turns images into features, and perhaps into logits of classes.

Images come in [-1, 1] and are first rounded to the 256 levels of a picture file, real and generated alike: a generator
must not be told from the data by values that no picture has.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from gen.errors import InputError
from gen.extractors.classifier import Classifier
from gen.extractors.inception import Inception
from gen.extractors.resize import RESIZERS
from gen.family import ImageShape

AT_ONCE = 250
"""Images that go through a network together."""
SIDE = 8
"""Rows and columns that `pixels` averages images down to."""


class Extracted(NamedTuple):
    """What an extractor says of some images."""

    features: Float[Tensor, "n d"]
    logits: Float[Tensor, "n k"]
    """No columns where the extractor knows no classes."""


@runtime_checkable
class Extractor(Protocol):
    """Features of a batch of images; each row depends on its own image alone."""

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Extracted:
        """Raises InputError when the images are not what it was made for."""
        ...

    def to(self, device: torch.device) -> "Extractor":
        """The same on another device."""
        ...


class ClassifierExtractor(nn.Module):
    """The last hidden layer of a classifier of the data set's own labels, and its logits."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model.eval()

    @torch.inference_mode()
    def forward(self, images: Float[Tensor, "n c h w"]) -> Extracted:
        """Raises InputError for images of another shape than the classifier's, or outside [-1, 1]."""
        check_images(images, self.model.image)
        with exact():
            features = self.model.body(levels(images).to(images.dtype) / 127.5 - 1)
            return Extracted(features, self.model.head(features))


class InceptionExtractor(nn.Module):
    """The 2048 features of the FID Inception after a named resize, and its logits as the Inception score takes them."""

    def __init__(self, model: Inception, resizer: str) -> None:
        super().__init__()
        self.model = model
        self.resize = RESIZERS[resizer]

    @torch.inference_mode()
    def forward(self, images: Float[Tensor, "n c h w"]) -> Extracted:
        """Raises InputError for images outside [-1, 1], or with other than one or three channels."""
        check_images(images, None)
        with exact():
            message = self.model(self.resize(levels(images)))
        return Extracted(message.pooled, message.unbiased_logits)


class CoordinateExtractor(nn.Module):
    """A point is its own features."""

    def forward(self, images: Float[Tensor, "n c h w"]) -> Extracted:
        """Coordinates as they are."""
        check_images(images, ImageShape(2, 1, 1), bounded=False)
        return Extracted(images.flatten(1), images.new_empty(len(images), 0))


class PixelExtractor(nn.Module):
    """The image averaged down to 8x8, or as it is where it is smaller; this needs neither labels nor weights.

    A Frechet distance of it is one of coarse layout and colour and sees no detail: it ranks the checkpoints of one run,
    and is not for comparison with papers.
    """

    def __init__(self, image: ImageShape) -> None:
        super().__init__()
        self.image = image

    @torch.inference_mode()
    def forward(self, images: Float[Tensor, "n c h w"]) -> Extracted:
        """Features in [-1, 1]. Raises InputError for images of another shape than it is for, or outside [-1, 1]."""
        check_images(images, self.image)
        rounded = levels(images).cpu().to(images.dtype) / 127.5 - 1  # MPS averages only to divisors of a side
        small = adaptive_avg_pool2d(rounded, (min(SIDE, self.image.height), min(SIDE, self.image.width)))
        return Extracted(small.flatten(1).to(images.device), images.new_empty(len(images), 0))


def exact() -> AbstractContextManager[None]:
    """Convolutions on a GPU without TF32, which is on by default and too coarse for a number to report."""
    made: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return made


def levels(images: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """[-1, 1] as 0 to 255."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte()


def check_images(images: Float[Tensor, "n c h w"], shape: ImageShape | None, bounded: bool = True) -> None:
    """Finite, in [-1, 1] when `bounded`, and of the given shape.

    Raises:
        InputError: otherwise.
    """
    if shape is not None and tuple(images.shape[1:]) != tuple(shape):
        raise InputError(f"images: of shape {_by(images.shape[1:])}; the extractor is for {_by(shape)}")
    if not bool(images.isfinite().all()):
        raise InputError("images: some values are not finite; the model has diverged")
    if bounded and len(images) and float(images.abs().max()) > 1 + 1e-3:
        raise InputError(f"images: values up to {float(images.abs().max()):.3g}; they belong in [-1, 1]")


def _by(shape: tuple[int, ...] | torch.Size) -> str:
    return "x".join(map(str, shape))
