from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.data.order import Order
from gen.data.source import Chunk, Description
from gen.errors import InputError
from gen.family import Batch

ROWS = 300
SHARD = 7
"""43 shards: three windows."""

Make = Callable[..., Dataset]


@pytest.fixture
def dataset(numbered: Make) -> Dataset:
    return numbered(ROWS, SHARD)


def labels(loader: Loader, indices: range) -> list[int]:
    return torch.cat([loader[index].labels for index in indices]).tolist()


def equal(a: Batch, b: Batch) -> bool:
    return (
        torch.equal(a.images, b.images)
        and torch.equal(a.labels, b.labels)
        and all(torch.equal(a.extras[name], b.extras[name]) for name in a.extras | b.extras)
    )


@pytest.mark.parametrize("resident", [True, False])
def test_every_row_once_an_epoch(dataset: Dataset, resident: bool) -> None:
    loader = Loader(dataset, "train", batch_size=32, seed=1, resident=resident)
    stream = labels(loader, range(29))  # 928 rows: three epochs and a bit
    epochs = [stream[start : start + ROWS] for start in (0, ROWS, 2 * ROWS)]
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != labels(Loader(dataset, "train", batch_size=ROWS, seed=2, resident=resident), range(1))


def test_a_row_keeps_together(dataset: Dataset) -> None:
    batch = Loader(dataset, "train", batch_size=64, seed=1)[0]
    pixels = (batch.images + 1) * 127.5
    torch.testing.assert_close(pixels[:, 0, 0, 0] * 256 + pixels[:, 0, 0, 1], batch.labels.float())
    torch.testing.assert_close(batch.extras["half"], batch.labels.double() / 2)
    torch.testing.assert_close(batch.extras["boxes"], batch.labels[:, None].float() + torch.arange(4))


@pytest.mark.parametrize("resident", [True, False])
def test_a_column_of_images_is_padded_and_scaled_as_images_are(dataset: Dataset, resident: bool) -> None:
    """1 x 3 pixels in the middle of 6 x 6, whose images of 2 x 3 begin in the same row."""
    batch = Loader(dataset, "train", batch_size=64, seed=1, resolution=6, resident=resident)[0]
    negative, images = batch.extras["negative"], batch.images
    assert negative.shape == images.shape == (64, 1, 6, 6)
    torch.testing.assert_close(negative[:, :, 2, 1:4], -images[:, :, 2, 1:4])
    border = torch.ones(6, 6, dtype=torch.bool)
    border[2, 1:4] = False
    assert (negative[:, 0, border] == -1).all()


@pytest.mark.parametrize("layout", [{}, {"resolution": 6, "channels_last": True}])
@pytest.mark.parametrize(
    ("world_size", "batch_size", "index"), [(1, 16, 5), (2, 34, 8), (3, 42, 7), (4, 8, 37), (5, 700, 3)]
)
def test_ranks_together_are_one(
    dataset: Dataset, world_size: int, batch_size: int, index: int, layout: dict[str, Any]
) -> None:
    """Rank r has rows r::N, streamed or resident, however memory is laid out, across windows and epochs."""
    resolution = layout.get("resolution")
    whole = Loader(dataset, "train", batch_size=batch_size, seed=5, resolution=resolution, resident=True)[index]
    for rank in range(world_size):
        part = Loader(
            dataset, "train", batch_size=batch_size, seed=5, rank=rank, world_size=world_size, resident=False, **layout
        )
        assert equal(part[index], whole.rows(slice(rank, None, world_size)))


def test_random_access_equals_sequential(dataset: Dataset) -> None:
    sequential = Loader(dataset, "train", batch_size=16, seed=3, resident=False)
    batches = [sequential[index] for index in range(60)]
    assert len(sequential._source._loading) <= 2, "more than two windows in memory"  # type: ignore[union-attr]
    jumping = Loader(dataset, "train", batch_size=16, seed=3, resident=False)
    for index in [59, 0, 58, 18, 19, 18, 37, 2]:
        assert equal(jumping[index], batches[index])
    assert equal(Loader(dataset, "train", batch_size=16, seed=3, resident=False)[44], batches[44])


