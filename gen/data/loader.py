"""Batches of a prepared data set, each a function of (seed, index) alone."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import psutil
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.order import Order
from gen.data.sections import Layout, Resident, Store, Streamed
from gen.errors import InputError
from gen.family import Batch, DataSpec, ImageShape, seed_of

RESIDENT_SHARE = 0.25
"""A split is resident if it takes no more than this share of the device's free memory."""


NO_STREAMS: Mapping[str, str] = MappingProxyType({})
PIXELS = (127.5, 1.0)
"""Raw pixels are divided by the first, and the second is taken away."""


class Loader:
    """`loader[index]` is this rank's rows of the index-th global batch.

    The stream of rows is endless: a new permutation of the split for every epoch, one after the other, so a batch may
    span two epochs, and may be larger than the split. Rank r of N gets rows r, r + N, r + 2N... of each global batch.

    Args:
        dataset: a prepared data set.
        split: one of its splits.
        batch_size: rows of a global batch.
        seed: of the order.
        resolution: height and width of the images; smaller ones are padded on all sides with raw 0.
            None keeps their own.
        device: where the batches are.
        rank: this worker's number, of `world_size` workers.
        world_size: how many workers share a batch.
        dtype: of the images.
        channels_last: whether the images lie in memory with their channels last.
        resident: whether the split lies on the device as a whole, raw; otherwise two windows of 256 MiB lie in main
            memory. None: if it takes no more than RESIDENT_SHARE of the free memory. The batches are the same.
        streams: what is to stand in `Batch.others`, as a family declares it (`streams_of` of gen/abilities.py): a name,
            and the domain whose rows these are. Each has an order of its own.

    Raises:
        InputError: no such split, an empty one, a resolution smaller than the images, or a batch that workers cannot
            share.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        *,
        batch_size: int,
        seed: int,
        resolution: int | None = None,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        resident: bool | None = None,
        streams: Mapping[str, str] = NO_STREAMS,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise InputError(
                f"batch_size: {batch_size} rows for {world_size} workers; give a positive multiple of {world_size}"
            )
        shards = dataset.shards(split)
        order = Order([shard.rows for shard in shards], seed)
        if order.rows == 0:
            raise InputError(f"{dataset.folder}: split {split!r} is empty")
        self.rows = order.rows
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.device, self.dtype, self.channels_last = torch.device(device), dtype, channels_last
        self.shape = padded(dataset, resolution)
        self._range = (dataset.scale, 0.0) if dataset.dtype.kind == "f" else PIXELS
        self._images = {name for name, column in dataset.columns.items() if column.image}
        raw = torch.float32 if dataset.dtype.kind == "f" else torch.uint8
        if resident is None:
            columns = [column.padded(*self.shape[1:]) for column in dataset.columns.values()]
            row = math.prod(self.shape) * raw.itemsize
            row += sum(math.prod(column.shape) * np.dtype(column.dtype).itemsize for column in columns)
            resident = self.rows * row <= RESIDENT_SHARE * free_bytes(self.device, world_size)
        self.resident = resident
        self._source: Resident | Streamed
        if resident:
            store = Store(self.rows, Layout(self.shape, raw, self.device, channels_last, dataset.columns))
            self._source = Resident(dataset, split, order, store)
        else:  # batches are made in main memory
            layout = Layout(self.shape, raw, torch.device("cpu"), channels_last, dataset.columns)
            self._source = Streamed(dataset, split, order, layout)
        self._others = {
            name: Loader(
                dataset,
                f"{split}.{domain}" if domain else split,
                batch_size=batch_size,
                seed=seed_of(seed, "stream", name),
                resolution=resolution,
                device=device,
                rank=rank,
                world_size=world_size,
                dtype=dtype,
                channels_last=channels_last,
            )
            for name, domain in streams.items()
        }

    def __getitem__(self, index: int) -> Batch:
        """This rank's rows of the index-th global batch.

        Raises:
            InputError: a shard that had to be read is damaged.
        """
        start, end = index * self.batch_size, (index + 1) * self.batch_size
        parts = []
        at = start
        while at < end:
            section = self._source.section(at)
            stop = min(end, section.start + len(section.order))
            first = at + (self.rank - (at - start)) % self.world_size
            if first < stop:
                parts.append(
                    section.store.take(section.order[first - section.start : stop - section.start : self.world_size])
                )
            at = stop
        raw = parts[0] if len(parts) == 1 else _join(parts)
        extras = {
            name: self._floats(values, *PIXELS) if name in self._images else self._put(values)
            for name, values in raw.extras.items()
        }
        others = {name: other[index] for name, other in self._others.items()}
        return Batch(self._floats(raw.images, *self._range), self._put(raw.labels), extras, others)

    def _floats(self, raw: Shaped[Tensor, "n c h w"], divisor: float, offset: float) -> Float[Tensor, "n c h w"]:
        """Pixels of 0..255 become -1..1; points are divided by their scale. On the CPU in one thread, as rows are."""
        if self.device.type == "cpu":
            kind = np.float64 if self.dtype == torch.float64 else np.float32
            floats = np.divide(raw.numpy(), kind(divisor), dtype=kind)
            return torch.from_numpy(np.subtract(floats, kind(offset), out=floats)).to(self.dtype)
        wide = self._put(raw).to(torch.promote_types(self.dtype, torch.float32))
        return wide.div_(divisor).sub_(offset).to(self.dtype)

    def _put(self, values: Tensor) -> Tensor:
        if values.device == self.device or self.device.type == "cpu":
            return values
        return (values.pin_memory() if self.device.type == "cuda" else values).to(self.device, non_blocking=True)


def padded(dataset: Dataset, resolution: int | None) -> ImageShape:
    """The shape of a data set's images in a run of the given resolution (None: their own).

    Raises:
        InputError: they do not fit into it, or are points, which have no resolution.
    """
    shape = dataset.shape
    if resolution is None or (shape.height, shape.width) == (resolution, resolution):
        return shape
    if dataset.dtype.kind == "f":
        raise InputError(f"resolution: {dataset.name} holds points, which have no resolution; leave it out")
    if resolution < max(shape.height, shape.width):
        own = f"{shape.height}x{shape.width}"
        raise InputError(
            f"resolution: {resolution} is smaller than the {own} images of {dataset.name}; "
            f"give {max(shape[1:])} or more"
        )
    return ImageShape(shape.channels, resolution, resolution)


def spec_of(dataset: Dataset, resolution: int | None) -> DataSpec:
    """What a family is told of a data set whose images are padded to `resolution` (None: their own).

    Raises:
        InputError: as `padded` does.
    """
    image = padded(dataset, resolution)
    columns = {name: column.padded(image.height, image.width) for name, column in dataset.columns.items()}
    return DataSpec(image, len(dataset.classes), columns)


def free_bytes(device: torch.device, world_size: int) -> int:
    """Free memory of the device, for this worker: main memory is shared by `world` workers."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return int(psutil.virtual_memory().available) // world_size


def _join(parts: list[Batch]) -> Batch:
    return Batch(
        torch.cat([part.images for part in parts]),
        torch.cat([part.labels for part in parts]),
        {name: torch.cat([part.extras[name] for part in parts]) for name in parts[0].extras},
    )
