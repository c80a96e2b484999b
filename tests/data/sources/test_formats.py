"""The readers of formats against other implementations, and what the restricted unpickler will not do."""

import gzip
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from gen.data.formats.archives import Zip, tar_members
from gen.data.formats.idx import read_idx
from gen.data.formats.mat5 import Wanted, read_mat
from gen.data.formats.restricted_pickle import unpickle
from gen.data.sources import cifar10
from gen.errors import InputError
from gen.settings import check
from tests.data.sources.published import mat, pickled, zipped

FRAGMENT = Path(__file__).parents[4] / "shared/data/cifar10/cifar-10-python-partial.tar.gz"


@pytest.mark.parametrize("kind", ["u1", "<i4", "<i8", "<f4", "<f8"])
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_arrays_are_unpickled_as_numpy_unpickles_them(kind: str, core: bytes) -> None:
    written = {b"a": np.arange(6).reshape(2, 3).astype(kind), b"b": [1, b"x", None], b"c": (True, -5)}
    blob = pickled(written, core)
    found, expected = unpickle(blob, "blob"), pickle.loads(blob, encoding="bytes")  # noqa: S301
    assert np.array_equal(found.pop(b"a"), expected[b"a"])
    assert found == {b"b": [1, b"x", None], b"c": (True, -5)}
    assert expected[b"a"].dtype == kind


def test_an_array_in_column_order() -> None:
    blob = pickled(np.arange(6, dtype=np.uint8).reshape(2, 3)).replace(b"b\x89T", b"b\x88T")
    expected = pickle.loads(blob, encoding="bytes")  # noqa: S301
    assert np.array_equal(unpickle(blob, "blob"), expected)
    assert expected.flags.f_contiguous


def call(name: str, *arguments: bytes) -> bytes:
    module, function = name.rsplit(".", 1)
    pushed = b"".join(b"U" + bytes([len(argument)]) + argument for argument in arguments)
    return f"c{module}\n{function}\n(".encode() + pushed + b"tR"


TOUCH = b"touch ran; echo"
DOCTORED = {
    "system": b"\x80\x02" + call("os.system", TOUCH) + b".",
    "within a dict": b"\x80\x02}(U\x04data" + call("posix.system", TOUCH) + b"u.",
    "eval": b"\x80\x02" + call("builtins.eval", b"open('ran','w')") + b".",
    "python 2 eval": b"\x80\x02" + call("__builtin__.eval", b"open('ran','w')") + b".",
    "numpy's own loaders": b"\x80\x02" + call("numpy.load", b"ran") + b".",
    "numpy's test runner": b"\x80\x02" + call("numpy.testing._private.utils.runstring", b"open('ran','w')", b"") + b".",
    "instance": b"(iposix\nsystem\n.",
    "object": b"(cposix\nsystem\nU\x09touch rano.",
    "by the stack": b"\x80\x04\x8c\x05posix\x8c\x06system\x93(\x8c\x09touch rantR.",
    "new object": b"\x80\x02cposix\nsystem\n(U\x09touch rant\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"\x80\x02U\x09touch ranQ.",
    "a long name": b"\x80\x02c" + b"posix\x1b[2J" * 1_000 + b"\nsystem\n.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x16ndarray.__class__.mro\x93.",
    "changes a name": b"\x80\x02cnumpy\nndarray\nN}(U\x01aK\x01u\x86b.",
    "calls the made": b"\x80\x02cnumpy\nndarray\n(tR(tR.",
    "object dtype": pickled(0)[:-6] + b"cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01(K\x01tcnumpy\ndtype\n(U\x01OtR"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89U\x08AAAAAAAAtb.",
    "array of another size": pickled(np.zeros(4, np.uint8)).replace(b"T\x04\0\0\0\0\0\0\0", b"T\x03\0\0\0\0\0\0"),
    "a dtype in place of an array": b"\x80\x02}(U\x01acnumpy\ndtype\n(U\x02u1tRu.",
    "memory by a memo": b"\x80\x02U\x01ar\xff\xff\xff\x7f.",
    "memory by a length": b"\x80\x02T\xff\xff\xff\x7fa.",
    "negative length": b"\x80\x02T\xff\xff\xff\xffa.",
    "deep tuples as a key": b"\x80\x02}(N" + b"\x85" * 200_000 + b"Nu.",
    "a key that takes for ever to hash": b"\x80\x02}(N" + b"q\0h\0\x86" * 60 + b"Nu.",
    "the same, hidden": b"\x80\x02}(N" + b"(eq\0h\0\x86" * 60 + b"Nu.",
    "more steps than rows": b"\x80\x02](" + b"N" * 1_000_000 + b"e.",
    "a shape that takes for ever": pickled(np.zeros(1, np.uint8)).replace(
        b"(J\1\0\0\0t", b"(" + b"J\xff\xff\xff\x7f" * 100_000 + b"t"
    ),
    "empty": b"",
    "stops early": b"\x80\x02}(U\x01aK\x01u",
    "nothing on the stack": b"\x80\x02.",
    "newer protocol": pickle.dumps({"a": 1}, protocol=5),
    "text": b"<html>",
}


@pytest.mark.parametrize("name", DOCTORED)
def test_a_doctored_pickle_runs_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"^file: member: not a pickle of plain arrays: [ -~]{1,300}$"):
        unpickle(DOCTORED[name], "file: member")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20
    assert not [*tmp_path.iterdir()]


def test_some_of_them_would_run_without_the_restriction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(DOCTORED["system"], encoding="latin1")  # noqa: S301
    assert (tmp_path / "ran").exists()


