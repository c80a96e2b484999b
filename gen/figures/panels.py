"""Pictures of a model beside its data: reconstructions, completions, nearest training images, and points."""

import io
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from gen.abilities import Completes, Inference, Latent, Samples
from gen.conditions import draw, told
from gen.family import Batch, Family, Noise
from gen.figures.grid import alternating, grid
from gen.metrics.neighbours import nearest

PAIRS = 8
"""Pairs of image and reconstruction in a row."""
POINTS = 2000
COMPLETED = 4
"""Completions that are shown of an image."""


def pairs(images: Float[Tensor, "n c h w"], made: Float[Tensor, "n c h w"]) -> Image.Image:
    """Each image with its reconstruction to the right of it."""
    return grid(alternating(images, made), columns=2 * PAIRS)


@torch.inference_mode()
def completions(family: Completes, images: Float[Tensor, "n c h w"]) -> Image.Image:
    """A row for each image: it, its upper half above black, then what the family makes of that half."""
    known = torch.zeros(images.shape[2:], dtype=torch.bool)
    known[: len(known) // 2] = True
    repeated = images.repeat_interleave(COMPLETED, dim=0)
    made = family.complete(repeated, known, Noise("completions", rows=len(repeated)))
    given = torch.where(known, images, -1.0)
    columns = [images, given, *(made[i::COMPLETED] for i in range(COMPLETED))]
    return grid(torch.stack(columns, dim=1).flatten(0, 1), columns=len(columns))


def beside_neighbours(samples: Float[Tensor, "n c h w"], train: Float[Tensor, "n k c h w"]) -> Image.Image:
    """A row for each sample: it, then its nearest training images."""
    rows = torch.cat([samples[:, None], train], dim=1)
    return grid(rows.flatten(0, 1), columns=rows.shape[1])


@torch.inference_mode()
def point_panels(
    family: Family,
    points: Float[Tensor, "n 2 1 1"],
    labels: Int[Tensor, " n"],
    centres: Float[Tensor, "k 2"] | None = None,
) -> bytes:
    """A PNG of data and samples and, for a family with an encoder, reconstructions, encodings and the prior.

    Of a mixture, which has `centres`, data, reconstructions and encodings have the colour of the point's own mode;
    samples and the draws of the prior that they come from, that of the mode nearest to the sample (Dumoulin et al.
    2016, figure 7).
    """
    from matplotlib.figure import Figure  # most of a second, which evaluations of images would pay

    points, labels = points[:POINTS], labels[:POINTS]
    noise = Noise("panels", rows=POINTS)
    z = family.prior(noise) if isinstance(family, Latent) else None
    near = torch.zeros(POINTS)
    last = 1 if centres is None else len(centres) - 1
    panels = [("data", points.flatten(1), labels)]
    if isinstance(family, Samples):
        samples = draw(family, noise, told(family, Batch(points, labels)))
        near = near if centres is None else nearest(samples.flatten(1), centres).indices[:, 0]
        panels.append(("samples", samples.flatten(1), near))
    if isinstance(family, Inference):
        encoded = family.encode(points)
        panels.append(("reconstructions", family.decode(encoded).flatten(1), labels))
        panels += [("encodings", encoded, labels)] if encoded.shape[1] >= 2 else []
    if z is not None and z.shape[1] >= 2:
        panels.append(("prior", z, near))
    figure = Figure(figsize=(3.2 * len(panels), 3.4), layout="constrained")
    for axes, (title, places, colours) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.scatter(places[:, 0], places[:, 1], c=colours, cmap="nipy_spectral", s=3, vmin=0, vmax=last)
        axes.set_title(title)
        reach = 1.1 if title in ("data", "samples", "reconstructions") else 4.0
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.tick_params(labelsize=6)
    return figure_png(figure, dpi=80)


def figure_png(figure: Any, dpi: int) -> bytes:
    """A figure of matplotlib as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")  # else a long label may be cut
    return buffer.getvalue()
