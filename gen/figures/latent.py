"""Pictures of a latent space: what each dimension changes, a plane of it, and where it cannot be sampled."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from gen.abilities import Inference, Latent
from gen.extractors import AT_ONCE
from gen.family import Noise
from gen.figures.grid import grid
from gen.latent.interpolation import lerp, slerp

STEPS = 11
"""Images in a row of a traversal."""
SIDE = 15
"""Images in a row and in a column of a plane."""
DIMENSIONS = 8
"""That are traversed, at most."""
DRAWS = 4096
"""Draws of the prior that its percentiles are taken of."""
RANGE = (0.02, 0.98)
"""Percentiles between which a dimension moves."""
COLUMNS = 8
"""Images in a row of each half of `codes`, at most; rows that are not full are left out."""


@torch.inference_mode()
def latent_space(family: Latent, images: Float[Tensor, "n c h w"]) -> Image.Image:
    """Images of a latent plane (Kingma & Welling 2014, figure 4), or a row for each of some dimensions of more.

    Coordinates are percentiles of the prior, so that images are spread as samples are. Of a family with an encoder the
    dimensions are those that differ most between the encodings of `images`, of another the first.
    """
    z = family.prior(Noise("latent space", rows=DRAWS))
    if z.shape[1] == 2:
        across, down = percentiles(z, SIDE).unbind(1)
        plane = torch.stack(torch.meshgrid(down.flip(0), across, indexing="ij"), dim=2).flatten(0, 1).flip(1)
        return grid(family.decode(plane), columns=SIDE)
    order = torch.arange(z.shape[1])
    if isinstance(family, Inference):
        encoded = torch.cat([family.encode(some) for some in torch.split(images, AT_ONCE)])
        order = encoded.var(dim=0).argsort(descending=True)
    return grid(family.decode(traversals(z, order[:DIMENSIONS])), columns=STEPS)


def percentiles(z: Float[Tensor, "n d"], count: int) -> Float[Tensor, "count d"]:
    """So many percentiles of each dimension, evenly spread over `RANGE`."""
    return z.quantile(torch.linspace(*RANGE, count, dtype=z.dtype), dim=0)


def traversals(z: Float[Tensor, "n d"], dimensions: Int[Tensor, " k"]) -> Float[Tensor, "rows d"]:
    """The first latent vector `STEPS` times for each dimension, which moves through percentiles of the others."""
    moved = z[0].repeat(len(dimensions), STEPS, 1)
    steps = percentiles(z, STEPS)
    for row, dimension in enumerate(dimensions.tolist()):
        moved[row, :, dimension] = steps[:, dimension]
    return moved.flatten(0, 1)


@torch.inference_mode()
def interpolations(family: Latent, ends: Float[Tensor, "n d"], steps: int) -> Float[Tensor, "rows c h w"]:
    """Images along paths between pairs of latent vectors (White 2016, figure 1): `steps` + 1 for each path.

    Two rows for each pair: along the straight line, and along the great circle.
    """
    mu = torch.linspace(0, 1, steps + 1)
    paths = [between(a, b, mu) for a, b in zip(ends[::2], ends[1::2], strict=True) for between in (lerp, slerp)]
    return family.decode(torch.cat(paths))


@torch.inference_mode()
def codes(family: Inference, images: Float[Tensor, "n c h w"]) -> Image.Image:
    """Decoded codes of images (left) beside decoded draws from a Gaussian of the codes' means and deviations.

    Why an autoencoder does not sample: codes fill a small part of what their means and deviations allow.
    """
    columns = min(COLUMNS, len(images))
    found = family.encode(images[: len(images) // columns * columns])
    drawn = found.mean(dim=0) + found.std(dim=0) * Noise("codes", rows=len(found)).normal(found.shape[1])
    return grid(halves(family.decode, found, drawn, columns), columns=2 * columns)


def halves(decode: Callable[[Tensor], Tensor], left: Tensor, right: Tensor, columns: int) -> Float[Tensor, "n c h w"]:
    """The images of both, row by row of a sheet whose left and right half they are."""
    both = [made.reshape(-1, columns, *made.shape[1:]) for made in (decode(left), decode(right))]
    return torch.cat(both, dim=1).flatten(0, 1)
