"""A prepared data set: its manifest, and the rows of its splits."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gen.data import shards
from gen.data.shards import Rows
from gen.errors import InputError
from gen.family import Column, ImageShape
from gen.settings import Settings, check

MANIFEST = "MANIFEST.json"


class Shard(Settings):
    """One file of a split."""

    file: str
    """Its name in the data set's folder."""
    rows: int
    """How many rows it holds."""
    bytes: int
    """Its size."""
    sha256: str
    """Of its bytes, in hexadecimal."""


class Manifest(Settings):
    """MANIFEST.json: everything there is to know of a prepared data set. It is written last."""

    name: str
    """Its name in params.yaml."""
    source: str
    """The file of gen/data/sources that read it."""
    settings: dict[str, Any]
    """Its section of params.yaml, and what decides the pixels: crop, size, filter."""
    shape: tuple[int, int, int]
    """Channels, height, width of a sample."""
    dtype: str
    """uint8 for pixels, float32 for points."""
    scale: float
    """Coordinates of points are divided by it."""
    classes: tuple[str, ...]
    """Names of the labels."""
    columns: dict[str, Column] = Field(default={})
    """What its rows have besides image and label."""
    provenance: tuple[dict[str, Any], ...]
    """The raw files: size, sha256 and what they were verified against. Where each came from stands with the raw files,
    so that the same files from elsewhere give the same data set."""
    splits: dict[str, tuple[Shard, ...]]
    """The shards of each split, in order."""


class Mixture(NamedTuple):
    """Gaussians of equal weight and sigma, in the units of a batch."""

    centres: Float[Tensor, "k 2"]
    sigma: float


@dataclass(frozen=True, eq=False)
class Dataset:
    """A prepared data set. Nothing is read before it is asked for."""

    folder: Path
    manifest: Mapping[str, Any]
    """The parsed MANIFEST.json."""
    digest: str
    """sha256 of MANIFEST.json, and so of every byte of the data set."""
    parsed: Manifest
    """The manifest, checked."""

    def __repr__(self) -> str:
        rows = ", ".join(f"{rows:,} {split}" for split, rows in self.rows.items())
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Dataset({self.name}: {rows}; {'x'.join(map(str, self.shape))}{classes})"

    def __len__(self) -> int:
        """Rows of the train split."""
        return self.rows.get("train", 0)

    def __bool__(self) -> bool:
        """True, also of one without a row to train on."""
        return True

    @property
    def name(self) -> str:
        """Its name in params.yaml."""
        return self.parsed.name

    @property
    def shape(self) -> ImageShape:
        """Shape of a stored sample."""
        return ImageShape(*self.parsed.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for pixels, float32 for points."""
        return np.dtype(self.parsed.dtype)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, in their order."""
        return self.parsed.classes

    @property
    def columns(self) -> Mapping[str, Column]:
        """What its rows have besides image and label, by name."""
        return self.parsed.columns

    @property
    def scale(self) -> float:
        """Coordinates of points are divided by it, which brings them into [-1, 1]."""
        return self.parsed.scale

    @property
    def mixture(self) -> Mixture | None:
        """The Gaussians that its points are drawn from; None for anything else."""
        settings = self.parsed.settings
        if "centres" not in settings:
            return None
        centres = torch.tensor(settings["centres"], dtype=torch.float32)
        return Mixture(centres / self.scale, settings["sigma"] / self.scale)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each split has."""
        return {split: sum(shard.rows for shard in parts) for split, parts in self.parsed.splits.items()}

    def in_all_domains(self, split: str) -> list[str]:
        """The split, and the splits of further domains that stand beside it."""
        return [split, *(name for name in self.rows if name.startswith(f"{split}."))]

    def shards(self, split: str) -> tuple[Shard, ...]:
        """The shards of a split, in order.

        Raises:
            InputError: there is no such split.
        """
        if split not in self.parsed.splits:
            raise InputError(f"{self.folder}: no split {split!r}; it has {', '.join(self.parsed.splits)}")
        return self.parsed.splits[split]

    def read_shard(self, shard: Shard) -> Rows:
        """The rows of one shard, verified.

        Raises:
            InputError: it is missing or damaged.
        """
        rows = shards.read(self.folder / shard.file, shard.sha256, _remedy(self.folder, damaged=True))
        found = {name: (str(values.dtype), values.shape[1:]) for name, values in rows.extras.items()}
        columns = {name: (column.dtype, column.shape) for name, column in self.columns.items()}
        if (rows.images.shape, rows.images.dtype, found) != ((shard.rows, *self.shape), self.dtype, columns):
            remedy = _remedy(self.folder, damaged=True)
            raise InputError(f"{self.folder / shard.file}: not what the manifest says; {remedy}")
        return rows

    def stream(self, split: str) -> Iterator[Rows]:
        """The rows of a split, a shard at a time, in published order."""
        return map(self.read_shard, self.shards(split))

    def read(self, split: str) -> Rows:
        """All rows of a split at once, in published order: raw images, labels, ids, extras."""
        parts = list(self.stream(split))
        return Rows(
            np.concatenate([part.images for part in parts]) if parts else np.empty((0, *self.shape), self.dtype),
            np.concatenate([part.labels for part in parts]) if parts else np.empty(0, np.int64),
            [name for part in parts for name in part.ids],
            {key: np.concatenate([part.extras[key] for part in parts]) for key in (parts[0].extras if parts else ())},
        )


def open_dataset(folder: Path | str) -> Dataset:
    """The prepared data set in `folder`. Sizes of its files are checked now, their sha256 when they are read.

    Raises:
        InputError: the manifest or a shard is missing or damaged.
    """
    folder = Path(folder)
    path, again = folder / MANIFEST, _remedy(folder, damaged=True)
    if not path.is_file():
        raise InputError(f"{path}: missing; {_remedy(folder)}")
    blob = path.read_bytes()
    try:
        values = json.loads(blob)
        parsed = check(Manifest, values, str(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({str(error).removeprefix(f'{path}: ')}); {again}") from None
    for shard in (shard for parts in parsed.splits.values() for shard in parts):
        if Path(shard.file).name != shard.file:
            raise InputError(f"{path}: damaged (a shard is named {shard.file!r}); {again}")
        file = folder / shard.file
        if not file.is_file():
            raise InputError(f"{file}: missing; {_remedy(folder)}")
        if (size := file.stat().st_size) != shard.bytes:
            raise InputError(f"{file}: damaged ({size} bytes, the manifest says {shard.bytes}); {again}")
    return Dataset(folder, values, shards.digest(blob), parsed)


def _remedy(folder: Path, damaged: bool = False) -> str:
    """What is missing DVC makes or has; what is damaged it has to make anew: its cache may hold the same."""
    return f"run dvc repro {'-s -f ' if damaged else ''}prepare@{folder.name}"
