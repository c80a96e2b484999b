"""The standard set of pictures of a latent space: the stage explore@ draws it, the page of a comparison shows it."""

from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen.evaluation.exploration import Exploration, Has
from gen.evaluation.reference import Reference
from gen.family import Noise
from gen.figures.film import frames, gif, mp4
from gen.figures.grid import grid, png
from gen.figures.latent import interpolations
from gen.figures.manifold import (
    arithmetic_sheet,
    decoupled_sheet,
    j_sheet,
    mine,
    mine_panels,
    offsets_sheet,
    sheet_picture,
    traversal_sheet,
)
from gen.latent.attributes import attribute_vector, balanced_vector
from gen.latent.encoding import AT_ONCE, decoded
from gen.latent.walk import loop
from gen.metrics.neighbours import closest

PAIRS, STEPS = 4, 10
"""Paths between draws of the prior."""
ROUNDS, STOPS, BETWEEN = 4, 5, 12
"""Films side by side, draws that each goes through, frames from one to the next."""
SIDE = 7
"""Rows and columns of a J-diagram."""
ROWS, COLUMNS, GAP = 3, 5, 2
"""Of a MINE grid, as in figure 4, and the images between two neighbours."""
SHOWN = 8
"""Test images that are shown along a vector, projected, or beside their nearest training images."""
REACH = 2.0
"""How often an attribute's vector is taken, at the ends."""
NEAREST, SAMPLES = 4, 512
"""Training images beside a sample; samples of which those nearest to a training image are shown."""


def draw(folder: Path, one: Exploration, blur: Float[Tensor, " d"], reference: Reference) -> None:
    """Write the pictures into `folder`, and `film.mp4` beside it.

    Args:
        folder: is there.
        one: the latent space.
        blur: the vector of a synthetic blur.
        reference: the real images as an extractor sees them.
    """
    family, shown = one.family, one.held[:SHOWN]
    ends = family.prior(Noise("interpolations", rows=2 * PAIRS))
    pictures = {
        "interpolations": grid(interpolations(family, ends, STEPS), columns=STEPS + 1),
        "projections": projections(one),
        "analogy": sheet_picture(j_sheet(family, one.of(one.first), SIDE, SIDE, one.first)),
        "neighbours": mine_panels(
            mine(family, one.z, one.z[0], rows=ROWS, columns=COLUMNS, gap=GAP), one.held[: len(one.z)]
        ),
        "blur": sheet_picture(offsets_sheet(family, shown, one.z[:SHOWN], -blur[None])),
        "nearest": nearest(one, reference),
    }
    if one.names:
        pictures |= attribute_pictures(one, *one.labelled)
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(png(picture))
    rounds = [loop(family.prior(Noise("film", number, rows=STOPS)), BETWEEN) for number in range(ROUNDS)]
    film = frames(decoded(family, torch.stack(rounds)), per_row=2)
    (folder / "film.gif").write_bytes(gif(film))
    (folder.parent / "film.mp4").write_bytes(mp4(film))


def projections(one: Exploration) -> Image.Image:
    """A row for each of some test images: it, its reconstruction by the encoder, and by optimisation."""
    columns = [one.held[:SHOWN], decoded(one.family, one.projections.z[:SHOWN])]
    if one.encodings:
        columns.insert(1, decoded(one.family, one.encodings.z[:SHOWN]))
    return sheet_picture(torch.stack(columns))


def attribute_pictures(one: Exploration, z: Float[Tensor, "n d"], has: Has) -> dict[str, Image.Image]:
    """Along an attribute's vector; and where there is another attribute, balanced, decoupled and added."""
    family, shown, alphas = one.family, one.held[:SHOWN], torch.linspace(-REACH, REACH, 9)
    name, *others = one.names
    found = {}
    vectors = {"attribute": attribute_vector(z, has[name], name)}
    if others:
        other = others[0]
        vectors["balanced"] = balanced_vector(z, has[name], has[other], name, other)
        down = balanced_vector(z, has[other], has[name], other, name)
        found["decoupled"] = sheet_picture(
            decoupled_sheet(family, one.z[0], vectors["balanced"], down, alphas=alphas, image=shown[0])
        )
        cells = (has[name] & ~has[other], ~has[name] & ~has[other], ~has[name] & has[other])
        if all(int(cell.sum()) >= 3 for cell in cells):
            first, second, third = (z[cell][:3] for cell in cells)
            found["arithmetic"] = sheet_picture(arithmetic_sheet(family, first, second, third))
    for kind, vector in vectors.items():
        found[kind] = sheet_picture(traversal_sheet(family, one.z[:SHOWN], vector, alphas, shown))
    return found


def nearest(one: Exploration, reference: Reference) -> Image.Image:
    """Samples nearest to one of the training images, beside their nearest: at the left in pixels, right in features."""
    train = one.train.images
    drawn = decoded(one.family, one.family.prior(Noise("nearest", rows=SAMPLES)))
    features = torch.cat([reference.extract(some).features for some in torch.split(drawn, AT_ONCE)])
    known = reference.features("train")[: len(train)]
    halves = []
    for queries, base in ((drawn.flatten(1), train.flatten(1)), (features, known)):
        chosen, near = closest(queries, base, SHOWN, NEAREST)
        halves.append(torch.cat([drawn[chosen][:, None], train[near]], dim=1))
    white = drawn.new_ones(SHOWN, 1, *drawn.shape[1:])
    return sheet_picture(torch.cat([halves[0], white, halves[1]], dim=1))
