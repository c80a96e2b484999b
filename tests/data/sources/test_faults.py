"""Every fault of a published file ends in one line that names file, place and remedy, and leaves nothing behind."""

import gzip
import io
import re
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gen.data.sources import cifar10, lsun, svhn
from gen.errors import InputError
from tests.data.sources.faulty_celeba import Case, bomb, celeba_list_cases, celeba_zip_cases, half
from tests.data.sources.published import (
    Files,
    batch,
    cifar_members,
    database,
    digits,
    idx,
    mat,
    pickled,
    published,
    read,
    scenes,
    targz,
    write,
    zipped,
)

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def mnist_cases() -> list[Case]:
    sound = gzip.decompress(published("mnist")[IMAGES])
    return [
        ("mnist", file, content, message)
        for file, content, message in (
            (IMAGES, None, "No such file"),
            (IMAGES, b"", "magic ''"),
            (IMAGES, b"<html>not found</html>", "damaged: Not a gzipped file"),
            (IMAGES, half("mnist", IMAGES), "damaged: Compressed file ended"),
            (IMAGES, published("mnist")[IMAGES][:-8] + bytes(8), "damaged: CRC check failed"),
            (IMAGES, gzip.compress(b"\0\0\x09\x03" + sound[4:]), "byte 0 .*magic '00000903', expected '00000803'"),
            (IMAGES, gzip.compress(sound[:9]), "ends after 9 unpacked bytes, within its header of 16"),
            (IMAGES, gzip.compress(sound[:-1]), "ends after 4719 unpacked bytes, expected 4720"),
            (IMAGES, gzip.compress(sound + b"\0"), "more than the expected 4720"),
            (IMAGES, gzip.compress(sound + bytes(64 << 20)), "more than the expected 4720"),
            (IMAGES, idx(np.zeros((5, 28, 28), np.uint8)), r"byte 4 .*shape \(5, 28, 28\), expected \(6, 28, 28\)"),
            (IMAGES, idx(np.zeros((6, 32, 32), np.uint8)), r"shape \(6, 32, 32\), expected \(6, 28, 28\)"),
            (LABELS, idx(np.array([1, 2, 10], np.uint8)), "row 2: label 10, expected 0 to 9"),
            (LABELS, idx(np.zeros((3, 1), np.uint8)), "magic"),
        )
    ]


