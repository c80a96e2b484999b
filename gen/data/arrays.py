"""A data set from arrays: what a notebook has in memory, prepared as any other is."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen.data.dataset import MANIFEST, Dataset, open_dataset
from gen.data.folder import lock, whole
from gen.data.prepare import write_shards
from gen.data.source import Chunk, Description
from gen.errors import InputError


def dataset_of(
    images: Any,
    labels: Any = None,
    *,
    folder: Path | str,
    classes: Sequence[str] = (),
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Write arrays to `folder` as a prepared data set, and open it. The name of the folder is its name.

    Args:
        images: uint8, of shape (n, height, width), (n, height, width, channels) or (n, channels, height, width).
        labels: n whole numbers from 0; None: there are none.
        folder: where to; what is there is replaced.
        classes: names of the labels, in their order; by default their numbers.
        validation: share of the rows, drawn at random.
        test: share of the rows, drawn at random.
        seed: of the draw.

    Raises:
        InputError: the arrays are no images and labels, or the shares leave nothing to train on.
    """
    pixels, numbers = channels_first(np.asarray(images)), check_labels(labels, len(images))
    names = tuple(classes) or (tuple(map(str, range(int(numbers.max()) + 1))) if labels is not None else ())
    if len(numbers) and numbers.max() >= max(1, len(names)):
        raise InputError(f"labels: {numbers.max()} is there, and {len(names)} classes; name one for each label")
    order = np.random.default_rng(seed).permutation(len(pixels))
    held, tested = (round(share * len(pixels)) for share in (validation, test))
    if min(held, tested) < 0 or held + tested >= len(pixels):
        raise InputError(f"validation {validation} and test {test} leave none of {len(pixels)} images to train on")
    parts = {"train": order[held + tested :], "validation": order[:held], "test": order[held : held + tested]}
    description = Description(pixels.shape[1:], "uint8", names)

    def chunks() -> Iterator[Chunk]:
        for split, rows in parts.items():
            taken = np.sort(rows)
            yield Chunk(split, pixels[taken], numbers[taken], [str(row) for row in taken])

    out = Path(folder)
    with lock(out), whole(out) as partial:
        manifest = {
            "name": out.name,
            "source": "arrays",
            "settings": {"validation": validation, "test": test, "seed": seed},
            "shape": description.shape,
            "dtype": "uint8",
            "scale": 1.0,
            "classes": names,
            "provenance": [],
            "splits": write_shards(chunks(), description, partial),
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return open_dataset(out)


def channels_first(images: np.ndarray) -> np.ndarray:
    """The images as (n, channels, height, width). Raises InputError."""
    if images.dtype != np.uint8:
        raise InputError(f"images: of {images.dtype}; give pixels of 0 to 255 as uint8")
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise InputError(f"images: of shape {images.shape}; give (n, height, width), or that with 1 or 3 channels")
    return np.ascontiguousarray(images)


def check_labels(labels: Any, rows: int) -> np.ndarray:
    """The labels as whole numbers, zeros where there are none. Raises InputError."""
    if labels is None:
        return np.zeros(rows, np.int64)
    found = np.asarray(labels)
    if found.shape != (rows,) or found.dtype.kind not in "iu" or (rows and found.min() < 0):
        raise InputError(
            f"labels: {found.dtype} of shape {found.shape}; give a whole number from 0 for each of {rows} images"
        )
    return found.astype(np.int64)
