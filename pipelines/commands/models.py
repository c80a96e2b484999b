"""The model that a command is about, the data set that it was trained on, and pictures of one's own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import gen
from gen.abilities import Inference, Latent
from gen.data.dataset import Dataset, open_dataset
from gen.data.pictures import decode, fit
from gen.data.progress import progress
from gen.errors import InputError
from gen.evaluation.real_images import first_rows
from gen.export import MODELS
from gen.family import Batch, ImageShape
from gen.latent.encoding import AT_ONCE, encoded, projected
from gen.latent.projection import STEPS, Projection
from gen.model import Model
from gen.settings import nearest

WHITE = (255, 255, 255)
"""What transparent pixels of a picture show."""
LARGEST = 1 << 26
"""Pixels of a picture of one's own, at most."""


def model_at(where: str) -> Model:
    """A model by its folder, by its run's name, or by its address in MLflow.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if where.startswith(("models:/", "runs:/")):
        from pipelines.tracking.fetched import fetched  # MLflow takes seconds to import

        with fetched(where) as folder:
            return gen.load(folder)
    if (Path(where) / "model.json").exists() or "/" in where:
        return gen.load(where)
    found = {folder.parent.name: folder.parent for folder in sorted(MODELS.glob("*/*/model.json"))}
    if where not in found:
        hint = nearest(where, found) if found else "none was trained here yet"
        raise InputError(f"{where}: no folder of a model, and no run in {MODELS}; {hint}")
    return gen.load(found[where])


def explorable(where: str) -> Model:
    """A model of images that decodes latent vectors.

    Raises:
        InputError: its family does not, or it is of points.
    """
    model = model_at(where)
    if not isinstance(model.family, Latent | Inference):
        raise InputError(f"{where}: {model.name} has no latent vector; see gen families for those that have one")
    if model.data.image.height == 1:
        raise InputError(f"{where}: a model of points, of whose latent space there are no pictures; take one of images")
    return model


def latent(where: str) -> Model:
    """The same, with a prior to draw from. Raises InputError."""
    model = explorable(where)
    if not isinstance(model.family, Latent):
        raise InputError(
            f"{where}: {model.name} has no prior to draw latent vectors from; gen analogy, gen mine and gen attributes "
            "work with the encodings of images"
        )
    return model


def data_of(where: str, model: Model, folder: Path | None) -> Dataset:
    """The prepared data set that a model was trained on, in `folder` or where the stage prepare@ puts it.

    Raises:
        InputError: it is not there, or not what the model was trained on.
    """
    notes = model.notes.get("dataset")
    name = notes.get("name") if isinstance(notes, dict) else None
    if folder is None and name is None:
        raise InputError(f"{where}: model.json does not say what it was trained on; give its folder: --data")
    dataset = open_dataset(folder or Path("data/prepared") / str(name))
    if isinstance(notes, dict) and notes.get("digest") not in (None, dataset.digest):
        raise InputError(f"{where}: trained on other data than {dataset.folder} has; give that data set: --data")
    return dataset


def rows_of(dataset: Dataset, split: str, rows: int, model: Model) -> Batch:
    """The first rows of a split, the images as the model has them. Raises InputError."""
    height = model.data.image.height
    return first_rows(dataset, split, rows, None if height == dataset.shape.height else height)


def found_latents(
    model: Model, images: Float[Tensor, "n c h w"], *, by_projection: bool, seed: int = 0, steps: int = STEPS
) -> Projection:
    """The latent vectors of images, by the encoder or by projection, with a progress bar. Raises InputError."""
    if not by_projection:
        return encoded(model.family, images)
    with progress("projection", "steps", steps * -(-len(images) // AT_ONCE)) as move:
        return projected(model.family, images, seed=seed, steps=steps, after_step=move)


def read_pictures(paths: Sequence[Path], image: ImageShape, fitted: bool) -> Float[Tensor, "n c h w"]:
    """Pictures of one's own as a model has images, in [-1, 1].

    Args:
        paths: of the files.
        image: what the model has.
        fitted: whether the centre square is resized to it; otherwise they have that size.

    Raises:
        InputError: a file is missing, not a picture, or not of that size.
    """
    found = []
    for path in paths:
        try:
            picture = decode(path.read_bytes(), str(path), WHITE, LARGEST)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if picture.size != (image.width, image.height) and not fitted:
            size = f"{picture.width}x{picture.height}"
            raise InputError(
                f"{path}: {size} pixels, the model has images of {image.width}x{image.height}; --fit takes the centre "
                "square and resizes it"
            )
        pixels = fit(picture.convert("L") if image.channels == 1 else picture, None, image.height)
        found.append(torch.from_numpy(pixels.astype(np.float32)) / 127.5 - 1)
    return torch.stack(found)


def read_latents(path: Path, model: Model) -> Float[Tensor, "n d"]:
    """The array `z` of an .npz file: latent vectors of the model.

    Raises:
        InputError: there is none, or they are of another length.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            z = torch.from_numpy(np.asarray(arrays["z"], dtype=np.float32))
    except KeyError:
        raise InputError(f"{path}: has no array z, the latent vectors; gen project writes such files") from None
    except (OSError, ValueError, EOFError, AttributeError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or "not an .npz file of numbers"
        raise InputError(f"{path}: {reason}; gen project writes such files") from None
    length = latent_dim(model)
    if z.dim() < 2 or z.shape[-1] != length or not bool(z.isfinite().all()) or not z.numel():
        shape = "x".join(map(str, z.shape)) or "one number"
        raise InputError(
            f"{path}: z of {shape}, {model.name} has latent vectors of {length} finite numbers: n x {length}"
        )
    return z.flatten(0, -2)


def latent_dim(model: Model) -> int:
    """How many numbers a latent vector has; 0 where there is none."""
    if isinstance(model.family, Latent):
        return int(model.family.prior(gen.Noise(0, rows=1)).shape[1])
    if isinstance(model.family, Inference):
        with torch.no_grad():
            return int(model.family.encode(torch.zeros(1, *model.data.image)).shape[1])
    return 0
