"""CIFAR-10 (Krizhevsky 2009): 60,000 photographs of ten classes, 32x32, Python 2 pickles in one gzipped tar."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray
from pydantic import Field

from gen.data.formats.archives import tar_members
from gen.data.formats.remedy import fetch_again
from gen.data.formats.restricted_pickle import unpickle
from gen.data.formats.rows import chunks
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError
from gen.settings import Settings

ARCHIVE = "cifar-10-python.tar.gz"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCH = 10_000
"""Rows of one batch, as the file calls it."""
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"
META = "batches.meta"
UNPACKED, MEMBERS = 256 << 20, 32


class Config(Settings):
    """The splits; everything else is as published."""

    validation: int = Field(ge=0, lt=len(TRAIN) * BATCH)
    """How many of the last of the 50,000 training rows are the validation split; 5,000 is usual."""


class Rows(NamedTuple):
    """The rows of one batch."""

    images: UInt8[ndarray, "n 3 32 32"]
    labels: Int64[ndarray, " n"]
    ids: list[str]


def files(config: Config) -> Sequence[Published]:
    """The archive its author publishes."""
    return [Published(ARCHIVE, f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}", "md5:c58f30108f718f92721af3b95e74349a")]


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All rows, 3x32x32, in the order of the batches' numbers. Holds the unpacked 184 MB in memory.

    Raises:
        InputError: the archive is missing or damaged, lacks a batch, or holds anything but plain arrays.
    """
    with fetch_again(raw):
        batches = _batches(raw / ARCHIVE)
        last = len(TRAIN) * BATCH - config.validation
        for position, name in enumerate(TRAIN):
            yield from _part("train", batches[name], slice(max(0, last - position * BATCH)))
        for position, name in enumerate(TRAIN):
            yield from _part("validation", batches[name], slice(max(0, last - position * BATCH), None))
        yield from chunks("test", *batches[TEST])


def describe(config: Config) -> Description:
    """32x32 as published."""
    return Description((3, 32, 32), "uint8", CLASSES)


def _part(split: str, rows: Rows, part: slice) -> Iterator[Chunk]:
    return chunks(split, rows.images[part], rows.labels[part], rows.ids[part])


def _batches(path: Path) -> dict[str, Rows]:
    """All batches by name; the archive keeps them in no particular order. One is parsed while the next is unpacked."""
    parsed: dict[str, Future[Rows]] = {}
    meta = False
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as parser:
        for member, blob in tar_members(path, UNPACKED, MEMBERS):
            name = member.removeprefix("cifar-10-batches-py/")
            where = f"{path}: member {member}"
            if name == META:
                _check_meta(blob, where)
                meta = True
            elif name in (*TRAIN, TEST):
                if name in parsed:
                    raise InputError(f"{where}: occurs twice")
                parsed[name] = parser.submit(_batch, blob, where)
    missing = [name for name in (*TRAIN, TEST) if name not in parsed] + [META] * (not meta)
    if missing:
        raise InputError(f"{path}: members missing: {', '.join(missing)}")
    return {name: rows.result() for name, rows in parsed.items()}


def _batch(blob: bytes, where: str) -> Rows:
    content = unpickle(blob, where)
    if not isinstance(content, dict) or not {b"data", b"labels", b"filenames"} <= content.keys():
        raise InputError(f"{where}: expected a dict with data, labels and filenames")
    data, labels, names = content[b"data"], content[b"labels"], content[b"filenames"]
    if not isinstance(data, ndarray) or data.dtype != np.uint8 or data.shape != (BATCH, 3072):
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, ndarray) else type(data).__name__
        raise InputError(f"{where}: data is {found}, expected uint8 of shape ({BATCH}, 3072)")
    if not isinstance(labels, list) or len(labels) != BATCH:
        raise InputError(f"{where}: expected a list of {BATCH} labels")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < len(CLASSES):
            raise InputError(f"{where}: row {row}: a label is not a number from 0 to {len(CLASSES) - 1}")
    if not isinstance(names, list) or len(names) != BATCH:
        raise InputError(f"{where}: expected a list of {BATCH} file names")
    return Rows(data.reshape(-1, 3, 32, 32), np.array(labels, np.int64), [_name(name, where) for name in names])


def _name(name: object, where: str) -> str:
    if not isinstance(name, bytes) or not name.isascii():
        raise InputError(f"{where}: a file name is not plain text")
    return name.decode("ascii")


def _check_meta(blob: bytes, where: str) -> None:
    content = unpickle(blob, where)
    names = [name.encode() for name in CLASSES]
    if not isinstance(content, dict) or content.get(b"label_names") != names:
        raise InputError(f"{where}: expected the label names {', '.join(CLASSES)}")
