"""Numeric arrays of MATLAB 5.0 MAT-files (MathWorks, "MAT-File Format", chapter 1).

A file is a header of 128 bytes and elements one after the other, each a tag (type, bytes) and content. An array is an
element that holds four: flags, shape, name, values; it may be packed whole with zlib. What a file declares is compared
with what is wanted before its values are unpacked, so a file cannot ask for more memory than the wanted array needs.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Num
from numpy import ndarray

from gen.data.formats.archives import RATIO
from gen.data.formats.remedy import message
from gen.errors import InputError

HEADER = 128
MATRIX, PACKED, INT8, INT32, UINT32 = 14, 15, 1, 5, 6
STORED = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
"""How values are stored, which may be narrower than the array's class."""
COMPLEX = 0x0800
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
ELEMENTS = 64
BLOCK = 1 << 20


class Wanted(NamedTuple):
    """What an array must be."""

    name: str
    shape: tuple[int | None, ...]
    """None: any length."""
    most: int
    """The most values it may have."""


def read_mat(path: Path, wanted: Wanted) -> Num[ndarray, "..."]:
    """One real numeric array of a file, in MATLAB's order (the first index varies fastest).

    Raises:
        InputError: the file is missing, damaged or of another version, or has no such array.
    """
    try:
        with path.open("rb") as file:
            _check_header(file, path)
            for _ in range(ELEMENTS):
                place = file.tell()
                if not (tag := file.read(8)):
                    raise InputError(f"{path}: no array {wanted.name!r}")
                kind, size = struct.unpack("<II", tag)
                element = _Element(file, size, packed=kind == PACKED)
                where = f"{path}: byte {place}"
                if kind == PACKED:
                    kind, size = struct.unpack("<II", element.read(8))
                if kind != MATRIX:
                    raise InputError(f"{where}: element of type {kind}, expected an array ({MATRIX})")
                if (values := _array(element, wanted, where)) is not None:
                    element.finish()
                    return values
                file.seek(place + 8 + element.size)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: damaged: {message(error)}") from None
    raise InputError(f"{path}: no array {wanted.name!r} among the first {ELEMENTS}")


class _Element:
    """The content of one element at the top of a file, unpacked as it is read."""

    def __init__(self, file: BinaryIO, size: int, packed: bool) -> None:
        self.file, self.size, self.left = file, size, size
        self.inflate = zlib.decompressobj() if packed else None

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        if self.inflate is None:
            return self._stored(size)
        parts, wanted = [], size
        while wanted:
            packed = self.inflate.unconsumed_tail or self._stored(min(BLOCK, self.left))
            part = self.inflate.decompress(packed, wanted)
            if not part and (self.inflate.eof or not packed):
                raise EOFError(f"an element ends {wanted} bytes early")
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """Read to the end, which checks the checksum of a packed element."""
        while self.inflate is not None and not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or self._stored(min(BLOCK, self.left))
            if len(self.inflate.decompress(packed, BLOCK)) > 8 or not packed:
                raise EOFError("an element does not end where its array does")

    def _stored(self, size: int) -> bytes:
        if size > self.left:
            raise EOFError(f"an element ends {size - self.left} bytes early")
        blob = self.file.read(size)
        if len(blob) < size:
            raise EOFError(f"the file ends {size - len(blob)} bytes early")
        self.left -= size
        return blob


def _check_header(file: BinaryIO, path: Path) -> None:
    header = file.read(HEADER)
    if len(header) < HEADER:
        raise InputError(f"{path}: ends after {len(header)} bytes, within its header of {HEADER}")
    if header[124:] != b"\x00\x01IM":
        raise InputError(f"{path}: byte 124: {header[124:].hex()!r}, expected '0001494d' (MATLAB 5.0, little-endian)")


def _array(element: _Element, wanted: Wanted, where: str) -> Num[ndarray, "..."] | None:
    """The element's array, or None when it has another name."""
    flags = _part(element, UINT32, 8, where)
    lengths = _part(element, INT32, 4 * 32, where)
    if len(lengths) % 4:
        raise InputError(f"{where}: a shape of {len(lengths)} bytes, expected 4 for each dimension")
    shape = tuple(np.frombuffer(lengths, "<i4").tolist())
    if (name := _part(element, INT8, 64, where)) != wanted.name.encode():
        return None
    where = f"{where}: array {name.decode()!r}"
    options = struct.unpack("<I", flags[:4])[0]
    if (target := CLASSES.get(options & 0xFF)) is None or options & COMPLEX:
        raise InputError(f"{where}: class {options & 0xFF}, expected real numbers")
    fits = len(shape) == len(wanted.shape) and all(w in (None, n) for n, w in zip(shape, wanted.shape, strict=True))
    if not fits or min(shape) < 1 or math.prod(shape) > wanted.most:
        expected = "x".join("n" if n is None else str(n) for n in wanted.shape)
        raise InputError(f"{where}: shape {'x'.join(map(str, shape))}, expected {expected} of at most {wanted.most}")
    kind, size, small = _tag(element)
    if (stored := STORED.get(kind)) is None:
        raise InputError(f"{where}: values of type {kind}, expected one of {[*STORED]}")
    if size != math.prod(shape) * np.dtype(stored).itemsize:
        raise InputError(f"{where}: {size} bytes of values, which its shape {shape} does not need")
    if not np.can_cast(stored, target):
        raise InputError(f"{where}: values stored as {stored} do not fit its class {target}")
    if size > RATIO * element.size + BLOCK:
        raise InputError(f"{where}: {element.size} bytes unpack to {size}: a decompression bomb")
    blob = element.read(size) if small is None else small
    return np.frombuffer(blob, stored).astype(target, copy=False).reshape(shape, order="F")


def _part(element: _Element, expected: int, most: int, where: str) -> bytes:
    """The content of one of the small elements within an array."""
    kind, size, small = _tag(element)
    if kind != expected or size > most:
        raise InputError(
            f"{where}: element of type {kind} and {size} bytes, expected type {expected} of at most {most}"
        )
    if small is not None:
        return small
    return element.read(size + -size % 8)[:size]


def _tag(element: _Element) -> tuple[int, int, bytes | None]:
    """Type and size of an element, and its content where that stands within the tag (the small format)."""
    tag = element.read(8)
    kind, size = struct.unpack("<II", tag)
    if not (small := kind >> 16):
        return kind, size, None
    if small > 4:
        raise EOFError(f"an element of {small} bytes within its tag of 4")
    return kind & 0xFFFF, small, tag[4 : 4 + small]