def _info(name: str, kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def _sparse() -> bytes:
    """A member of 512 bytes that unpacks to a hundred million, as GNU's sparse files of old."""
    header = bytearray(_info("x", tarfile.GNUTYPE_SPARSE, size=512).tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (99_999_488, 512)
    header[483:495] = b"%011o\0" % 100_000_000
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(512 + 1024))


def _with_holes(told: dict[str, str]) -> tarfile.TarInfo:
    """A sparse member of a PAX archive."""
    info = _info("x", tarfile.REGTYPE)
    info.pax_headers = {f"GNU.sparse.{name}": value for name, value in told.items()}
    return info


def cifar_cases() -> list[Case]:
    folder = "cifar-10-batches-py/"

    def changed(member: str, content: Any) -> bytes:
        return targz({**cifar_members(), folder + member: content if isinstance(content, bytes) else pickled(content)})

    without = cifar_members()
    del without[f"{folder}data_batch_3"], without[f"{folder}batches.meta"]
    rows = batch(2)
    doctored = b"\x80\x02cposix\nsystem\n(U\x0etouch pwned.txttR."
    return [
        ("cifar10", cifar10.ARCHIVE, content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "damaged: "),
            (b"BZh9 is another format", "damaged: Not a gzipped file"),
            (half("cifar10", cifar10.ARCHIVE), "damaged: "),
            (gzip.compress(b"not a tar" * 200), "damaged: "),
            (targz(without), "members missing: data_batch_3, batches.meta"),
            (targz(cifar_members(), _info("../evil", tarfile.REGTYPE)), r"'\.\./evil': its name leads out"),
            (targz(cifar_members(), _info("/etc/passwd", tarfile.REGTYPE)), "'/etc/passwd': its name leads out"),
            (targz(cifar_members(), _info(f"{folder}x", tarfile.SYMTYPE, "/etc/passwd")), "a link, a device or sparse"),
            (targz(cifar_members(), _info(f"{folder}x", tarfile.LNKTYPE, "y")), "a link, a device or sparse"),
            (targz(cifar_members(), _info(f"{folder}x", tarfile.CHRTYPE)), "a link, a device or sparse"),
            (targz(cifar_members(), _info(f"{folder}x", tarfile.CONTTYPE)), "a link, a device or sparse"),
            (_sparse(), "'x': a link, a device or sparse"),
            (targz(cifar_members(), _with_holes({"map": "0,0", "size": "9999999"})), "a link, a device or sparse"),
            (targz(cifar_members(), _with_holes({"size": "9999999", "numblocks": "0"})), "a link, a device or sparse"),
            (gzip.compress(_info("x", tarfile.GNUTYPE_LONGLINK).tobuf() * 600), "damaged: maximum recursion depth"),
            (gzip.compress(_info("x", tarfile.REGTYPE, size=1 << 40).tobuf()), "unpacks to more than the 1048576"),
            (targz(cifar_members(), *[_info(f"{n}", tarfile.REGTYPE) for n in range(40)]), "more than 32 members"),
            (targz({**cifar_members(), "big": bytes(2 << 20)}), "unpacks to more than the 1048576 bytes"),
            (targz(cifar_members())[:-8] + bytes(8), "damaged: CRC check failed"),
            (changed("data_batch_2", doctored), "member .*data_batch_2: .*it names posix.system, which is not allowed"),
            (changed("data_batch_2", b""), "member .*data_batch_2: not a pickle"),
            (changed("data_batch_2", pickled(rows)[:-30]), "member .*data_batch_2: not a pickle"),
            (changed("data_batch_2", [1, 2]), "expected a dict with data, labels and filenames"),
            (changed("data_batch_2", {b"data": rows[b"data"]}), "expected a dict with data, labels and filenames"),
            (changed("data_batch_2", batch(2, rows=3)), r"uint8 of shape \(3, 3072\), expected .* \(2, 3072\)"),
            (changed("data_batch_2", {**rows, b"data": b"pixels"}), "data is bytes, expected uint8"),
            (changed("data_batch_2", {**rows, b"data": np.zeros((2, 3072), "<f4")}), "data is float32 of shape"),
            (changed("data_batch_2", {**rows, b"labels": [1]}), "expected a list of 2 labels"),
            (changed("data_batch_2", {**rows, b"labels": [1, 10]}), "row 1: a label is not a number from 0 to 9"),
            (changed("data_batch_2", {**rows, b"labels": [True, 1]}), "row 0: a label is not a number"),
            (changed("data_batch_2", {**rows, b"filenames": [b"a"]}), "expected a list of 2 file names"),
            (changed("data_batch_2", {**rows, b"filenames": [b"a", b"\xff"]}), "a file name is not plain text"),
            (changed("batches.meta", {b"label_names": [b"cat"]}), "batches.meta: expected the label names airplane"),
            (_twice(f"{folder}data_batch_1"), "data_batch_1: occurs twice"),
        )
    ]


