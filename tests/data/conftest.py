import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gen.data import shards
from gen.data.dataset import MANIFEST, Dataset, open_dataset
from gen.data.prepare import prepare, write_shards
from gen.data.source import Chunk, Description
from gen.family import Column

DIGITS = {"source": "digits", "resolution": 16, "validation": 200, "test": 297}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder: locks and downloads go there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def digits(workplace: Path) -> Dataset:
    return prepare("digits", DIGITS, "digits", empty_raw(workplace / "raw"), workplace / "digits")


@pytest.fixture
def stored(workplace: Path) -> Callable[[Chunk, Description], Dataset]:
    """Makes the data set `numbered` of one chunk."""

    def make(chunk: Chunk, description: Description) -> Dataset:
        folder = workplace / "numbered"
        folder.mkdir()
        entry = description._asdict() | {"name": "numbered", "source": "test", "settings": {}, "provenance": []}
        entry["columns"] = {name: column.model_dump() for name, column in description.columns.items()}
        del entry["domains"]  # their splits say which there are
        entry["splits"] = write_shards(iter([chunk]), description, folder)
        (folder / MANIFEST).write_text(json.dumps(entry))
        return open_dataset(folder)

    return make


@pytest.fixture
def numbered(
    stored: Callable[[Chunk, Description], Dataset], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Dataset]:
    """Makes a data set whose row i has the label i, i in its first two pixels, and further columns."""

    def make(rows: int, per_shard: int, shape: tuple[int, int, int] = (1, 2, 3)) -> Dataset:
        monkeypatch.setattr(shards, "rows_per_shard", lambda description: per_shard)
        number = np.arange(rows)
        images = np.full((rows, int(np.prod(shape))), 7, np.uint8)
        images[:, 0], images[:, 1] = number // 256, number % 256
        images = images.reshape(rows, *shape)
        boxes = np.stack([number + corner for corner in range(4)], axis=1).astype(np.float32)
        extras = {"half": number / 2, "boxes": boxes, "negative": 255 - images[:, :, :1]}
        columns = {
            "half": Column(dtype="float64"),
            "boxes": Column(dtype="float32", shape=(4,)),
            "negative": Column(dtype="uint8", shape=(shape[0], 1, shape[2]), image=True),
        }
        chunk = Chunk("train", images, number, list(map(str, number)), extras)
        return stored(chunk, Description(shape, "uint8", (), columns=columns))

    return make


def empty_raw(folder: Path) -> Path:
    """A raw folder as fetch leaves it for a source without files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PROVENANCE.json").write_text('{"files": []}')
    return folder
