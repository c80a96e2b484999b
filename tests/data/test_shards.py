from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen.data import shards
from gen.data.dataset import MANIFEST, Dataset, open_dataset
from gen.data.shards import Rows
from gen.data.source import Description
from gen.errors import InputError
from gen.family import Column

COLUMNS = {
    "Smiling": Column(dtype="bool"),
    "count": Column(dtype="int64"),
    "score": Column(dtype="float64"),
    "tokens": Column(dtype="int64", shape=(6,)),
    "sketch": Column(dtype="uint8", shape=(1, 4, 5), image=True),
}
DESCRIPTION = Description((3, 4, 5), "uint8", ("a", "b"), columns=COLUMNS)


def rows(n: int = 10) -> Rows:
    random = np.random.default_rng(0)
    extras = {"Smiling": random.random(n) < 0.5, "count": np.arange(n), "score": random.random(n)}
    extras |= {"tokens": random.integers(0, 9, (n, 6)), "sketch": random.integers(0, 256, (n, 1, 4, 5), dtype=np.uint8)}
    images = random.integers(0, 256, (n, 3, 4, 5), dtype=np.uint8)
    return Rows(images, np.arange(n) % 2, [f"{i:06}.jpg" for i in range(n)], extras)


def test_round_trip() -> None:
    written = rows()
    read = shards.decode(shards.encode(written, DESCRIPTION), "shard")
    np.testing.assert_array_equal(read.images, written.images)
    np.testing.assert_array_equal(read.labels, written.labels)
    assert read.ids == written.ids
    assert {name: (str(values.dtype), values.shape[1:]) for name, values in read.extras.items()} == {
        name: (column.dtype, column.shape) for name, column in COLUMNS.items()
    }
    for name, values in written.extras.items():
        np.testing.assert_array_equal(read.extras[name], values)


def test_points_keep_their_coordinates() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2, 1, 1)).astype(np.float32)
    written = Rows(points, np.zeros(5, np.int64), list("abcde"), {})
    blob = shards.encode(written, Description((2, 1, 1), "float32", (), scale=4.0))
    read = shards.decode(blob, "shard")
    assert read.images.dtype == np.float32
    np.testing.assert_array_equal(read.images, points)


def test_a_shard_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "shard.parquet").write_bytes(shards.encode(rows(), DESCRIPTION))
    schema = pq.read_schema(tmp_path / "shard.parquet")
    assert schema.metadata[b"dtype"] == b"uint8"
    assert schema.metadata[b"shape"] == b"[3, 4, 5]"
    assert str(schema.field("image").type) == "fixed_size_binary[60]"


def test_same_rows_same_bytes() -> None:
    strided = rows()._replace(images=np.asfortranarray(rows().images))
    assert shards.encode(rows(), DESCRIPTION) == shards.encode(strided, DESCRIPTION)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(tmp_path: Path, at: int, bit: int) -> None:
    blob = bytearray(shards.encode(rows(), DESCRIPTION))
    sha256 = shards.digest(bytes(blob))
    blob[at % len(blob)] ^= 1 << bit
    (tmp_path / "shard.parquet").write_bytes(blob)
    with pytest.raises(InputError, match=r"shard.parquet: damaged.*prepare it"):
        shards.read(tmp_path / "shard.parquet", sha256, "prepare it")


def test_not_a_shard(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x: not a shard"):
        shards.decode(b"PAR1" * 10, "x")
    with pytest.raises(InputError, match="x: not a shard"):
        shards.decode(b"", "x")
    (tmp_path / "x").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"x: not a shard of images .*; prepare it$"):
        shards.read(tmp_path / "x", shards.digest(b"PAR1"), "prepare it")


def test_dataset_reads_all_rows_in_order(numbered: Callable[..., Dataset]) -> None:
    dataset = numbered(rows=100, per_shard=7)
    assert len(dataset.shards("train")) == 15
    assert dataset.rows == {"train": 100}
    read = dataset.read("train")
    np.testing.assert_array_equal(read.labels, np.arange(100))
    np.testing.assert_array_equal(read.images[:, 0, 0, 1], np.arange(100))
    assert read.ids[99] == "99"


def test_truncated_shard(numbered: Callable[..., Dataset]) -> None:
    dataset = numbered(rows=20, per_shard=10)
    shard = dataset.folder / dataset.shards("train")[1].file
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=r"train-00001.parquet: damaged \(\d+ bytes, .*; run dvc repro -s -f prepare@numbered"
    ):
        open_dataset(dataset.folder)
    shard.unlink()
    with pytest.raises(InputError, match=r"train-00001.parquet: missing; run dvc repro prepare@numbered"):
        open_dataset(dataset.folder)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data/MANIFEST.json: missing; run dvc repro prepare@data$"):
        open_dataset(tmp_path / "data")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": 1}', "\xff", "null"])
def test_damaged_manifest(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_bytes(content.encode("latin1"))
    with pytest.raises(InputError, match=r"MANIFEST.json: damaged .*; run dvc repro -s -f prepare@"):
        open_dataset(tmp_path)


def test_manifest_cannot_name_files_elsewhere(numbered: Callable[..., Dataset]) -> None:
    folder = numbered(rows=5, per_shard=10).folder
    manifest = (folder / MANIFEST).read_text().replace("train-00000.parquet", "../train-00000.parquet")
    (folder / MANIFEST).write_text(manifest)
    with pytest.raises(InputError, match="a shard is named"):
        open_dataset(folder)


def test_unknown_split(digits: Dataset) -> None:
    with pytest.raises(InputError, match="no split 'trian'; it has train, validation, test"):
        digits.read("trian")
