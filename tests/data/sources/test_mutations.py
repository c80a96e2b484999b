"""Whatever happens to the bytes of a published file, reading it gives its rows or one InputError, and runs nothing."""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen.data.formats.archives import Zip, tar_members
from gen.data.formats.idx import read_idx
from gen.data.formats.lmdb_file import Lmdb
from gen.data.formats.mat5 import HEADER, Wanted, read_mat
from gen.data.formats.restricted_pickle import unpickle
from gen.data.sources import celeba, cifar10, svhn
from gen.errors import InputError
from tests.data.sources.published import (
    Files,
    batch,
    cifar_members,
    database,
    digits,
    fewer_rows,
    mat,
    pickled,
    published,
    read_files,
    scenes,
    targz,
    zipped,
)
from tests.data.sources.test_formats import FRAGMENT

SNIPPETS = [
    b"\0",
    b"\xff" * 8,
    b"\x80",
    b"cposix\nsystem\n(U\x09touch rantR",
    b"cnumpy\nndarray\n",
    b"r\xff\xff\xff\x7f",
    b"PK\x01\x02",
    b"../",
    b"\n",
    b"-1 ",
]

Edit = tuple[str, float, Any]
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.floats(0, 1), st.integers(1, 255)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 64)),
        st.tuples(st.just("truncate"), st.floats(0, 1), st.none()),
        st.tuples(st.just("insert"), st.floats(0, 1), st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=8))),
        # headers, tables of contents and checksums stand at the ends
        st.tuples(st.just("flip"), st.floats(0, 0.01), st.integers(1, 255)),
        st.tuples(st.just("flip"), st.floats(0.99, 1), st.integers(1, 255)),
    ),
    min_size=1,
    max_size=4,
)


