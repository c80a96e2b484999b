"""Ways through latent space that have no end: loops through draws of the prior, and random walks."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.latent.interpolation import Interpolate, series, slerp


def loop(points: Float[Tensor, "n d"], steps: int, between: Interpolate = slerp) -> Float[Tensor, "k d"]:
    """A closed path through all points, `steps` latent vectors from each to the next, n `steps` in all.

    The last is one step before the first, so that a film of it goes round without a stop.

    Raises:
        InputError: fewer than two points, or as `between` does.
    """
    return series(torch.cat([points, points[:1]]), steps, between)[:-1] if len(points) > 1 else series(points, steps)


def random_walk(draws: Float[Tensor, "n d"], stride: float) -> Float[Tensor, "n d"]:
    """A walk from the first draw of the prior: each step goes a share `stride` of the great circle to the next draw.

    Two draws of a prior of many dimensions are nearly at right angles. A step then keeps cos of the vector and adds sin
    of the draw, of one angle, stride pi / 2: of a normal prior its directions are distributed as those of the prior,
    its lengths lie closer to their mean, and vectors that are k steps apart have the correlation cos(angle)^k.

    Raises:
        InputError: a stride outside (0, 1], or as `slerp` does.
    """
    if not 0 < stride <= 1:
        raise InputError(f"stride: {stride}; use a share of the way to the next draw, above 0 and at most 1")
    mu = torch.tensor([stride], dtype=torch.float64)
    walk = [draws[0]]
    for draw in draws[1:]:
        walk.append(slerp(walk[-1], draw, mu)[0])
    return torch.stack(walk)
