"""Sliced Wasserstein distance of two sets of samples, in their own coordinates.

Bonneel, Rabin, Peyre & Pfister, "Sliced and Radon Wasserstein barycenters of measures", 2015. Cheap enough to look at
during training and the same for images and points; it says which of two checkpoints of one run is closer to the data,
not how good an image looks.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def projections(points: Float[Tensor, "n d"], directions: int = 256, seed: int = 0) -> Float[Tensor, "k n"]:
    """The points along k random directions, each in ascending order. The directions depend on `seed` and d alone."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.randn(points.shape[1], directions, generator=generator, dtype=torch.float64)
    along = (along / along.norm(dim=0)).to(points.device, points.dtype)
    # A direction is a row: sorting columns takes three times as long.
    ascending: Float[Tensor, "k n"] = (along.T @ points.T).sort(dim=1).values
    return ascending


def distance(real: Float[Tensor, "k n"], generated: Float[Tensor, "k n"]) -> float:
    """Of two sets of as many points whose projections these are: root mean square of the 2-Wasserstein distances."""
    return float((real - generated).square().mean().sqrt())
