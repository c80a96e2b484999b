"""Attribute vectors for the sliders: from a file, or from labelled images that the model encodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Inference
from gen.data.progress import progress
from gen.errors import InputError
from gen.extractors import AT_ONCE
from gen.family import Batch
from gen.latent.attributes import attribute_vector
from gen.latent.labels import attributes

Vectors = Mapping[str, Float[Tensor, " d"]]
"""Directions of latent space by the attribute's name."""
LARGEST = 1 << 26
"""Bytes of a file of vectors."""


def from_file(path: Path, latent_dim: int) -> Vectors:
    """The vectors of an .npz file: an array of `latent_dim` numbers for each name, or `vectors` of `gen attributes`.

    Raises:
        InputError: it cannot be read, is larger than 64 MiB, or holds something else.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MiB; give an .npz file of attribute vectors")
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or 'damaged'}); give an .npz file") from None
    except InputError:
        raise
    except Exception:  # numpy raises whatever the bytes lead it to
        raise InputError(f"{path}: not a whole .npz file; give one with an array of numbers for each name") from None
    if (rows := arrays.get("vectors", np.empty(0))).ndim == 2:
        arrays = {f"vector {number}": row for number, row in enumerate(rows, 1)}
    for name, array in arrays.items():
        if array.shape != (latent_dim,) or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}; "
                f"a vector of this model has {latent_dim} finite numbers"
            )
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


@torch.inference_mode()
def from_labels(family: Inference, batch: Batch, classes: Sequence[str]) -> Vectors:
    """A vector for each of the attributes that gen/latent/labels.py knows of: classes, labels, brightness.

    Attributes that no image of the batch has, or all have, are left out.
    """
    has = {name: rows for name, rows in attributes(batch, classes).items() if 0 < int(rows.sum()) < len(rows)}
    if not has:
        return {}
    z = encoded(family, batch.images)
    return {name: attribute_vector(z, rows, name) for name, rows in has.items()}


def encoded(family: Inference, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Latent vectors of many images, with a progress bar."""
    parts = []
    with progress("encoding", "images", total=len(images)) as done:
        for some in torch.split(images, AT_ONCE):
            parts.append(family.encode(some))
            done(len(some))
    return torch.cat(parts)
