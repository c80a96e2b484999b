"""MNIST (LeCun et al. 1998): 70,000 handwritten digits, 28x28, one channel, four gzipped idx files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from gen.data.formats.idx import read_idx
from gen.data.formats.remedy import fetch_again
from gen.data.formats.rows import chunks
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError
from gen.settings import Settings

TRAIN, TEST = 60_000, 10_000
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}


class Config(Settings):
    """The splits; everything else is as published."""

    validation: int = Field(ge=0, lt=TRAIN)
    """How many of the last of the 60,000 training rows are the validation split; 10,000 is usual."""


def files(config: Config) -> Sequence[Published]:
    """The four files; the authors' own host refuses downloads, so a well-known copy."""
    return [Published(name, MIRROR + name, checksum) for name, checksum in CHECKSUMS.items()]


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All rows, 1x28x28, labels 0 to 9.

    Raises:
        InputError: a file is missing, damaged, or not of the published shape.
    """
    with fetch_again(raw):
        for prefix, rows, held_out in (("train", TRAIN, config.validation), ("t10k", TEST, 0)):
            images = read_idx(raw / f"{prefix}-images-idx3-ubyte.gz", (rows, 28, 28))[:, None]
            labels = read_idx(path := raw / f"{prefix}-labels-idx1-ubyte.gz", (rows,))
            if labels.max() > 9:
                row = int((labels > 9).argmax())
                raise InputError(f"{path}: row {row}: label {labels[row]}, expected 0 to 9")
            ids = [f"{prefix}/{row}" for row in range(rows)]
            first = rows - held_out
            yield from chunks("train" if prefix == "train" else "test", images[:first], labels[:first], ids[:first])
            yield from chunks("validation", images[first:], labels[first:], ids[first:])


def describe(config: Config) -> Description:
    """28x28 as published, not padded."""
    return Description((1, 28, 28), "uint8", tuple("0123456789"))
