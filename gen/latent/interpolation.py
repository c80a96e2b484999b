"""Paths between latent vectors, and how far they stray from the prior (White 2016, section II.A)."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError

Point = Float[Tensor, " d"]
Path = Float[Tensor, "k d"]
Interpolate = Callable[[Tensor, Tensor, Tensor], Tensor]
PARALLEL = 1e-6
"""Angle in radians below which two vectors have one direction: the great circle is a straight line there."""


def lerp(q1: Point, q2: Point, mu: Float[Tensor, " k"]) -> Path:
    """The straight line: q1 at mu = 0, q2 at mu = 1, exactly."""
    mu = mu.to(q1)[:, None]
    return (1 - mu) * q1 + mu * q2


def slerp(q1: Point, q2: Point, mu: Float[Tensor, " k"]) -> Path:
    """The great circle, with elevation changes (Shoemake 1985): q1 at mu = 0, q2 at mu = 1, exactly.

        sin((1 - mu) theta) / sin theta q1 + sin(mu theta) / sin theta q2

    theta is the angle between the directions of q1 and q2; of equal directions it is the straight line.

    Raises:
        InputError: a vector of length 0, or two opposite ones: there is no such path, or more than one.
    """
    u, v = q1.double(), q2.double()
    lengths = float(u.norm()), float(v.norm())
    if not min(lengths) > 0:
        raise InputError("a latent vector of length 0 has no direction; choose another end, or interpolate linearly")
    u, v = u / lengths[0], v / lengths[1]
    theta = 2 * torch.atan2((u - v).norm(), (u + v).norm())
    if float(torch.pi - theta) < PARALLEL:
        raise InputError("opposite latent vectors have no great circle between them; choose another end")
    if float(theta) < PARALLEL:
        return lerp(q1, q2, mu)
    mu = mu.double()[:, None]
    first, second = torch.sin((1 - mu) * theta), torch.sin(mu * theta)
    path: Tensor = ((first * q1.double() + second * q2.double()) / torch.sin(theta)).to(q1.dtype)
    return torch.where(mu == 0, q1, torch.where(mu == 1, q2, path))


def series(points: Float[Tensor, "n d"], steps: int, between: Interpolate = slerp) -> Path:
    """A path through all points, with `steps` steps from each to the next: (n - 1) steps + 1 latent vectors.

    Raises:
        InputError: fewer than two points, or as `between` does.
    """
    if len(points) < 2:
        raise InputError(f"a path needs two latent vectors at the least; got {len(points)}")
    mu = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    legs = [between(a, b, mu)[:-1] for a, b in pairwise(points)]
    return torch.cat([*legs, points[-1:]])


def corners(
    four: Float[Tensor, "4 d"], rows: int, columns: int, between: Interpolate = slerp
) -> Float[Tensor, "rows columns d"]:
    """A grid between four latent vectors: top left, top right, bottom left, bottom right.

    Along the left and the right edge first, then from the left to the right. Raises InputError as `between` does.
    """
    down, across = (torch.linspace(0, 1, count, dtype=torch.float64) for count in (rows, columns))
    top_left, top_right, bottom_left, bottom_right = four
    left, right = between(top_left, bottom_left, down), between(top_right, bottom_right, down)
    return torch.stack([between(a, b, across) for a, b in zip(left, right, strict=True)])


class Lengths(NamedTuple):
    """Lengths of latent vectors against those of draws from the prior."""

    lengths: Float[Tensor, " k"]
    prior_mean: float
    prior_sd: float
    off: Float[Tensor, " k"]
    """How many standard deviations of the prior's lengths each is away from their mean."""


def tentpole(path: Path, prior: Float[Tensor, "n d"]) -> Lengths:
    """How untypical the vectors of a path are, by their length.

    In 100 dimensions draws of N(0, I) are about 10 long, and the middle of a straight line between two of them about 7:
    the line sags like a tent between its poles.
    """
    lengths, known = path.double().norm(dim=1), prior.double().norm(dim=1)
    mean, sd = float(known.mean()), float(known.std())
    return Lengths(lengths, mean, sd, (lengths - mean) / sd)