def _twice(member: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for _ in range(2):
            info = tarfile.TarInfo(member)
            info.size = len(content := cifar_members()[member])
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def svhn_cases() -> list[Case]:
    sound = published("svhn")[svhn.TRAIN]
    ten = digits(10)
    other_labels = ten["y"].copy()
    other_labels[7] = 11
    stored, shape = mat(ten, packed=False), struct.pack("<II", 5, 16)
    return [
        ("svhn", svhn.TRAIN, content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "ends after 0 bytes, within its header of 128"),
            (sound[:5000], "damaged: the file ends"),
            (sound[:128], "no array 'X'"),
            (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", "byte 124: '0002494d', expected '0001494d'"),
            (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI", "byte 124: '01004d49'"),
            (sound[:128] + b"\x07" + sound[129:], "byte 128: element of type 7, expected an array"),
            (sound[:-40] + bytes(40), "damaged: "),
            (stored.replace(shape, struct.pack("<II", 5, 13), 1), "byte 128: a shape of 13 bytes, expected 4 for each"),
            (mat({"X": ten["X"]}), "no array 'y'"),
            (mat({"y": ten["y"]}), "no array 'X'"),
            (mat({**ten, "X": ten["X"].transpose(3, 0, 1, 2)}), "'X': shape 10x32x32x3, expected 32x32x3xn"),
            (mat({**ten, "X": ten["X"][..., 0]}), "'X': shape 32x32x3, expected 32x32x3xn"),
            (mat({**ten, "X": ten["X"].astype(float)}), "array 'X': float64, expected uint8"),
            (mat({**ten, "X": "text"}), "'X': class 4, expected real numbers"),
            (mat({**ten, "X": {"a": 1}}), "'X': class 2, expected real numbers"),
            (mat({**ten, "y": ten["y"] * 1j}), "'y': class 6, expected real numbers"),
            (mat({**ten, "y": ten["y"][:9]}), "10 images in X, but 9 labels in y"),
            (mat({**ten, "y": other_labels}), r"row 7: label 11.0, expected 1 to 10"),
            (mat({**ten, "y": ten["y"] - 0.5}), r"row 0: label 0.5, expected 1 to 10"),
            (mat({**ten, "y": ten["y"] - 1}), r"row 0: label 0.0, expected 1 to 10"),
            (mat({**ten, "X": np.zeros((32, 32, 3, 100_001), np.uint8)}), "x100001, expected .* of at most"),
        )
    ]


def lsun_cases() -> list[Case]:
    sound = database(scenes())

    def packed(content: bytes) -> bytes:
        return zipped({"tower_train_lmdb/data.mdb": content}, zipfile.ZIP_DEFLATED)

    wrong_version = sound.replace(struct.pack("<II", 0xBEEFC0DE, 1), struct.pack("<II", 0xBEEFC0DE, 2))
    keys = sorted(scenes())
    third = {**scenes(), keys[2]: scenes()[keys[2]][:2000]}
    return [
        ("lsun", "tower_train_lmdb.zip", content, message)
        for content, message in (
            (None, "No such file"),
            (b"", "not a whole zip archive"),
            (half("lsun", "tower_train_lmdb.zip"), "not a whole zip archive"),
            (zipped({"tower_train_lmdb/lock.mdb": b""}), "member 'tower_train_lmdb/data.mdb': missing"),
            (zipped({"../data.mdb": sound}), "its name leads out"),
            (packed(b""), "data.mdb: ends within the 136 bytes at byte 16"),
            (packed(b"SQLite format 3\0" * 500), "byte 16: magic .*: not an LMDB data file"),
            (packed(wrong_version), "version 2, expected beefc0de, 1"),
            (packed(sound[: len(sound) // 2]), "its meta page says .* pages of 4096: truncated"),
            (packed(database({})), "0 images, but `images` asks for 5"),
            (packed(database(dict(list(scenes().items())[:4]))), "4 images, but `images` asks for 5"),
            (packed(database(third)), f"data.mdb: key {keys[2].decode()}: not a whole picture"),
            (packed(database({**scenes(), b"!": b"text"})), "data.mdb: key !: not a whole picture"),
            (packed(database({**scenes(), b"!": bomb(60_000, 60_000)})), "key !: a decompression bomb"),
            (packed(database({**scenes(), b"!": bomb(3_000, 2_000)})), "key !: a decompression bomb .3000x2000"),
            (packed(bytes(8 << 20)), "a decompression bomb"),
        )
    ]


CASES = [*mnist_cases(), *cifar_cases(), *svhn_cases(), *celeba_zip_cases(), *celeba_list_cases(), *lsun_cases()]


def _tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def fault(name: str, raw: Path, **changes: Any) -> str:
    """The one line that reading a folder ends in."""
    before = _tree(raw.parent)
    with pytest.raises(InputError) as caught:
        read(name, raw, **changes)
    line = str(caught.value)
    assert _tree(raw.parent) == before
    assert len(line) < 500
    assert "\n" not in line
    return line


@pytest.mark.usefixtures("few", "scratch")
@pytest.mark.parametrize("case", CASES, ids=[f"{name}-{message[:40]}" for name, _, _, message in CASES])
def test_fault(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, file, content, message = case
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10, "UNPACKED", 1 << 20)
    files: Files = published(name)
    if content is None:
        del files[file]
    else:
        files[file] = content
    line = fault(name, write(files, tmp_path / name))
    assert re.search(message, line), line
    assert f"{tmp_path / name}" in line
    assert line.endswith(f"dvc repro -s -f fetch@{name}")


def test_svhn_rows_beyond_the_last_are_a_matter_of_params(tmp_path: Path) -> None:
    line = fault("svhn", write(published("svhn"), tmp_path / "svhn"), validation_rows=[63_257, 73_256])
    assert "10 rows, so validation_rows 63257 to 73256 lie beyond the last; give rows up to 9" in line
    assert "fetch" not in line


def test_lsun_without_room_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    usage = shutil.disk_usage(scratch)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    line = fault("lsun", write(published("lsun"), tmp_path / "lsun"))
    assert re.search(rf"needs \d+ bytes in {scratch}, where 0 are free; set TMPDIR", line)


def test_lsun_oversize_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsun, "LARGEST", 10_000)
    assert "bytes, expected at most 10000" in fault("lsun", write(published("lsun"), tmp_path / "lsun"))


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    raw = write({"train_32x32.mat/x": b""}, tmp_path / "svhn")
    assert "Is a directory" in fault("svhn", raw)
