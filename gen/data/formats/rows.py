"""Arrays that are in memory, as chunks."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Integer, UInt8
from numpy import ndarray

from gen.data.source import Chunk

ROWS = 10_000
"""Rows of one chunk: large enough that a chunk costs nothing, small enough that a copy of one does not matter."""


def chunks(
    split: str, images: UInt8[ndarray, "n c h w"], labels: Integer[ndarray, " n"], ids: Sequence[str]
) -> Iterator[Chunk]:
    """All rows of a split, in their order."""
    for start in range(0, len(images), ROWS):
        part = slice(start, start + ROWS)
        yield Chunk(split, np.ascontiguousarray(images[part]), labels[part].astype(np.int64), ids[part])
