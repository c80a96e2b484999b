"""Blur and sharpness of images: synthetic attributes (White 2016, section III.C), and how weak the middle of a path is.

Pixels are in [-1, 1].
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gen.errors import InputError


def blurred(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """The images after a Gaussian blur of so many pixels; beyond an edge they go on as at the edge.

    Raises:
        InputError: sigma is not above 0.
    """
    if not (sigma > 0 and math.isfinite(sigma)):
        raise InputError(f"sigma: {sigma}; use a number of pixels above 0, such as 1.5")
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-places.square() / (2 * sigma**2))
    weights = (weights / weights.sum()).to(images)
    rows = images.flatten(0, 1)[:, None]
    rows = conv2d(pad(rows, (reach, reach, 0, 0), mode="replicate"), weights[None, None, None, :])
    rows = conv2d(pad(rows, (0, 0, reach, reach), mode="replicate"), weights[None, None, :, None])
    return rows[:, 0].unflatten(0, images.shape[:2])  # type: ignore[no-any-return,no-untyped-call]


def sharpness(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean length of the gradient of brightness: how much a pixel differs from those to the right of it and below."""
    grey = images.mean(dim=1)
    right, below = grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1]
    return (right.square() + below.square()).sqrt().flatten(1).mean(dim=1)


def brightness(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean of all pixels."""
    return images.flatten(1).mean(dim=1)
