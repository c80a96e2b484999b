"""Improved precision and recall: how much of what is generated is real, and how much of the real is generated.

Kynkaanniemi, Karras, Laine, Lehtinen & Aila 2019 (arXiv:1904.06991), equations 1 and 2: a set's manifold is the union
of balls about its samples, each as wide as the distance to the sample's k-th nearest neighbour; precision is the share
of generated samples on the real manifold, recall the share of real samples on the generated one.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from gen.metrics.checks import check_pair, check_positive
from gen.metrics.neighbours import BLOCK, Products, centre_of, differences, nearest, products, spans


class PrecisionRecall(NamedTuple):
    """Both in [0, 1]."""

    precision: float
    recall: float
    k: int


def precision_recall(
    real: Float[Tensor, "n d"], generated: Float[Tensor, "m width"], k: int = 3, block: int = BLOCK
) -> PrecisionRecall:
    """Precision and recall, computed `block` x `block` distances at a time; the answer does not depend on `block`.

    Memory beyond the features depends on `block` and d, not on the numbers of samples; the time is that of three
    products of all rows with all rows in float64. Both measures depend on the numbers of samples: name them.

    Raises:
        InputError: fewer than k + 1 samples, different widths, or values that are not finite.
    """
    check_positive(k=k, block=block)
    check_pair(real, generated, least=k + 1)
    # Each sample is its own nearest neighbour, so the k-th of the others is the (k + 1)-th of all.
    real_radii, generated_radii = (nearest(rows, rows, k + 1, block).distances[:, k] for rows in (real, generated))
    centre = centre_of(real)
    precise = torch.zeros(len(generated), dtype=torch.bool, device=real.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for rows in spans(len(generated), block):
        x = generated[rows].double() - centre
        for columns in spans(len(real), block):
            y = real[columns].double() - centre
            found = products(x, y)
            precise[rows] |= _inside(found, generated[rows], real[columns], real_radii[columns])
            flipped = Products(found.squared.T, found.error)
            recalled[columns] |= _inside(flipped, real[columns], generated[rows], generated_radii[rows])
    return PrecisionRecall(float(precise.double().mean()), float(recalled.double().mean()), k)


def _inside(
    found: Products, points: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], radii: Float64[Tensor, " m"]
) -> Bool[Tensor, " n"]:
    """Whether each point is in a ball, its edge included. Only where rounding could decide are differences taken."""
    margin = (found.squared - radii.square()).amin(dim=1)
    inside: Tensor = margin < -found.error
    unsure = ~inside & (margin <= found.error)
    inside[unsure] = (differences(points[unsure].double(), centres.double()) <= radii).any(dim=1)
    return inside
