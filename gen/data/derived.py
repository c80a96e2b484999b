"""Pairs made of any data set of images: what a model is given is computed of each picture when the set is prepared.

| kind | the input is |
|---|---|
| grey | the picture without its colours (ITU-R 601 luma): colourisation |
| small | the picture smaller by a factor, then brought back to its size by bicubic interpolation: super-resolution |
| edges | how steep the luma is at each pixel (Sobel 1968) |
| inverse | 255 less each value |

The picture itself is the target. Both are shown to a family as a pair: `Batch.extras["input"]` and `Batch.images`.
"""

from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from pydantic import Field, model_validator

from gen.family import Column
from gen.settings import Settings

INPUT = "input"
"""The column of a pair's input."""
LUMA = np.array([299, 587, 114], np.uint32)
"""Of red, green and blue, in thousandths."""
Pictures = UInt8[ndarray, "n c h w"]


class Derivation(Settings):
    """The section `input` of a data set in params.yaml."""

    kind: Literal["grey", "small", "edges", "inverse"]
    """What the input is of a picture, see above."""
    factor: int | None = Field(default=None, ge=2)
    """How many times as wide and high the picture is; for `small` alone."""
    filter: Literal["box", "bilinear", "bicubic", "lanczos"] = "box"
    """What weighs the pixels that become one, against aliasing; for `small` alone."""

    @model_validator(mode="after")
    def _factor_of_small(self) -> "Derivation":
        if (self.factor is None) == (self.kind == "small"):
            remedy = "give one, such as 2" if self.kind == "small" else f"{self.kind} has none, leave it out"
            raise ValueError(f"factor: {remedy}")
        return self

    def column(self, shape: tuple[int, int, int], dtype: str) -> Column:
        """What its column holds, for pictures of that shape: channels, height, width.

        Raises:
            ValueError: they are points, or their size is no multiple of the factor.
        """
        channels, height, width = shape
        if dtype != "uint8":
            raise ValueError("input: is made of pictures, and these are points; leave it out")
        if self.factor and (height % self.factor or width % self.factor):
            raise ValueError(f"input.factor: {self.factor} does not divide {height}x{width} pixels; give one that does")
        channels = {"grey": 1, "edges": 1}.get(self.kind, channels)
        return Column(dtype="uint8", shape=(channels, height, width), image=True)

    def of(self, images: Pictures) -> Pictures:
        """The inputs of pictures."""
        match self.kind:
            case "grey":
                return luma(images)
            case "small":
                return self._small(images)
            case "edges":
                return edges(images)
            case "inverse":
                inverse: Pictures = np.invert(images)
                return inverse

    def _small(self, images: Pictures) -> Pictures:
        height, width = images.shape[2:]
        size = (width // (self.factor or 1), height // (self.factor or 1))
        smaller = Image.Resampling[self.filter.upper()]
        planes = [
            np.asarray(Image.fromarray(plane).resize(size, smaller).resize((width, height), Image.Resampling.BICUBIC))
            for plane in images.reshape(-1, height, width)
        ]
        return np.stack(planes).reshape(images.shape) if planes else images


def luma(images: Pictures) -> UInt8[ndarray, "n 1 h w"]:
    """Brightness by ITU-R 601, rounded; pictures of one channel as they are."""
    if images.shape[1] == 1:
        return images
    weighed = np.tensordot(images.astype(np.uint32), LUMA, axes=(1, 0))
    return ((weighed + 500) // 1000).astype(np.uint8)[:, None]


def edges(images: Pictures) -> UInt8[ndarray, "n 1 h w"]:
    """Length of the luma's Sobel gradient; 255 for a border between black and white, along rows or columns."""
    from scipy.ndimage import sobel  # half a second, which every command would pay that reads params

    grey = luma(images).astype(np.float32)
    steep = np.hypot(sobel(grey, axis=2, mode="nearest"), sobel(grey, axis=3, mode="nearest")) / 4
    rounded: Pictures = np.rint(steep).clip(0, 255).astype(np.uint8)
    return rounded
