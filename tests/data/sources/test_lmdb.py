"""LMDB files by our own reader: as the library writes them, and damaged."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gen.data.formats.lmdb_file import Lmdb
from gen.errors import InputError
from tests.data.sources.published import database


@pytest.mark.parametrize("rows", [0, 1, 40, 5_000])
@pytest.mark.parametrize("size", [3, 900, 9_000])
def test_an_lmdb_is_read_as_the_library_writes_it(rows: int, size: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(rows + size)
    entries = {b"%07d" % n: rng.bytes(int(rng.integers(0, size))) for n in rng.permutation(rows)}
    if size == 9_000:
        entries = dict(list(entries.items())[:500])
    count, _, items = read_lmdb(database(entries), tmp_path)
    assert count == len(entries)
    assert items == sorted(entries.items())


def test_an_lmdb_of_several_levels(tmp_path: Path) -> None:
    entries = {b"%0400d" % n: b"%d" % n for n in range(3_000)}
    _, depth, items = read_lmdb(database(entries), tmp_path)
    assert depth >= 4
    assert items == [*entries.items()]


def test_an_lmdb_whose_tree_bites_its_tail_ends(tmp_path: Path) -> None:
    sound = bytearray(database({b"%0400d" % n: b"x" for n in range(200)}))
    root = struct.unpack_from("<Q", sound, 4096 + 128)[0]
    (first,) = struct.unpack_from("<H", sound, root * 4096 + 16)
    struct.pack_into("<H", sound, root * 4096 + first, root)
    with pytest.raises(InputError, match=rf"page {root}: header says page {root} of kind 1, expected kind"):
        read_lmdb(bytes(sound), tmp_path)


def read_lmdb(content: bytes, folder: Path) -> tuple[int, int, list[tuple[bytes, bytes]]]:
    """How many entries there are said to be, on how many levels, and the entries."""
    (folder / "data.mdb").write_bytes(content)
    with (folder / "data.mdb").open("rb") as file:
        found = Lmdb(file, "data.mdb")
        return found.entries, found.depth, [*found.items()]


def leaf(content: bytes, position: int = 0) -> int:
    """Where a leaf page of an LMDB file lies, by its position among them."""
    places = [at for at in range(8192, len(content), 4096) if struct.unpack_from("<H", content, at + 10) == (2,)]
    return places[position]


def nodes(content: bytes | bytearray, page: int) -> list[int]:
    """Where the entries of a page lie."""
    (lower,) = struct.unpack_from("<H", content, page + 12)
    return [page + offset for (offset,) in struct.iter_unpack("<H", content[page + 16 : page + lower])]


def test_an_lmdb_whose_entries_share_one_large_value(tmp_path: Path) -> None:
    """Hundreds of entries that all say to be the one value of 8 MiB."""
    large = 8 << 20
    content = bytearray(database({b"%03d" % n: b"12345678" for n in range(300)} | {b"large": bytes(large)}))
    (first,) = (at for at in range(8192, len(content), 4096) if struct.unpack_from("<H", content, at + 10) == (4,))
    for page in (leaf(content, number) for number in range(2)):
        for node in nodes(content, page):
            if content[node + 8 : node + 13] != b"large":
                struct.pack_into("<HHH", content, node, large & 0xFFFF, large >> 16, 1)
                struct.pack_into("<Q", content, node + 8 + 3, first // 4096)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"page \d+: more pages are in use than the file has"):
        read_lmdb(bytes(content), tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 5 * large
    tracemalloc.stop()


def test_an_lmdb_whose_entries_overlap(tmp_path: Path) -> None:
    """A page whose entries are all nearly as long as itself."""
    content = bytearray(database({b"%04d" % n: b"" for n in range(150)}))
    page = leaf(content)
    for node in nodes(content, page):
        struct.pack_into("<HH", content, node, page + 4096 - (node + 12), 0)
    with pytest.raises(InputError, match=r"page \d+: more entries than it has bytes for"):
        read_lmdb(bytes(content), tmp_path)


@pytest.mark.parametrize("field", ["depth", "entries", "root", "last"])
@pytest.mark.parametrize("value", [0, 1, 2, 32, 0xFFFF, 1 << 40])
def test_an_lmdb_whose_meta_page_says_something_else(field: str, value: int, tmp_path: Path) -> None:
    """Every value there: what it needs is bounded by the file."""
    sound = {b"%0300d" % row: b"value" for row in range(300)}
    content = bytearray(database(sound))
    place, form = {"depth": (94, "<H"), "entries": (120, "<Q"), "root": (128, "<Q"), "last": (136, "<Q")}[field]
    for meta in (0, 4096):
        struct.pack_into(form, content, meta + place, min(value, 0xFFFF) if form == "<H" else value)
    tracemalloc.start()
    try:
        assert dict(read_lmdb(bytes(content), tmp_path)[2]) == sound
    except InputError as error:
        assert str(error).startswith("data.mdb: ")  # noqa: PT017
    assert tracemalloc.get_traced_memory()[1] < 4 * len(content)
    tracemalloc.stop()
