"""Pictures of a trained model: samples, and paths through its latent space."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import gen
from gen.abilities import Latent
from gen.errors import InputError
from gen.family import Noise
from gen.figures.grid import grid
from gen.figures.latent import DRAWS, interpolations
from gen.latent.interpolation import lerp, slerp, tentpole
from gen.model import Model, whole
from gen.settings import nearest

MODELS = Path("models")


def model_at(where: str) -> Model:
    """A model by its folder, or by its run's name.

    Raises:
        InputError: there is none.
    """
    if (Path(where) / "model.json").exists() or "/" in where:
        return gen.load(where)
    found = {folder.parent.name: folder.parent for folder in sorted(MODELS.glob("*/*/model.json"))}
    if where not in found:
        hint = nearest(where, found) if found else "none was trained here yet"
        raise InputError(f"{where}: no folder of a model, and no run in {MODELS}; {hint}")
    return gen.load(found[where])


def write(images: torch.Tensor, columns: int, out: Path) -> str:
    """Images in [-1, 1] as a picture or, for a name that ends in .npz, as numbers; says what was written.

    Raises:
        InputError: the name has another ending, or cannot be written.
    """
    if out.suffix not in (".png", ".npz"):
        raise InputError(f"--out: {out}; use a name that ends in .png or .npz")
    try:
        if out.suffix == ".npz":
            np.savez_compressed(out, images=images.numpy())
        else:
            grid(images, columns=columns).save(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from None
    return f"{out}: {len(images):,} images of {'x'.join(map(str, images.shape[1:]))}"


def sample(where: str, rows: int, seed: int, label: str | None, out: Path) -> str:
    """Draw samples; of a conditional family of this class, its number or name. Raises InputError."""
    model = model_at(where)
    asked: Any = int(label) if label is not None and label.isdigit() and label not in model.classes else label
    return write(model.sample(rows, seed=seed, label=asked), 8, out)


def interpolate(where: str, pairs: int, steps: int, seed: int, out: Path) -> str:
    """Draw paths between pairs of latent vectors, each along the straight line and below it along the great circle.

    Returns:
        What was written, and how far the middles of the paths are from the prior's lengths.

    Raises:
        InputError: the family has no latent vector.
    """
    model = model_at(where)
    family = model.family
    if not isinstance(family, Latent):
        raise InputError(f"{where}: {model.name} has no latent vector to interpolate; see gen families")
    ends = family.prior(Noise(seed, "ends", rows=2 * whole(pairs, "pairs")))
    said = write(interpolations(family, ends, whole(steps, "steps")), steps + 1, out)
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