def edited(blob: bytes, edits: list[Edit]) -> bytes:
    for kind, place, what in edits:
        at = min(int(place * len(blob)), max(0, len(blob) - 1))
        if kind == "flip" and blob:
            blob = blob[:at] + bytes([blob[at] ^ what]) + blob[at + 1 :]
        elif kind == "cut":
            blob = blob[:at] + blob[at + what :]
        elif kind == "truncate":
            blob = blob[:at]
        elif kind == "insert":
            blob = blob[:at] + what + blob[at:]
    return blob


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The current folder is empty and stays so; so does the one of temporary files."""
    for folder in ("here", "scratch"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    fewer_rows(monkeypatch)
    yield
    assert not [*tmp_path.rglob("*/*")]


def survives(read: Callable[[], Any], sound: Any, same: Callable[[Any, Any], bool] | None) -> None:
    """Reading raises InputError, or gives what the sound file gives (where a checksum protects it)."""
    try:
        found = read()
    except InputError as error:
        assert str(error).isprintable()  # noqa: PT017
        assert len(str(error)) < 1_000  # noqa: PT017
        return
    assert same is None or same(found, sound)


def same_splits(found: Any, sound: Any) -> bool:
    return found.keys() == sound.keys() and all(found[split].same(sound[split]) for split in sound)


@cache
def sound_splits(name: str) -> Any:
    return read_files(name, published(name))


CHECKED = [
    *(("mnist", file) for file in published("mnist")),
    ("cifar10", cifar10.ARCHIVE),
    ("svhn", svhn.TRAIN),
    ("celeba", celeba.IMAGES),
    ("lsun", "tower_train_lmdb.zip"),
]
UNCHECKED = [("celeba", celeba.ATTRIBUTES), ("celeba", celeba.PARTITION)]


@pytest.mark.parametrize(("name", "file"), CHECKED + UNCHECKED)
@examples(80)
@given(edits=EDITS)
def test_a_mutated_file(name: str, file: str, edits: list[Edit]) -> None:
    files = published(name)
    files[file] = edited(files[file], edits)
    same = same_splits if (name, file) in CHECKED else None
    survives(lambda: read_files(name, files), sound_splits(name), same)


@examples(80)
@given(member=st.sampled_from(sorted(cifar_members())), edits=EDITS)
def test_a_mutated_pickle_within_a_sound_archive(member: str, edits: list[Edit]) -> None:
    members = cifar_members()
    members[member] = edited(members[member], edits)
    survives(lambda: read_files("cifar10", {cifar10.ARCHIVE: targz(members)}), None, None)


@examples(300)
@given(edits=EDITS)
def test_a_mutated_pickle(edits: list[Edit]) -> None:
    survives(lambda: unpickle(edited(pickled(batch(1)), edits), "batch"), None, None)


@cache
def lmdb_files() -> tuple[bytes, bytes]:
    """Images, whose values have pages of their own; and a tree of three levels."""
    return database(scenes()), database({b"%0300d" % row: b"value %d" % row for row in range(300)})


@examples(150)
@given(which=st.integers(0, 1), edits=EDITS)
def test_a_mutated_database(which: int, edits: list[Edit]) -> None:
    content = edited(lmdb_files()[which], edits)
    if which == 0:
        survives(lambda: read_files("lsun", {"tower_train_lmdb/data.mdb": content}), None, None)
    survives(lambda: entries(content), None, None)


def entries(content: bytes) -> dict[bytes, bytes]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        return dict(Lmdb(file, "data.mdb").items())


def reread(content: bytes, read: Callable[[Path], Any]) -> Callable[[], Any]:
    """Reading `content` from a file."""

    def run() -> Any:
        handle, name = tempfile.mkstemp()
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            return read(path)
        finally:
            path.unlink()

    return run


@cache
def mat_files() -> tuple[bytes, bytes]:
    """Neither packed nor, so, with a checksum; of the second hardly anything is values."""
    return mat(digits(10), packed=False), mat({"x": np.arange(8, dtype=np.uint8).reshape(2, 2, 2)}, packed=False)


@examples(500)
@given(edits=EDITS)
def test_a_mutated_mat_file_that_is_not_packed(edits: list[Edit]) -> None:
    long, short = mat_files()
    survives(lambda: read_files("svhn", published("svhn") | {svhn.TRAIN: edited(long, edits)}), None, None)
    content = short[:HEADER] + edited(short[HEADER:], edits)
    survives(reread(content, lambda path: read_mat(path, Wanted("x", (2, 2, 2), 8))), None, None)


@examples(25)
@given(edits=EDITS)
def test_mutated_real_files(mirror: Path, edits: list[Edit]) -> None:
    for file, read in REAL.items():
        sound = real(mirror / file)
        expected = reread(sound, read)()
        survives(reread(edited(sound, edits), read), expected, np.array_equal)


REAL: dict[str, Callable[[Path], Any]] = {
    "mnist/t10k-labels-idx1-ubyte.gz": lambda path: read_idx(path, (10_000,)),
    "mnist/t10k-images-idx3-ubyte.gz": lambda path: read_idx(path, (10_000, 28, 28)),
    "svhn/test_32x32.mat": lambda path: read_mat(path, Wanted("X", (32, 32, 3, None), 1 << 30)),
}


@cache
def real(path: Path) -> bytes:
    return path.read_bytes()


@examples(60)
@given(edits=EDITS)
def test_a_mutated_real_database(mirror: Path, edits: list[Edit]) -> None:
    content = edited(real(mirror / "lsun/bedroom_train_lmdb/data.mdb"), edits)
    files: Files = {"bedroom_train_lmdb/data.mdb": content}
    survives(lambda: read_files("lsun", files, category="bedroom", images=6), None, None)


def members_of(path: Path) -> list[bytes]:
    with Zip(path, 1 << 20, 250_000) as archive:
        return [archive.read(name) for name in sorted(archive.members)]


@examples(40)
@given(edits=EDITS)
def test_a_mutated_zip_of_real_images(mirror: Path, edits: list[Edit]) -> None:
    sound = real_zip(mirror / "celeba/img_align_celeba.zip")
    survives(reread(edited(sound, edits), members_of), reread(sound, members_of)(), lambda a, b: a == b)


@cache
def real_zip(path: Path) -> bytes:
    """A few members of a large archive."""
    with Zip(path, 1 << 20, 250_000) as archive:
        return zipped({name: archive.read(name) for name in list(archive.members)[:5]})


@pytest.mark.skipif(not FRAGMENT.exists(), reason="the fragment of the published archive is not beside this repository")
@examples(60)
@given(edits=EDITS)
def test_a_mutated_pickle_written_by_python_2(edits: list[Edit]) -> None:
    survives(lambda: unpickle(edited(fragment(), edits), "test_batch"), None, None)


@cache
def fragment() -> bytes:
    return dict(tar_members(FRAGMENT, 64 << 20, 16))["cifar-10-batches-py/test_batch"]
