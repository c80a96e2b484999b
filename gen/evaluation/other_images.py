"""Images that a model was not trained with, which people expect to be less likely to it than its test images.

They need not be (Nalisnick et al. 2019, Do deep generative models know what they don't know?).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gen.family import ImageShape, Noise

STROKES = 3
"""Curves in an image of strokes."""
POINTS = 32
"""Of each curve."""
PEN = 0.05
"""Half the width of a stroke, as a share of the image's side."""


def other_images(images: Float[Tensor, "n c h w"]) -> dict[str, Float[Tensor, "n c h w"]]:
    """Images that a model was not trained with, by what they are: made of the given ones, or strokes."""
    shape = ImageShape(*images.shape[1:])
    return {
        "inverted": -images,
        "mirrored": images.flip(3),
        "strokes": strokes(shape, Noise("strokes", rows=len(images))),
    }


def strokes(shape: ImageShape, noise: Noise) -> Float[Tensor, "n c h w"]:
    """White strokes on black, like letters of an alphabet that nobody knows: quadratic Bezier curves, in [-1, 1]."""
    ends = 0.1 + 0.8 * noise.uniform(STROKES, 3, 2)
    t = torch.linspace(0, 1, POINTS, dtype=ends.dtype)
    curve = torch.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2])
    points = torch.einsum("nspd,pt->nstd", ends, curve).flatten(1, 2)
    down, across = ((torch.arange(side, dtype=ends.dtype) + 0.5) / side for side in shape[1:])
    places = torch.cartesian_prod(down, across)
    far = torch.cdist(places.expand(len(points), -1, -1), points).amin(dim=2)
    grey = ((PEN - far) * max(shape[1:]) + 0.5).clamp(0, 1)  # a pixel wide from white to black
    return (2 * grey - 1).reshape(-1, 1, *shape[1:]).expand(-1, *shape)
