"""Pictures of a trained model: samples, and paths through its latent space."""

from pathlib import Path
from typing import Any

import torch

from gen.family import Noise
from gen.figures.film import frames
from gen.figures.latent import DRAWS, interpolations
from gen.latent.encoding import decoded
from gen.latent.interpolation import lerp, slerp, tentpole
from gen.latent.walk import loop, random_walk
from gen.model import whole
from pipelines.commands.models import explorable, latent, model_at, read_latents
from pipelines.commands.output import check_out, film, write

STRIDE = 0.1
"""Of a random walk."""


def sample(where: str, *, rows: int, seed: int, label: str | None, latents: Path | None, out: Path) -> str:
    """Draw samples, of a conditional family of this class, its number or name; or decode latent vectors of a file.

    Raises:
        InputError: the family does not sample, or has no such class or no such latent vectors.
    """
    check_out(out)
    if latents is not None:
        model = explorable(where)
        z = read_latents(latents, model)
        return write(out, decoded(model.family, z), 8, z=z)  # type: ignore[arg-type]
    model = model_at(where)
    asked: Any = int(label) if label is not None and label.isdigit() and label not in model.classes else label
    return write(out, model.sample(rows, seed=seed, label=asked), 8)


def interpolate(where: str, *, pairs: int, steps: int, seed: int, walk: bool, out: Path) -> str:
    """Draw paths between pairs of latent vectors, each along the straight line and below it along the great circle.

    A film has no pairs: it goes round along great circles through all ends; or, as a random walk, from one end on.

    Returns:
        What was written, and how far the middles of the paths are from the prior's lengths.

    Raises:
        InputError: the family has no latent vector with a prior.
    """
    check_out(out)
    family: Any = latent(where).family
    ends = family.prior(Noise(seed, "ends", rows=2 * whole(pairs, "pairs")))
    whole(steps, "steps")
    if walk or out.suffix in (".gif", ".mp4"):
        draws = family.prior(Noise(seed, "ends", rows=len(ends) * steps))
        z = random_walk(draws, STRIDE) if walk else loop(ends, steps)
        images = decoded(family, z)
        return film(out, frames(images[None])) if out.suffix in (".gif", ".mp4") else write(out, images, steps, z=z)
    said = write(out, interpolations(family, ends, steps), steps + 1, ends=ends)
    prior, middle = family.prior(Noise(seed, "prior", rows=DRAWS)), torch.tensor([0.5])
    off = {
        between: torch.cat(
            [tentpole(between(a, b, middle), prior).off for a, b in zip(ends[::2], ends[1::2], strict=True)]
        )
        for between in (lerp, slerp)
    }
    straight, great = (float(values.mean()) for values in off.values())
    return (
        f"{said}; each pair of rows is one path, straight above, along the great circle below\n"
        f"lengths of the middles, in standard deviations from the prior's: {straight:+.1f} straight, "
        f"{great:+.1f} along great circles"
    )
