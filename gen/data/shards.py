"""Parquet shards: raw pixels or points, labels, ids and extras of consecutive rows.

Columns: `image` (fixed-size binary, one row's array in C order), `label` (int64), `id` (string), then the extras (bool,
int or float). The schema's metadata holds dtype, shape and scale, so a shard can be read without its manifest. The same
rows give the same bytes: one row group, zstd, no dictionaries for pixels, no times.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int, Shaped
from numpy import ndarray

from gen.data.source import Description
from gen.errors import InputError

SHARD_BYTES = 16 * 2**20
"""Raw bytes of the images of one full shard."""

ZSTD_LEVEL = -3
"""Photographs hardly compress: ten times faster than level 1, for a hundredth more bytes."""


class Rows(NamedTuple):
    """Consecutive rows of one split, as they were prepared."""

    images: Shaped[ndarray, "n c h w"]
    labels: Int[ndarray, " n"]
    ids: list[str]
    extras: Mapping[str, Shaped[ndarray, " n"]]


def rows_per_shard(description: Description) -> int:
    """How many rows a full shard holds."""
    return max(1, SHARD_BYTES // (int(np.prod(description.shape)) * np.dtype(description.dtype).itemsize))


def encode(rows: Rows, description: Description) -> memoryview:
    """The bytes of a shard."""
    n = len(rows.images)
    image = np.ascontiguousarray(rows.images, dtype=np.dtype(description.dtype).newbyteorder("<")).reshape(n, -1)
    width = image[0].nbytes
    columns: dict[str, pa.Array] = {
        "image": pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), n, [None, pa.py_buffer(image)]),
        "label": pa.array(np.asarray(rows.labels, dtype=np.int64)),
        "id": pa.array(rows.ids, pa.string()),
    }
    columns |= {name: pa.array(values) for name, values in rows.extras.items()}
    metadata = {
        "dtype": description.dtype,
        "shape": json.dumps(description.shape),
        "scale": json.dumps(description.scale),
    }
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=n,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in columns if name not in ("image", "id")],
        write_statistics=False,
    )
    return memoryview(sink.getvalue())


def decode(blob: bytes | memoryview, where: str) -> Rows:
    """The rows of a shard's bytes; the arrays are views of one decompressed buffer and read-only.

    Raises:
        InputError: the bytes are not such a shard.
    """
    try:
        table = pq.read_table(pa.BufferReader(blob)).combine_chunks()
        metadata = table.schema.metadata
        dtype, shape = np.dtype(metadata[b"dtype"].decode()), tuple(json.loads(metadata[b"shape"]))
        images = _pixels(table.column("image"), dtype).reshape(table.num_rows, *shape)
        extras = _extras(table.schema)
        return Rows(
            images,
            table.column("label").to_numpy(),
            table.column("id").to_pylist(),
            {name: table.column(name).to_numpy() for name in extras},
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError, RecursionError) as error:
        message = str(error).split("\n")[0]
        raise InputError(f"{where}: not a shard of images ({message})") from None


def digest(blob: bytes | memoryview) -> str:
    """sha256 in hexadecimal."""
    return hashlib.sha256(blob).hexdigest()


def read(path: Path, sha256: str, remedy: str) -> Rows:
    """The rows of the shard at `path`.

    Raises:
        InputError: its sha256 is not the given one, or it is no shard; the line ends with `remedy`.
    """
    blob = path.read_bytes()
    if digest(blob) != sha256:
        raise InputError(f"{path}: damaged (its sha256 is not the manifest's); {remedy}")
    try:
        return decode(blob, str(path))
    except InputError as error:
        raise InputError(f"{error}; {remedy}") from None


def extras(path: Path, remedy: str) -> dict[str, "np.dtype[Any]"]:
    """Names and types of the extras of the shard at `path`; only its footer is read.

    Raises:
        InputError: it is no shard; the line ends with `remedy`.
    """
    try:
        schema = pq.read_schema(path)
        return {name: np.dtype(schema.field(name).type.to_pandas_dtype()) for name in _extras(schema)}
    except pa.ArrowException as error:
        message = str(error).split("\n")[0]
        raise InputError(f"{path}: not a shard of images ({message}); {remedy}") from None


def _extras(schema: pa.Schema) -> list[str]:
    return [name for name in schema.names if name not in ("image", "label", "id")]


def _pixels(column: pa.ChunkedArray, dtype: np.dtype) -> Shaped[ndarray, " all"]:
    array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    width = array.type.byte_width
    pixels = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
    return pixels.view(dtype)
