"""Members of tar and zip archives, read one by one. Nothing is extracted by name; everything has a cap."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from isal.igzip import IGzipFile
from isal.igzip_lib import IsalError

from gen.data.formats.remedy import message
from gen.errors import InputError

BLOCK = 1 << 20
RATIO = 200
"""A zip member that claims to unpack to more than this many times its size (beyond one block) is a bomb."""
LONGEST_ENTRY = 512
"""Bytes of a member's entry in the directory of a zip, with its name: more than any published one has."""
END, END64 = 22, 56 + 20
"""Bytes of the record at the end of a zip, and of the two before it where sizes have 64 bits."""
UNSAFE = "a link, a device or sparse, expected only plain files"
TAR_FAULTS = (tarfile.TarError, OSError, EOFError, zlib.error, IsalError, ValueError, OverflowError, RecursionError)
ZIP_FAULTS = (zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, NotImplementedError, OverflowError)


def tar_members(path: Path, cap: int, members: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in a gzipped tar, in its order; folders are passed over.

    Args:
        path: the archive.
        cap: the most bytes it may unpack to, headers included.
        members: the most members it may have.

    Raises:
        InputError: it is missing, damaged, over a cap, or has a member that is a link, a device, sparse, or named
            to escape.
    """
    try:
        with IGzipFile(path) as unpacked:
            capped = _Capped(unpacked, cap, path)
            with tarfile.open(fileobj=capped, mode="r|", bufsize=BLOCK, tarinfo=_Header) as archive:
                for count, member in enumerate(archive, 1):
                    if count > members:
                        raise InputError(f"{path}: more than {members} members")
                    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
                    _safe(path, member.name, plain or member.isdir())
                    capped.check(member.size)
                    if plain and (file := archive.extractfile(member)):
                        yield member.name, file.read()
            while capped.read(BLOCK):  # the checksum comes last
                pass
    except TAR_FAULTS as error:  # type: ignore[misc]
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged: {message(error)}") from None


class _Header(tarfile.TarInfo):
    """A member's header, judged before what extends it is read: tarfile keeps that in memory, many times over."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        """The header in `buf`. Raises ValueError for a sparse member, and a name or PAX header that is too long."""
        header = super().frombuf(buf, encoding, errors)
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError(f"member {header.name!r}: {UNSAFE}")
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) and header.size > BLOCK:
            raise ValueError(f"member {header.name!r}: a header of {header.size} bytes, expected at most {BLOCK}")
        return header


class _Capped(io.RawIOBase):
    """A file that ends in an error after `cap` bytes."""

    def __init__(self, file: gzip.GzipFile, cap: int, path: Path) -> None:
        super().__init__()
        self.file, self.cap, self.path, self.count = file, cap, path, 0

    def read(self, size: int = -1, /) -> bytes:
        blob = self.file.read(size)
        self.count += len(blob)
        self.check(self.count)
        return blob

    def check(self, size: int) -> None:
        if size > self.cap:
            raise InputError(f"{self.path}: unpacks to more than the {self.cap} bytes it should hold")


def _safe(path: Path, name: str, plain: bool) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        raise InputError(f"{path}: member {name!r}: its name leads out of the archive; remove it")
    if not plain:
        raise InputError(f"{path}: member {name!r}: {UNSAFE}; remove it")


class Zip:
    """A zip archive whose members have been looked over, open for reading."""

    def __init__(self, path: Path, largest: int, members: int) -> None:
        """Open it and look at its directory.

        Args:
            path: the archive.
            largest: the most bytes that one member may unpack to.
            members: the most members it may have.

        Raises:
            InputError: it is missing, damaged, over a cap, or has a member that is a link, encrypted, compressed by
                an unusual method, or named to escape.
        """
        self.path = path
        try:
            if (size := _directory_size(path)) > members * LONGEST_ENTRY + BLOCK:
                raise InputError(f"{path}: a directory of {size} bytes, which at most {members} members do not need")
            self.archive = zipfile.ZipFile(path)
        except InputError:
            raise
        except ZIP_FAULTS as error:
            raise InputError(f"{path}: not a whole zip archive: {message(error)}") from None
        self.members: dict[str, zipfile.ZipInfo] = {}
        try:
            if len(self.archive.filelist) > members:
                raise InputError(f"{path}: {len(self.archive.filelist)} members, expected at most {members}")
            for info in self.archive.filelist:
                self._check(info, largest)
        except InputError:
            self.archive.close()
            raise

    def _check(self, info: zipfile.ZipInfo, largest: int) -> None:
        where = f"{self.path}: member {info.filename!r}"
        kind = stat.S_IFMT(info.external_attr >> 16)
        _safe(self.path, info.orig_filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        if info.is_dir():
            return
        if info.filename in self.members:
            raise InputError(f"{where}: occurs twice")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{where}: encrypted or of an unusual compression, expected stored or deflated")
        if info.file_size > largest:
            raise InputError(f"{where}: {info.file_size} bytes, expected at most {largest}")
        if info.file_size > RATIO * info.compress_size + BLOCK:
            raise InputError(f"{where}: {info.compress_size} bytes unpack to {info.file_size}: a decompression bomb")
        self.members[info.filename] = info

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            InputError: there is no such member, or it is damaged.
        """
        info = self._find(name)
        try:
            return self.archive.read(info)
        except ZIP_FAULTS as error:
            raise InputError(f"{self.path}: member {name!r}: damaged: {message(error)}") from None

    def size(self, name: str) -> int:
        """How many bytes one file unpacks to.

        Raises:
            InputError: there is no such member.
        """
        return self._find(name).file_size

    def checksum(self, name: str) -> bytes:
        """Bytes that are the same for equal files, as the directory has them: the CRC-32 and the size.

        Raises:
            InputError: there is no such member.
        """
        info = self._find(name)
        return struct.pack("<IQ", info.CRC, info.file_size)

    def copy(self, name: str, to: BinaryIO) -> None:
        """Write the content of one file to `to`, a block at a time.

        Raises:
            InputError: there is no such member, it is damaged, or there is no room for it.
        """
        info = self._find(name)
        try:
            with self.archive.open(info) as file:
                while block := file.read(BLOCK):
                    to.write(block)
        except ZIP_FAULTS as error:
            raise InputError(f"{self.path}: member {name!r}: cannot be unpacked: {message(error)}") from None

    def _find(self, name: str) -> zipfile.ZipInfo:
        if (info := self.members.get(name)) is None:
            raise InputError(f"{self.path}: member {name!r}: missing")
        return info

    def __enter__(self) -> "Zip":
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()


def _directory_size(path: Path) -> int:
    """Bytes of a zip's directory, as the record at its end says, of which zipfile makes some twenty times as many."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END64 - END - (1 << 16)))
        tail = file.read()
    if (at := tail.rfind(b"PK\5\6")) < 0 or len(tail) < at + END:
        return 0  # zipfile says what is wrong
    if at >= END64 and tail[at - 20 : at - 16] == b"PK\6\7":  # zip64: another record before it counts
        return int(struct.unpack_from("<Q", tail, at - END64 + 40)[0])
    return int(struct.unpack_from("<I", tail, at + 12)[0])
