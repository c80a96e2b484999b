"""SVHN (Netzer et al. 2011), format 2: house numbers cropped to 32x32, MATLAB files. The "extra" file is not read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray
from pydantic import Field, model_validator

from gen.data.formats.mat5 import Wanted, read_mat
from gen.data.formats.remedy import fetch_again
from gen.data.formats.rows import chunks
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError
from gen.settings import Settings

URL = "http://ufldl.stanford.edu/housenumbers/"
TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
CHECKSUMS = {TRAIN: "md5:e26dedcc434d2e4c54c9b2d4a06d8373", TEST: "md5:eb5a983be6a315427106f1b164d9cef3"}
MOST_ROWS = 100_000
"""The files hold 73,257 and 26,032 rows."""
PIXELS = (32, 32, 3)


class Config(Settings):
    """The splits; everything else is as published."""

    validation_rows: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    """First and last training row, counted from 0, of the validation split; 63257 and 73256 are usual."""

    @model_validator(mode="after")
    def _in_order(self) -> "Config":
        if self.validation_rows[0] > self.validation_rows[1]:
            raise ValueError("validation_rows must be the first and the last row, in this order")
        return self


def files(config: Config) -> Sequence[Published]:
    """The two files their authors publish."""
    return [Published(name, URL + name, checksum) for name, checksum in CHECKSUMS.items()]


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All rows, 3x32x32, labels 0 to 9. Holds one file's unpacked images, 225 MB, in memory.

    Raises:
        InputError: a file is missing, damaged, or not of the published shape; or validation_rows lie beyond its rows.
    """
    first, last = config.validation_rows
    with fetch_again(raw):
        images, labels, ids = _rows(raw / TRAIN)
    if last >= len(images):
        raise InputError(
            f"{raw / TRAIN}: {len(images)} rows, so validation_rows {first} to {last} lie beyond the last; "
            f"give rows up to {len(images) - 1} in the data set's entry of params.yaml"
        )
    for split, part in (
        ("train", slice(first)),
        ("train", slice(last + 1, None)),
        ("validation", slice(first, last + 1)),
    ):
        yield from chunks(split, images[part], labels[part], ids[part])
    del images
    with fetch_again(raw):
        yield from chunks("test", *_rows(raw / TEST))


def describe(config: Config) -> Description:
    """32x32 as published; the classes are the digits."""
    return Description((3, 32, 32), "uint8", tuple("0123456789"))


def _rows(path: Path) -> tuple[UInt8[ndarray, "n 3 32 32"], Int64[ndarray, " n"], list[str]]:
    """All rows of a file: X is 32x32x3xn, y is nx1 with 10 for the digit 0."""
    images = read_mat(path, Wanted("X", (*PIXELS, None), MOST_ROWS * 32 * 32 * 3))
    labels = read_mat(path, Wanted("y", (None, 1), MOST_ROWS))[:, 0]
    if images.dtype != np.uint8:
        raise InputError(f"{path}: array 'X': {images.dtype}, expected uint8")
    if len(labels) != images.shape[3]:
        raise InputError(f"{path}: {images.shape[3]} images in X, but {len(labels)} labels in y")
    if (wrong := ~np.isin(labels, range(1, 11))).any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: row {row}: label {labels[row]}, expected 1 to 10")
    ids = [f"{path.stem.removesuffix('_32x32')}/{row}" for row in range(len(labels))]
    return images.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10, ids
