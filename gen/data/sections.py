"""Where a loader's rows lie: all on the device, or streamed from shards a window at a time."""

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.order import Order
from gen.data.shards import Rows
from gen.family import Batch, ImageShape


class Store:
    """Raw rows in memory, laid out as they will be indexed: padded, on their device, channels last if asked."""

    def __init__(
        self, rows: int, shape: ImageShape, dtype: torch.dtype, device: torch.device, channels_last: bool
    ) -> None:
        self.channels_last = channels_last
        channels, height, width = shape
        laid = (rows, height, width, channels) if channels_last else (rows, channels, height, width)
        self._images = torch.zeros(laid, dtype=dtype, device=device)
        self.labels = torch.zeros(rows, dtype=torch.int64, device=device)
        self.extras: dict[str, Tensor] = {}

    def fill(self, parts: Iterable[Rows]) -> "Store":
        """Write the parts one after the other, each image in the middle of the store's larger ones."""
        images = self._view(self._images)
        at = 0
        for part in parts:
            n, _, height, width = part.images.shape
            top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
            images[at : at + n, :, top : top + height, left : left + width] = torch.tensor(part.images)
            self.labels[at : at + n] = torch.tensor(part.labels)
            for name, values in part.extras.items():
                column = torch.tensor(values)
                if name not in self.extras:
                    self.extras[name] = torch.zeros(len(self.labels), dtype=column.dtype, device=self.labels.device)
                self.extras[name][at : at + n] = column
            at += n
        return self

    def take(self, index: Int[Tensor, " n"]) -> Batch:
        """The given rows, still raw."""
        images = self._view(_rows(self._images, index))
        extras = {name: _rows(values, index) for name, values in self.extras.items()}
        return Batch(images, _rows(self.labels, index), extras)

    def _view(self, images: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n c h w"]:
        return images.permute(0, 3, 1, 2) if self.channels_last else images


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

    def __init__(
        self, dataset: Dataset, split: str, order: Order, *, shape: ImageShape, dtype: torch.dtype, channels_last: bool
    ) -> None:
        self._dataset = dataset
        self._shards = dataset.shards(split)
        self._order = order
        self._layout = (shape, dtype, torch.device("cpu"), channels_last)
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
        store = Store(window.rows, *self._layout)
        store.fill(self._dataset.read_shard(self._shards[shard]) for shard in window.shards)
        return Section(epoch * self._order.rows + window.start, window.order, store)
