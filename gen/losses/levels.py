"""Pixels as one of a few levels: what a model of discrete values makes of images in [-1, 1]."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen.errors import InputError
from gen.family import ImageShape, Noise

Binarisation = Literal["threshold", "stochastic"]
"""How a grey pixel becomes black or white: white from 1/2 up; or white with the probability that its grey is, drawn
anew each time. Published numbers of MNIST are of drawn pixels (Salakhutdinov & Murray 2008), of which Larochelle's
fixed set is one draw. Their likelihoods are not compared: drawn pixels cost more nats."""
Images = Float[Tensor, "n c h w"]
Levels = Int[Tensor, "n c h w"]


def to_levels(images: Images, levels: int, binarisation: Binarisation, noise: Noise) -> Levels:
    """The level of each value, from 0 to `levels` - 1: the nearest; of two levels, as `binarisation` says."""
    shares = (images + 1) / 2
    if levels == 2 and binarisation == "stochastic":
        return (noise.uniform(*images.shape[1:]) < shares).long()
    return (shares * (levels - 1)).add(0.5).floor().long()


def from_levels(level: Int[Tensor, "..."], levels: int, dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Levels as values in [-1, 1]."""
    return level.to(dtype) * (2 / (levels - 1)) - 1


def check_shape(images: Images, image: ImageShape) -> None:
    """Raises InputError for images of another shape than the model's."""
    if tuple(images.shape[1:]) != image:
        there, own = ("x".join(map(str, shape)) for shape in (images.shape[1:], image))
        raise InputError(f"images: of {there} (channels, height, width); the model was trained with {own}")


def check_support(images: Images, image: ImageShape) -> None:
    """Raises InputError where a value is outside of [-1, 1], so that no level stands for it, and as `check_shape`."""
    check_shape(images, image)
    inside = (images >= -1) & (images <= 1)
    if not bool(inside.all()):
        wrong = float(images[~inside][0])
        raise InputError(f"images: a value of {wrong:g}; a model of discrete pixels has a likelihood of [-1, 1] alone")
