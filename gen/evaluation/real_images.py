"""The real images of a data set, as extractors are shown them: whole splits, or pieces that workers share."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.loader import padded
from gen.data.sections import Layout, Store
from gen.data.shards import Rows
from gen.errors import InputError
from gen.extractors import AT_ONCE, Extractor
from gen.family import Batch

LEAST = {"train": 2, "validation": 2, "test": 4}
"""Images that a split has at the least: for a covariance; of the test split each also has a third nearest other."""


class Piece(NamedTuple):
    """Some rows of a shard: the unit of work, which does not depend on how many workers share it."""

    split: str
    shard: int
    rows: slice


def check_judge(dataset: Dataset, extractors: Collection[str]) -> None:
    """A data set has what models of it are judged by.

    Raises:
        InputError: a split has fewer images than LEAST, or a classifier has no two classes to tell apart.
    """
    for split, least in LEAST.items():
        if (rows := dataset.rows.get(split, 0)) < least:
            fields = [key for key in sorted(dataset.parsed.settings) if key.startswith(("validation", "test"))]
            fields = [key for key in fields if split == "train" or key.startswith(split)] or [split]
            named = " and ".join(f"datasets.{dataset.name}.{field}" for field in fields)
            change = "lower" if split == "train" else "raise"
            message = f"{rows} images, at least {least} are needed to judge models; {change} {named}"
            raise InputError(f"{dataset.name}: split {split!r} has {message}, or give more images")
    if "classifier" in extractors and len(dataset.classes) < 2:
        message = f"{dataset.name} has {len(dataset.classes) or 'none'}; use inception_bilinear or pixels"
        raise InputError(f"reference.{dataset.name}.extractors: a classifier needs two classes, {message}")


def images(dataset: Dataset, split: str, resolution: int | None) -> Iterator[Float[Tensor, "n c h w"]]:
    """The images of a split in published order, in [-1, 1], padded to `resolution`; a shard at a time."""
    for rows in dataset.stream(split):
        yield _shown(dataset, rows, resolution)


def first_rows(dataset: Dataset, split: str, rows: int, resolution: int | None) -> Batch:
    """The first rows of a split in published order, or all where it has fewer; further columns as they are stored.

    Raises:
        InputError: there is no such split, or no row in it.
    """
    parts, left = [], rows
    for part in dataset.stream(split):
        extras = {name: values[:left] for name, values in part.extras.items()}
        parts.append(Rows(part.images[:left], part.labels[:left], part.ids[:left], extras))
        left -= len(parts[-1].labels)
        if left <= 0:
            break
    if not parts:
        raise InputError(f"{dataset.folder}: split {split!r} is empty")
    images = torch.cat([_shown(dataset, part, resolution) for part in parts])
    labels = torch.from_numpy(np.concatenate([part.labels for part in parts]))
    columns = {name: np.concatenate([part.extras[name] for part in parts]) for name in parts[0].extras}
    return Batch(images, labels, {name: torch.from_numpy(values) for name, values in columns.items()})


def piece_features(
    dataset: Dataset, piece: Piece, resolution: int | None, extract: Extractor, device: torch.device | str = "cpu"
) -> Float[Tensor, "n d"]:
    """What an extractor, which is on `device`, sees in the images of a piece, padded to `resolution`, in order."""
    rows = dataset.read_shard(dataset.shards(piece.split)[piece.shard])
    some = rows._replace(images=rows.images[piece.rows], labels=rows.labels[piece.rows])
    parts = torch.split(_shown(dataset, some, resolution), AT_ONCE)
    return torch.cat([extract(some.to(device)).features.cpu() for some in parts])


def _shown(dataset: Dataset, rows: Rows, resolution: int | None) -> Float[Tensor, "n c h w"]:
    points = dataset.dtype.kind == "f"
    raw = torch.float32 if points else torch.uint8
    store = Store(len(rows.labels), Layout(padded(dataset, resolution), raw, torch.device("cpu")))
    found = store.fill([rows._replace(extras={})]).take(torch.arange(len(rows.labels))).images
    return found / dataset.scale if points else found / 127.5 - 1
