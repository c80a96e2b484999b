"""Gzipped idx files: MNIST's format, as http://yann.lecun.com/exdb/mnist/ describes it."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from gen.data.formats.remedy import message
from gen.errors import InputError

UNSIGNED_BYTES = 8
SLACK = 1 << 20
"""Bytes that a file may be longer packed than unpacked: more than any compressor adds."""


def read_idx(path: Path, shape: tuple[int, ...]) -> UInt8[ndarray, "..."]:
    """The unsigned bytes of a gzipped idx file, which must have this shape.

    No more is ever unpacked than the shape needs, whatever the file would unpack to.

    Raises:
        InputError: the file is missing, damaged, or has another type, shape or length.
    """
    magic = struct.pack(">HBB", 0, UNSIGNED_BYTES, len(shape))
    header = 4 + 4 * len(shape)
    size = header + math.prod(shape)
    try:
        if (packed := path.stat().st_size) > size + SLACK:
            raise InputError(f"{path}: {packed} bytes, which the expected {size} unpacked bytes do not need")
        with gzip.open(path) as file:
            blob = file.read(size)
            more = file.read(1) if len(blob) == size else b""  # reaching the end is also what checks the CRC
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged: {message(error)}") from None
    if blob[:4] != magic:
        raise InputError(f"{path}: byte 0 of the unpacked file: magic {blob[:4].hex()!r}, expected {magic.hex()!r}")
    if len(blob) < header:
        raise InputError(f"{path}: ends after {len(blob)} unpacked bytes, within its header of {header}")
    if (found := struct.unpack_from(f">{len(shape)}I", blob, 4)) != shape:
        raise InputError(f"{path}: byte 4 of the unpacked file: shape {found}, expected {shape}")
    if len(blob) < size:
        raise InputError(f"{path}: ends after {len(blob)} unpacked bytes, expected {size}")
    if more:
        raise InputError(f"{path}: more than the expected {size} unpacked bytes")
    return np.frombuffer(blob, np.uint8, offset=header).reshape(shape)
