"""Where a loader's rows lie: all on the device, or streamed from shards a window at a time."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped
from numpy import ndarray
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.order import Order
from gen.data.shards import Rows
from gen.family import Batch, Column, ImageShape

DTYPES = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int64": torch.int64,
    "float32": torch.float32,
    "float64": torch.float64,
}


class Layout(NamedTuple):
    """How rows lie in memory."""

    shape: ImageShape
    """Of an image, as it is padded."""
    dtype: torch.dtype
    device: torch.device
    channels_last: bool = False
    columns: Mapping[str, Column] = {}
    """Further columns, images among them padded as images are."""


class Store:
    """Raw rows in memory, laid out as they will be indexed: padded, on their device, channels last if asked."""

    def __init__(self, rows: int, layout: Layout) -> None:
        self.channels_last = layout.channels_last
        channels, height, width = layout.shape
        laid = (rows, height, width, channels) if layout.channels_last else (rows, channels, height, width)
        device = layout.device
        self._images = torch.zeros(laid, dtype=layout.dtype, device=device)
        self.labels = torch.zeros(rows, dtype=torch.int64, device=device)
        self.extras = {
            name: torch.zeros((rows, *column.padded(height, width).shape), dtype=DTYPES[column.dtype], device=device)
            for name, column in layout.columns.items()
        }

    def fill(self, parts: Iterable[Rows]) -> "Store":
        """Write the parts one after the other, each image in the middle of the store's larger ones."""
        images = self._view(self._images)
        at = 0
        for part in parts:
            here = slice(at, at + len(part.labels))
            _into_middle(images[here], part.images)
            self.labels[here] = torch.tensor(part.labels)
            for name, values in part.extras.items():
                if values.ndim == 4:
                    _into_middle(self.extras[name][here], values)
                else:
                    self.extras[name][here] = torch.tensor(values)
            at = here.stop
        return self

    def take(self, index: Int[Tensor, " n"]) -> Batch:
        """The given rows, still raw."""
        images = self._view(_rows(self._images, index))
        extras = {name: _rows(values, index) for name, values in self.extras.items()}
        return Batch(images, _rows(self.labels, index), extras)

    def _view(self, images: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n c h w"]:
        return images.permute(0, 3, 1, 2) if self.channels_last else images


def _into_middle(images: Shaped[Tensor, "n c h w"], smaller: Shaped[ndarray, "n c hh ww"]) -> None:
    """Write images into the middle of larger ones."""
    height, width = smaller.shape[2:]
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    images[:, :, top : top + height, left : left + width] = torch.tensor(smaller)


def _rows(values: Shaped[Tensor, "all ..."], index: Int[Tensor, " n"]) -> Shaped[Tensor, "n ..."]:
    """The given rows. On the CPU numpy copies them in this thread: waking torch's threads for so little costs more."""
    if values.device.type == "cpu":
        return torch.from_numpy(values.numpy().take(index.numpy(), axis=0))
    return values.index_select(0, index)


class Section(NamedTuple):
    """A stretch of the endless stream of rows."""

    start: int
    """Position of its first row in the stream."""
    order: Int[Tensor, " rows"]
    """Which row of the store stands at each position."""
    store: Store


class Resident:
    """The whole split on the device, indexed there; a section is an epoch."""

    def __init__(self, dataset: Dataset, split: str, order: Order, store: Store) -> None:
        self._order = order
        self._store = store.fill(dataset.stream(split))
        self._sections: OrderedDict[int, Section] = OrderedDict()

    def section(self, position: int) -> Section:
        """The section that holds a position of the stream."""
        epoch = position // self._order.rows
        if epoch not in self._sections:
            if len(self._sections) > 1:
                self._sections.popitem(last=False)
            rows = self._order.epoch(epoch).to(self._store.labels.device)
            self._sections[epoch] = Section(epoch * self._order.rows, rows, self._store)
        return self._sections[epoch]


class Streamed:
    """Two windows of shards in memory: the one that is used and the next, read in a background thread."""

    def __init__(self, dataset: Dataset, split: str, order: Order, layout: Layout) -> None:
        self._dataset = dataset
        self._shards = dataset.shards(split)
        self._order = order
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._loading: dict[tuple[int, int], Future[Section]] = {}
        self._current: tuple[int, int] | None = None

    def section(self, position: int) -> Section:
        """The section that holds a position of the stream; the one after it begins to load."""
        if self._current is not None:
            section = self._loading[self._current].result()
            if 0 <= position - section.start < len(section.order):
                return section
        epoch, at = divmod(position, self._order.rows)
        windows = self._order.windows(epoch)
        number = next(k for k, window in enumerate(windows) if at < window.start + window.rows)
        following = (epoch, number + 1) if number + 1 < len(windows) else (epoch + 1, 0)
        self._current = (epoch, number)
        for key in set(self._loading) - {self._current, following}:
            self._loading.pop(key).cancel()
        for key in (self._current, following):
            if key not in self._loading:
                self._loading[key] = self._thread.submit(self._load, *key)
        return self._loading[self._current].result()

    def _load(self, epoch: int, number: int) -> Section:
        window = self._order.windows(epoch)[number]
        store = Store(window.rows, self._layout)
        store.fill(self._dataset.read_shard(self._shards[shard]) for shard in window.shards)
        return Section(epoch * self._order.rows + window.start, window.order, store)
