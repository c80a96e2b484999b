"""Sheets of what can be done in a latent space: the figures of White 2016, and figure 7 of Radford et al. 2015 (DCGAN).

A sheet is a tensor of images in rows and columns; where nothing belongs it is white.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from gen.abilities import Inference, Latent
from gen.family import Noise
from gen.figures.grid import grid
from gen.latent.analogy import arithmetic, j_diagram
from gen.latent.attributes import decoupled_grid, traversal
from gen.latent.encoding import decoded
from gen.latent.neighbourhood import arrange, neighbours, spread

Decodes = Latent | Inference
Images = Float[Tensor, "n c h w"]
Sheet = Float[Tensor, "rows columns c h w"]
Vector = Float[Tensor, " d"]
MARGIN = 8
"""Pixels between two panels."""


def j_sheet(
    family: Decodes,
    z: Float[Tensor, "3 d"],
    rows: int,
    columns: int,
    inputs: Images | None = None,
) -> Sheet:
    """A J-diagram (figure 2): A, B and C at three corners, C + B - A at the fourth, great circles between.

    Args:
        family: decodes.
        z: the latent vectors of A, B and C.
        rows: of the diagram.
        columns: of the diagram; with `inputs` the sheet has one more at the left and at the right.
        inputs: the images of A, B and C, which stand outside of the diagram beside their reconstructions.

    Raises:
        InputError: there is no great circle between two of them.
    """
    diagram = decoded(family, j_diagram(z[0], z[1], z[2], rows, columns))
    if inputs is None:
        return diagram
    edges = diagram.new_ones(2, rows, 1, *diagram.shape[2:])
    edges[0, 0, 0], edges[1, 0, 0], edges[0, -1, 0] = inputs
    return torch.cat([edges[0], diagram, edges[1]], dim=1)


class Mine(NamedTuple):
    """A MINE grid."""

    chosen: Int[Tensor, "rows columns"]
    """Which of the stored images stands where."""
    z: Float[Tensor, "tall wide d"]
    sheet: Float[Tensor, "tall wide c h w"]
    """The neighbours' reconstructions, spread out, and what is between them."""


def mine(family: Decodes, store: Float[Tensor, "n d"], seed: Vector, *, rows: int, columns: int, gap: int) -> Mine:
    """A MINE grid of the neighbours of a latent vector among encoded images (figure 4).

    Raises:
        InputError: the store has too few, or the grid nothing to interpolate.
    """
    near = neighbours(store, seed, rows * columns)
    chosen = near[arrange(store[near], rows, columns)]
    z = spread(store[chosen], gap)
    return Mine(chosen, z, decoded(family, z))


def mine_panels(found: Mine, images: Images) -> Image.Image:
    """Above, the images of the neighbours where they stand in the grid; below, the grid."""
    columns = found.chosen.shape[1]
    below = grid(found.sheet.flatten(0, 1), columns=found.sheet.shape[1])
    above = grid(images[found.chosen.flatten()], columns=columns)
    above = above.resize((below.width, round(above.height * below.width / above.width)), Image.Resampling.NEAREST)
    return stacked(above, below)


def traversal_sheet(
    family: Decodes, z: Float[Tensor, "n d"], vector: Vector, alphas: Float[Tensor, " k"], inputs: Images | None = None
) -> Sheet:
    """A row for each latent vector along an attribute (figure 5), its image at the left where there is one."""
    made = decoded(family, traversal(z, vector, alphas))
    return made if inputs is None else torch.cat([inputs[:, None], made], dim=1)


def decoupled_sheet(
    family: Decodes,
    z: Vector,
    across: Vector,
    down: Vector,
    *,
    alphas: Float[Tensor, " k"],
    image: Float[Tensor, "c h w"],
) -> Sheet:
    """Two attributes on one grid (figure 7): the first to the right, the second downwards.

    At the left the image and, adjacent, its reconstruction.
    """
    made = decoded(family, decoupled_grid(z, across, down, alphas))
    edges = made.new_ones(len(alphas), 2, *made.shape[2:])
    middle = len(alphas) // 2
    edges[middle, 0], edges[middle, 1] = image, decoded(family, z[None])[0]
    return torch.cat([edges, made], dim=1)


def offsets_sheet(family: Decodes, images: Images, z: Float[Tensor, "n d"], offsets: Float[Tensor, "k d"]) -> Sheet:
    """Figure 8: the images, below each its reconstruction, then with each of the constant offsets."""
    moved = decoded(family, torch.cat([z[None], z + offsets[:, None]]))
    return torch.cat([images[None], moved])


def arithmetic_sheet(
    family: Decodes, plus: Float[Tensor, "3 d"], minus: Float[Tensor, "3 d"], and_plus: Float[Tensor, "3 d"]
) -> Sheet:
    """The first concept, less the second, plus the third (DCGAN, figure 7), from three examples of each.

    A row for each concept: the examples and the image of their mean. Beside them two sheets of 3x3: the arithmetic of
    latent vectors, with noise around the middle, and the same arithmetic of the pixels of the examples.
    """
    concepts = torch.stack([plus, minus, and_plus])
    examples = decoded(family, concepts)
    means = decoded(family, concepts.mean(dim=1, keepdim=True))
    made = decoded(family, arithmetic(plus, minus, and_plus, Noise("around", rows=9)))
    first, second, third = examples.flatten(2)
    pixels = arithmetic(first, second, third, Noise("around", rows=9)).reshape(made.shape)
    white = made.new_ones(3, 1, *made.shape[1:])
    latent, plain = (nine.reshape(3, 3, *made.shape[1:]) for nine in (made, pixels))
    return torch.cat([examples, means, white, latent, white, plain], dim=1)


def stacked(*pictures: Image.Image) -> Image.Image:
    """Pictures below each other, on white."""
    size = max(one.width for one in pictures), sum(one.height for one in pictures) + MARGIN * (len(pictures) - 1)
    result = Image.new(pictures[0].mode, size, "white")
    top = 0
    for one in pictures:
        result.paste(one, (0, top))
        top += one.height + MARGIN
    return result


def sheet_picture(sheet: Sheet) -> Image.Image:
    """A sheet as one picture."""
    return grid(sheet.flatten(0, 1), columns=sheet.shape[1])
