"""The entries of an LMDB data file, in the order of their keys.

The lmdb library maps the file into memory and trusts it: a damaged page ends the process, not in an error. This reads
the file's pages with ordinary reads and checks each (the structures of lmdb.h and mdb.c, data version 1, 64-bit
little-endian). Nothing is locked or written. In a sound file every page, and every byte of it, belongs to one entry; a
file is refused where it has one twice, so what is read and kept is never more than the file is long.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from gen.errors import InputError

MAGIC, VERSION = 0xBEEFC0DE, 1
META = struct.Struct("<II16x I44x IHH24xQQ QQ")
"""Magic, version; the free list's pad (it holds the page size); the main database's pad, flags, depth, entries and
root; the last page, the transaction. It follows a page's header."""
PAGE, NODE = struct.Struct("<QHHHH"), struct.Struct("<HHHH")
BRANCH, LEAF, OVERFLOW = 0x01, 0x02, 0x04
BIG = 0x01
"""Flag of an entry whose value lies in overflow pages of its own."""
DEEPEST = 32
LARGEST = 16 << 20
"""The most bytes of one value."""


class Lmdb:
    """An LMDB data file, open for reading."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        """Read its two meta pages, of which the newer counts.

        Args:
            file: the open data.mdb.
            where: what it is called in errors.

        Raises:
            InputError: it is not an LMDB data file of version 1, or ends before its last page.
        """
        self.file, self.where = file, where
        self.unread = 0
        first = self._meta(0)
        self.page_size: int = first[2]
        if self.page_size not in (1 << n for n in range(9, 17)):
            self._fault(f"page 0: page size {self.page_size}, expected a power of two from 512 to 65536")
        *_, flags, self.depth, self.entries, self.root, last, _ = max(first, self._meta(self.page_size), key=_age)
        self.pages = last + 1
        if flags or self.depth > DEEPEST or (self.entries > 0) != (self.depth > 0):
            self._fault("its meta page describes no plain database")
        if (size := file.seek(0, 2)) < self.pages * self.page_size:
            self._fault(f"{size} bytes, but its meta page says {self.pages} pages of {self.page_size}: truncated")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of every entry.

        Raises:
            InputError: a page is not what the tree of pages needs, or entries are missing.
        """
        previous = None
        count = 0
        self.unread = self.pages - 2
        for key, value in self._walk(self.root, self.depth) if self.entries else ():
            if previous is not None and key <= previous:
                self._fault(f"entry {count}: keys are not in order")
            previous = key
            count += 1
            yield key, value
        if count != self.entries:
            self._fault(f"{count} entries, but its meta page says {self.entries}")

    def _walk(self, number: int, depth: int) -> Iterator[tuple[bytes, bytes]]:
        """Entries below one page; the depth only falls, so even a tree that bites its tail has an end."""
        self._spend(1, number)
        page = self._page(number, LEAF if depth == 1 else BRANCH)
        lower = PAGE.unpack_from(page)[3]
        if not PAGE.size < lower <= self.page_size or lower % 2:
            self._fault(f"page {number}: no entries, or more than fit")
        room = self.page_size - lower
        for (offset,) in struct.iter_unpack("<H", page[PAGE.size : lower]):
            if not lower <= offset <= self.page_size - NODE.size:
                self._fault(f"page {number}: an entry lies outside the page")
            low, high, flags, size = NODE.unpack_from(page, offset)
            key, value = offset + NODE.size, offset + NODE.size + size
            if value > self.page_size:
                self._fault(f"page {number}: a key lies outside the page")
            length = 0 if depth > 1 else 8 if flags == BIG else low | high << 16
            if (room := room - NODE.size - size - length) < 0:
                self._fault(f"page {number}: more entries than it has bytes for")
            if depth > 1:
                yield from self._walk(low | high << 16 | flags << 32, depth - 1)
            else:
                yield page[key:value], self._value(page, number, value, low | high << 16, flags)

    def _value(self, page: bytes, number: int, start: int, size: int, flags: int) -> bytes:
        if flags not in (0, BIG) or size > LARGEST:
            self._fault(f"page {number}: an entry with flags {flags} and {size} bytes, expected a plain value")
        inline = 8 if flags == BIG else size
        if start + inline > self.page_size:
            self._fault(f"page {number}: a value lies outside the page")
        if flags != BIG:
            return page[start : start + size]
        (first,) = struct.unpack_from("<Q", page, start)
        self._spend(-(-(PAGE.size + size) // self.page_size), first)
        self._page(first, OVERFLOW)
        if first * self.page_size + PAGE.size + size > self.pages * self.page_size:
            self._fault(f"page {first}: a value of {size} bytes ends after the last page")
        return self._read(first * self.page_size + PAGE.size, size)

    def _spend(self, pages: int, number: int) -> None:
        """Count pages as read; none is read twice."""
        self.unread -= pages
        if self.unread < 0:
            self._fault(f"page {number}: more pages are in use than the file has")

    def _page(self, number: int, kind: int) -> bytes:
        if not 2 <= number < self.pages:
            self._fault(f"page {number}: there are pages 2 to {self.pages - 1} only")
        page = self._read(number * self.page_size, PAGE.size if kind == OVERFLOW else self.page_size)
        found, _, flags, *_ = PAGE.unpack_from(page)
        if (found, flags) != (number, kind):
            self._fault(f"page {number}: header says page {found} of kind {flags}, expected kind {kind}")
        return page

    def _meta(self, offset: int) -> tuple[int, ...]:
        meta = META.unpack(self._read(offset + PAGE.size, META.size))
        if meta[:2] != (MAGIC, VERSION):
            self._fault(
                f"byte {offset + PAGE.size}: magic {meta[0]:08x}, version {meta[1]}, expected {MAGIC:08x}, "
                f"{VERSION}: not an LMDB data file"
            )
        return meta

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self.file.seek(offset)
            blob = self.file.read(size)
        except OSError as error:
            self._fault(f"byte {offset}: {error.strerror}")
        if len(blob) < size:
            self._fault(f"ends within the {size} bytes at byte {offset}")
        return blob

    def _fault(self, what: str) -> NoReturn:
        raise InputError(f"{self.where}: {what}")


def _age(meta: tuple[int, ...]) -> int:
    return meta[-1]
