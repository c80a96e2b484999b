"""Raw files to a prepared data set: Parquet shards of every split, and the manifest, written last."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gen.data import shards
from gen.data.dataset import MANIFEST, Dataset, open_dataset
from gen.data.fetch import verify
from gen.data.folder import lock, whole
from gen.data.progress import progress
from gen.data.shards import Rows
from gen.data.source import Chunk, Description, check_chunk, check_dataset

WRITERS = 2
"""Threads that write, and shards that may wait for them: few, since each holds 16 MiB."""


def prepare(name: str, section: Mapping[str, Any], where: str, raw: Path, out: Path) -> Dataset:
    """Prepare the data set `name` from the files in `raw` into `out`, which is whole or absent, whatever happens.

    The same input gives the same bytes.

    Args:
        name: the data set's name in params.yaml.
        section: its entry of `datasets`.
        where: the address of that entry, for errors.
        raw: the folder that fetch wrote.
        out: the folder to write.

    Raises:
        InputError: a section or a file that is not as it should be.
    """
    entry = check_dataset(section, where)
    description = entry.describe()
    with lock(out), whole(out) as partial:
        fetched = verify(raw, name)
        classes = entry.classes(raw)
        chunks = _checked(entry.read(raw), description, len(classes), name)
        splits = write_shards(_watched(chunks, name), description, partial)
        manifest = {
            "name": name,
            "source": entry.kind,
            "settings": dict(sorted({**section, **description.settings}.items())),
            "shape": description.shape,
            "dtype": description.dtype,
            "scale": description.scale,
            "classes": classes,
            "columns": {name: column.model_dump() for name, column in description.columns.items()},
            "provenance": [{key: file[key] for key in file if key != "from"} for file in fetched],
            "splits": splits,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return open_dataset(out)


def write_shards(chunks: Iterator[Chunk], description: Description, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Write the shards of all splits; returns their entries in the manifest.

    Threads compress and write shards while the source reads the next rows.
    """
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in description.splits}
    waiting: dict[str, _Waiting] = {}
    writing: deque[tuple[str, Future[dict[str, Any]]]] = deque()
    counts = dict.fromkeys(description.splits, 0)

    def submit(split: str, rows: Rows) -> None:
        path = folder / f"{split}-{counts[split]:05d}.parquet"
        counts[split] += 1
        writing.append((split, threads.submit(_write, path, rows, description)))
        while len(writing) > WRITERS:
            collect()

    def collect() -> None:
        split, future = writing.popleft()
        splits[split].append(future.result())

    with ThreadPoolExecutor(WRITERS, thread_name_prefix="shards") as threads:
        for chunk in chunks:
            buffer = waiting.setdefault(chunk.split, _Waiting(shards.rows_per_shard(description)))
            for rows in buffer.add(chunk):
                submit(chunk.split, rows)
        for split, buffer in waiting.items():
            if buffer.rows:
                submit(split, buffer.flush())
        while writing:
            collect()
    return {split: entries for split, entries in splits.items() if entries}


class _Waiting:
    """Rows of one split that do not fill a shard yet."""

    def __init__(self, full: int) -> None:
        self.full = full
        self.rows = 0
        self.chunks: list[Chunk] = []

    def add(self, chunk: Chunk) -> Iterator[Rows]:
        """Take a chunk; yields the shards that are full."""
        while len(chunk.images):
            room = self.full - self.rows
            self.chunks.append(_cut(chunk, slice(room)))
            self.rows += len(self.chunks[-1].images)
            chunk = _cut(chunk, slice(room, None))
            if self.rows == self.full:
                yield self.flush()

    def flush(self) -> Rows:
        """All rows that wait."""
        chunks, self.chunks, self.rows = self.chunks, [], 0
        if len(chunks) == 1:
            return Rows(chunks[0].images, chunks[0].labels, list(chunks[0].ids), chunks[0].extras)
        return Rows(
            np.concatenate([chunk.images for chunk in chunks]),
            np.concatenate([chunk.labels for chunk in chunks]),
            [name for chunk in chunks for name in chunk.ids],
            {key: np.concatenate([chunk.extras[key] for chunk in chunks]) for key in chunks[0].extras},
        )


def _cut(chunk: Chunk, part: slice) -> Chunk:
    extras = {key: values[part] for key, values in chunk.extras.items()}
    return Chunk(chunk.split, chunk.images[part], chunk.labels[part], chunk.ids[part], extras)


def _write(path: Path, rows: Rows, description: Description) -> dict[str, Any]:
    blob = shards.encode(rows, description)
    path.write_bytes(blob)
    return {"file": path.name, "rows": len(rows.images), "bytes": len(blob), "sha256": shards.digest(blob)}


def _checked(chunks: Iterator[Chunk], description: Description, classes: int, name: str) -> Iterator[Chunk]:
    """The chunks, each of which is what the source describes."""
    for chunk in chunks:
        check_chunk(chunk, description, classes, name)
        yield chunk


def _watched(chunks: Iterator[Chunk], name: str) -> Iterator[Chunk]:
    """The chunks, with their progress."""
    with progress(f"prepare {name}", "rows") as add:
        for chunk in chunks:
            yield chunk
            add(len(chunk.images))
