"""Numbers beside the pictures of a latent space."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Latent
from gen.family import Noise
from gen.latent.encoding import DRAWS, decoded
from gen.latent.interpolation import lerp, slerp, tentpole
from gen.latent.sharpness import sharpness

PAIRS = 256
"""Paths whose middles are looked at."""


def middles(family: Latent, seed: int) -> dict[str, float]:
    """How typical and how sharp the middles of paths between draws of the prior are, straight and on great circles.

    Lengths are in standard deviations of the prior's from their mean. Sharpness is a share of that of the paths' ends:
    1 is as sharp as samples are.
    """
    ends = family.prior(Noise("middles", seed, rows=2 * PAIRS))
    prior, half = family.prior(Noise("prior", seed, rows=DRAWS)), torch.tensor([0.5])
    usual = float(sharpness(decoded(family, ends)).mean())
    found = {}
    for name, between in (("lerp", lerp), ("slerp", slerp)):
        z = torch.cat([between(a, b, half) for a, b in zip(ends[::2], ends[1::2], strict=True)])
        found[f"length_at_middle_{name}"] = float(tentpole(z, prior).off.mean())
        found[f"sharpness_at_middle_{name}"] = share_of(float(sharpness(decoded(family, z)).mean()), usual)
    return found


def unexplained(images: Float[Tensor, "n c h w"], error: Float[Tensor, " n"]) -> float:
    """The mean error of reconstructions as a share of the variance of the images' pixels: 1 is the mean image's."""
    return float(error.mean() / (images - images.mean(dim=0)).square().mean())


def share_of(part: float, whole: float) -> float:
    """A part of a whole; 0 of nothing, such as the sharpness of a model whose images are all grey."""
    return part / whole if whole else 0.0
