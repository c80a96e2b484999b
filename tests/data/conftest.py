import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gen.data import shards
from gen.data.dataset import MANIFEST, Dataset, open_dataset
from gen.data.prepare import prepare, write_shards
from gen.data.source import Chunk, Description

DIGITS = {"source": "digits", "size": 16, "validation": 200, "test": 297}


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
        entry["splits"] = write_shards(iter([chunk]), description, folder)
        (folder / MANIFEST).write_text(json.dumps(entry))
        return open_dataset(folder)

    return make


@pytest.fixture
def numbered(
    stored: Callable[[Chunk, Description], Dataset], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Dataset]:
    """Makes a data set whose row i has the label i, an extra column i / 2, and i in its first two pixels."""

    def make(rows: int, per_shard: int, shape: tuple[int, int, int] = (1, 2, 3)) -> Dataset:
        monkeypatch.setattr(shards, "SHARD_BYTES", per_shard * int(np.prod(shape)))
        number = np.arange(rows)
        images = np.full((rows, int(np.prod(shape))), 7, np.uint8)
        images[:, 0], images[:, 1] = number // 256, number % 256
        chunk = Chunk("train", images.reshape(rows, *shape), number, list(map(str, number)), {"half": number / 2})
        return stored(chunk, Description(shape, "uint8", ()))

    return make


def empty_raw(folder: Path) -> Path:
    """A raw folder as fetch leaves it for a source without files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PROVENANCE.json").write_text('{"files": []}')
    return folder