def test_the_order_stays_what_it_was() -> None:
    """A run that resumes with a later version must see the same order."""
    assert Order([4, 3, 5], seed=0).epoch(0).tolist() == [5, 11, 4, 2, 0, 1, 6, 10, 7, 3, 9, 8]
    assert Order([2] * 20, seed=7).epoch(3).tolist()[:12] == [20, 24, 1, 22, 25, 33, 38, 21, 11, 10, 6, 23]


def test_rows_of_a_window_stay_in_it() -> None:
    order = Order([10] * 40, seed=0)
    windows = order.windows(0)
    assert [len(window.shards) for window in windows] == [16, 16, 8]
    assert sorted(shard for window in windows for shard in window.shards) == list(range(40))
    stretch = order.epoch(0)[windows[1].start : windows[1].start + windows[1].rows]
    assert {row // 10 for row in stretch.tolist()} == set(windows[1].shards)


def test_a_batch_larger_than_the_split(numbered: Make) -> None:
    loader = Loader(numbered(10, 4), "train", batch_size=64, seed=0)
    counts = torch.bincount(loader[0].labels, minlength=10)
    assert counts.sum() == 64
    assert counts.min() >= 6
    assert counts.max() <= 7


def test_padding(numbered: Make) -> None:
    dataset = numbered(4, 4, shape=(1, 2, 3))
    loader = Loader(dataset, "train", batch_size=4, seed=0, resolution=6)
    assert loader.shape == (1, 6, 6)
    images = loader[0].images
    own = Loader(dataset, "train", batch_size=4, seed=0)[0].images
    assert images.shape == (4, 1, 6, 6)
    torch.testing.assert_close(images[:, :, 2:4, 1:4], own)
    images[:, :, 2:4, 1:4] = -1
    assert (images == -1).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_range_of_pixels(numbered: Make, dtype: torch.dtype) -> None:
    loader = Loader(numbered(300, 300), "train", batch_size=300, seed=0, dtype=dtype)
    second = loader[0].images[:, 0, 0, 1]
    assert second.dtype == dtype
    assert (second.min(), second.max()) == (-1, 1)


def test_layout(dataset: Dataset) -> None:
    images = Loader(dataset, "train", batch_size=8, seed=0, channels_last=True)[0].images
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_points_are_scaled(stored: Callable[[Chunk, Description], Dataset]) -> None:
    points = np.array([[4.0, -2.0], [0.0, 1.0]], np.float32).reshape(2, 2, 1, 1)
    dataset = stored(Chunk("train", points, np.array([0, 1]), ["a", "b"]), Description((2, 1, 1), "float32", (), 4.0))
    for resident in (True, False):
        batch = Loader(dataset, "train", batch_size=2, seed=0, resident=resident)[0]
        assert batch.images[batch.labels.argsort()].flatten().tolist() == [1.0, -0.5, 0.0, 0.25]
    with pytest.raises(InputError, match="resolution: numbered holds points, which have no resolution"):
        Loader(dataset, "train", batch_size=2, seed=0, resolution=4)


def test_what_a_loader_cannot_do(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="resolution: 2 is smaller than the 2x3 images of numbered; give 3 or more"):
        Loader(dataset, "train", batch_size=8, seed=0, resolution=2)
    with pytest.raises(InputError, match="batch_size: 8 rows for 3 workers; give a positive multiple of 3"):
        Loader(dataset, "train", batch_size=8, seed=0, world_size=3)
    with pytest.raises(InputError, match="no split 'test'; it has train"):
        Loader(dataset, "test", batch_size=8, seed=0)


@pytest.mark.parametrize("resident", [True, False])
def test_a_damaged_shard(dataset: Dataset, resident: bool) -> None:
    path = dataset.folder / dataset.shards("train")[-1].file
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(InputError, match=f"{path.name}: damaged .*; run dvc repro -s -f prepare@numbered"):
        labels(Loader(dataset, "train", batch_size=ROWS, seed=0, resident=resident), range(1))


def test_digits(digits: Dataset) -> None:
    loader = Loader(digits, "validation", batch_size=200, seed=0, resolution=32)
    batch = loader[0]
    assert batch.images.shape == (200, 1, 32, 32)
    assert torch.bincount(batch.labels).min() > 10
    raw = digits.read("validation")
    mine = {tuple(image.flatten().tolist()) for image in ((batch.images[:, :, 8:24, 8:24] + 1) * 127.5).round().int()}
    assert mine == {tuple(image.flatten().tolist()) for image in raw.images}