@pytest.mark.skipif(not FRAGMENT.exists(), reason="the fragment of the published archive is not beside this repository")
def test_the_published_fragment_unpickles_and_is_refused_as_a_whole(tmp_path: Path) -> None:
    """Written by Python 2: 4,000 rows of the first batch, fewer of the others."""
    members = dict(tar_members(FRAGMENT, 64 << 20, 16))
    rows = 0
    for number in range(1, 6):
        content = unpickle(members[f"cifar-10-batches-py/data_batch_{number}"], "fragment")
        assert content[b"data"].shape == (len(content[b"labels"]), 3072)
        assert len(content[b"filenames"]) == len(content[b"labels"])
        rows += len(content[b"labels"])
        if number == 1:
            assert content[b"labels"][0] == 6
    assert rows > 6_000
    meta = unpickle(members["cifar-10-batches-py/batches.meta"], "fragment")
    assert tuple(name.decode() for name in meta[b"label_names"]) == cifar10.CLASSES
    (tmp_path / cifar10.ARCHIVE).symlink_to(FRAGMENT)
    config = check(cifar10.Config, {"validation": 0}, "cifar10")
    with pytest.raises(InputError, match=r"data_batch_1: data is uint8 of shape \(4000, 3072\), expected"):
        next(cifar10.read(tmp_path, config))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_arrays_of_a_mat_file_are_as_scipy_reads_them(kind: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    values = np.random.default_rng(0).integers(0, 100, (5, 4, 3)).astype(kind)
    savemat(path, {"first": "text", "s": {"a": 1}, "x": values, "long_name": values[0]}, do_compression=packed)
    for name, shape in (("x", (5, 4, None)), ("long_name", (4, 3))):
        found = read_mat(path, Wanted(name, shape, 1_000))
        assert found.dtype == kind
        assert np.array_equal(found, loadmat(path)[name])


def test_a_mat_file_cannot_ask_for_more_than_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mat({"x": np.zeros((1, 64_000_000), np.uint8)}))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(InputError, match="expected 1xn of at most 1000"):
        read_mat(path, Wanted("x", (1, None), 1_000))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_zip_member_that_unpacks_to_far_more_is_a_bomb(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a": bytes(16 << 20)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match=r"'a': .* unpack to 16777216: a decompression bomb"):
        Zip(tmp_path / "a.zip", 1 << 30, 10)


def test_a_zip_of_too_many_members_and_one_of_a_name_twice(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(zipped({str(n): b"" for n in range(11)}))
    with pytest.raises(InputError, match="11 members, expected at most 10"):
        Zip(tmp_path / "many.zip", 10, 10)
    (tmp_path / "twice.zip").write_bytes(zipped({"a": b"", "b": b""}).replace(b"b", b"a"))
    with pytest.raises(InputError, match="'a': occurs twice"):
        Zip(tmp_path / "twice.zip", 10, 10)


def test_a_tar_that_unpacks_without_end_is_stopped(tmp_path: Path) -> None:
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 40
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(64 << 20)))
    tracemalloc.start()
    with pytest.raises(InputError, match="unpacks to more than the 8388608 bytes"):
        [*tar_members(path, 8 << 20, 10)]
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def headers(kind: bytes, size: int, content: bytes = b"") -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + content


def holes() -> bytes:
    """An old sparse header that says it goes on, and goes on for 64 MiB: half a million holes in 200 KB."""
    first = bytearray(headers(tarfile.GNUTYPE_SPARSE, 0))
    first[386:410] = b"%011o\0%011o\0" % (1, 1)
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    return bytes(first) + (b"%011o\0%011o\0" % (1, 1) * 21 + b"\1" + bytes(7)) * (1 << 17)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            headers(tarfile.XHDTYPE, 64 << 20, bytes(64 << 20)),
            "'x': a header of 67108864 bytes, expected at most 1048576",
        ),
        (headers(tarfile.GNUTYPE_LONGNAME, 64 << 20, b"a" * (64 << 20)), "'x': a header of 67108864 bytes"),
        (holes(), "'x': a link, a device or sparse"),
    ],
)
def test_a_tar_whose_headers_ask_for_memory(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(content, 1))
    tracemalloc.start()
    with pytest.raises(InputError, match=line):
        [*tar_members(path, 256 << 20, 10)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_mat_file_that_unpacks_to_far_more_is_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mat({"x": np.zeros((1, 64_000_000), np.uint8)}))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"array 'x': \d+ bytes unpack to 64000000: a decompression bomb"):
        read_mat(path, Wanted("x", (1, None), 64_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_an_idx_file_that_is_longer_than_its_content(tmp_path: Path) -> None:
    """Gzip headers, one after the other, of members that hold nothing."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"") * 100_000)
    with pytest.raises(InputError, match="2000000 bytes, which the expected 800 unpacked bytes do not need"):
        read_idx(path, (1, 28, 28))


def test_a_zip_whose_directory_asks_for_memory(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(zipped({f"{n:05d}": b"" for n in range(60_000)}))
    tracemalloc.start()
    with pytest.raises(InputError, match="a directory of 3060000 bytes, which at most 10 members do not need"):
        Zip(tmp_path / "many.zip", 10, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    with Zip(tmp_path / "many.zip", 10, 60_000) as archive:
        assert len(archive.members) == 60_000
    (tmp_path / "more.zip").write_bytes(zipped({f"{n:05d}": b"" for n in range(66_000)}))
    with pytest.raises(InputError, match="a directory of 3366000 bytes"):
        Zip(tmp_path / "more.zip", 10, 10)
