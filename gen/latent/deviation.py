"""How far a set of encodings deviates from the prior: the measure that White 2016 asks for in section IV.

Two numbers, both estimated from draws alone, so that they hold for any prior:

    inhomogeneity   H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / 2 E|X - Y|

is the energy distance of the encodings X and of draws Y of the prior as a share of its largest value (Szekely & Rizzo
2013, Energy statistics): 0 if and only if both have one distribution, 1 if each is a single point of its own. There is
no kernel, no width and no number of neighbours to choose, and it does not fail where encodings fill a subspace, as a
Frechet distance or a ratio of densities would. H says how different they are, but not what becomes of samples. So:

    outside         the share of draws of the prior that lie farther from every encoding than 95% of encodings lie from
                    the nearest other one

is the probability that random samples fall outside of the manifold of encoded data, in the source's words. Encodings
that are distributed as the prior have 5% of its draws outside, whatever the number of dimensions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.metrics.neighbours import nearest

LEVEL = 0.05
"""Share of encodings that count as outside of the manifold of the others."""
BLOCK = 2048
"""Rows whose distances to all others are held together."""


class Deviation(NamedTuple):
    """How encodings differ from draws of the prior."""

    inhomogeneity: float
    """H, from 0 to 1, but for noise."""
    floor: float
    """H of as many further draws of the prior: what the encodings would have if they were distributed as the prior."""
    outside: float
    """Share of draws of the prior outside of the manifold of the encodings; LEVEL if they are distributed as it is."""


def deviation(encodings: Float[Tensor, "n d"], prior: Float[Tensor, "m d"]) -> Deviation:
    """How far encodings deviate from the prior, of which there are at least twice as many draws.

    Raises:
        InputError: fewer than three encodings, or too few draws.
    """
    count = len(encodings)
    if count < 3:
        raise InputError(f"encodings: {count}; at least 3 are needed to say how they are distributed")
    if len(prior) < 2 * count:
        raise InputError(f"prior: {len(prior)} draws for {count} encodings; at least {2 * count} are needed")
    first, second = prior[:count], prior[count : 2 * count]
    return Deviation(
        inhomogeneity(encodings, first), inhomogeneity(second, first), share_outside(first, encodings, LEVEL)
    )


def inhomogeneity(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """H of two sets, without bias in each of its three means: of equal distributions it is 0 in the mean."""
    between = _mean_distance(x, y)
    within = sum(_mean_distance(z, z) * len(z) / (len(z) - 1) for z in (x, y))  # a row's distance to itself is no pair
    return (2 * between - within) / (2 * between) if between else 0.0


def share_outside(queries: Float[Tensor, "m d"], base: Float[Tensor, "n d"], level: float) -> float:
    """Share of queries farther from every row of the base than all but `level` of its rows are from the nearest other.

    A query that is distributed as the base is one more row of it, and outside with that probability.
    """
    own = nearest(base, base, 2).distances[:, 1]
    radius = own.quantile(1 - level)
    return float((nearest(queries, base).distances[:, 0] > radius).double().mean())


def _mean_distance(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """Over all pairs of rows."""
    total = sum(float(torch.cdist(rows.double(), y.double()).sum()) for rows in torch.split(x, BLOCK))
    return total / (len(x) * len(y))
