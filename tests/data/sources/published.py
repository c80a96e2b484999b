"""A few rows of every published format, written by other code than the one that reads them, and how to read them."""

import gzip
import io
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy as np
import pytest
from numpy import ndarray
from PIL import Image
from scipy.io import savemat

from gen.data.source import Gathers, load_source
from gen.data.sources import celeba, cifar10, mnist
from gen.settings import check

Files = dict[str, bytes]
"""Content by path within the raw folder."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "digits": {"resolution": None, "validation": 200, "test": 297},
    "points": {"shape": "ring8", "rows": 8, "validation": 4, "test": 4, "seed": 0},
    "mnist": {"validation": 2},
    "cifar10": {"validation": 3},
    "svhn": {"validation_rows": [2, 4]},
    "celeba": {"crop": 178, "resolution": 16, "filter": "bicubic"},
    "lsun": {"category": "tower", "images": 5, "validation": 1, "test": 1, "resolution": 16, "filter": "bicubic"},
    "images": {"folder": "mine", "csv": None, "resolution": 8, "channels": 3, "validation": 0.3, "test": 0.3},
    "pairs": {"folder": "mine", "resolution": 8},
    "domains": {"folder": "mine", "resolution": 8, "validation": 0.3},
}
"""Source -> its section of params.yaml, of a few rows where it chooses them."""


def settings(name: str) -> dict[str, Any]:
    """The section of a source, for the tests of all sources."""
    assert name in SETTINGS, f"tests/data/sources/published.py: add settings of {name!r}, for the tests of all sources"
    return dict(SETTINGS[name])


def fewer_rows(patch: pytest.MonkeyPatch) -> None:
    """Let the two formats of fixed length be a few rows long."""
    patch.setattr(mnist, "TRAIN", 6)
    patch.setattr(mnist, "TEST", 3)
    patch.setattr(cifar10, "BATCH", 2)


def write(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Split(NamedTuple):
    images: ndarray
    labels: ndarray
    ids: list[str]
    extras: dict[str, ndarray]

    def same(self, other: "Split") -> bool:
        arrays = zip((self.images, self.labels), (other.images, other.labels), strict=True)
        return (
            all(np.array_equal(a, b) for a, b in arrays)
            and self.ids == other.ids
            and self.extras.keys() == other.extras.keys()
            and all(np.array_equal(self.extras[name], other.extras[name]) for name in self.extras)
        )


def read(name: str, raw: Path, **changes: Any) -> dict[str, Split]:
    """Everything a source yields, joined."""
    source = load_source(name)
    config = check(source.Config, settings(name) | changes, name)
    chunks: dict[str, list[Any]] = {}
    for chunk in source.read(raw, config):
        chunks.setdefault(chunk.split, []).append(chunk)
    return {
        split: Split(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.labels for part in parts]),
            [id_ for part in parts for id_ in part.ids],
            {key: np.concatenate([part.extras[key] for part in parts]) for key in parts[0].extras},
        )
        for split, parts in chunks.items()
    }


def read_files(name: str, files: Files, **changes: Any) -> dict[str, Split]:
    with tempfile.TemporaryDirectory() as folder:
        return read(name, write(files, Path(folder) / name), **changes)


@cache
def _published(name: str) -> Files:
    written = {"mnist": _mnist, "cifar10": _cifar10, "svhn": _svhn, "celeba": _celeba, "lsun": _lsun}
    written |= {"images": _images, "pairs": _pairs, "domains": _domains}
    source = load_source(name)
    if not isinstance(source, Gathers) and not source.files(check(source.Config, settings(name), name)):
        return {}
    assert name in written, f"tests/data/sources/published.py: add files of {name!r} to _published"
    return written[name]()


def published(name: str) -> Files:
    """Sound files, fresh to be damaged."""
    return dict(_published(name))


def _pixels(*shape: int) -> ndarray:
    return np.random.default_rng(list(shape)).integers(0, 256, shape, dtype=np.uint8)


def idx(values: ndarray) -> bytes:
    return gzip.compress(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def _mnist() -> Files:
    return {
        f"{prefix}-{kind}-ubyte.gz": idx(values)
        for prefix, rows in (("train", 6), ("t10k", 3))
        for kind, values in (("images-idx3", _pixels(rows, 28, 28)), ("labels-idx1", np.arange(rows, dtype=np.uint8)))
    }


def py2(value: Any, core: bytes = b"numpy.core") -> bytes:  # noqa: PLR0911
    """Opcodes that put `value` on the stack, as Python 2's protocol 2 has them."""
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"J" + struct.pack("<i", value)
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case tuple():
            return b"(" + b"".join(py2(item, core) for item in value) + b"t"
        case list():
            return b"](" + b"".join(py2(item, core) for item in value) + b"e"
        case dict():
            return b"}(" + b"".join(py2(key, core) + py2(item, core) for key, item in value.items()) + b"u"
        case ndarray():
            kind = value.dtype.str.encode()
            dtype = (
                b"cnumpy\ndtype\n"
                + py2((kind[1:], 0, 1))
                + b"R"
                + py2((3, kind[:1], None, None, None, -1, -1, 0))
                + b"b"
            )
            made = b"c" + core + b".multiarray\n_reconstruct\n(cnumpy\nndarray\n" + py2((0,)) + py2(b"b") + b"tR"
            return made + b"(" + py2(1) + py2(value.shape) + dtype + py2(False) + py2(value.tobytes()) + b"tb"
    raise TypeError(type(value))


def pickled(value: Any, core: bytes = b"numpy.core") -> bytes:
    return b"\x80\x02" + py2(value, core) + b"."


def batch(number: int, rows: int = 2) -> dict[bytes, Any]:
    return {
        b"labels": [(number + row) % 10 for row in range(rows)],
        b"data": _pixels(number + 1, rows, 3072)[0],
        b"filenames": [b"cat_s_%06d.png" % row for row in range(rows)],
    }


def cifar_members() -> Files:
    names = [name.encode() for name in cifar10.CLASSES]
    members = {"batches.meta": pickled({b"label_names": names, b"num_vis": 3072}), "readme.html": b"<html></html>"}
    for number in (4, 1, 5, 3, 2):  # in no order, as published
        members[f"data_batch_{number}"] = pickled(batch(number))
    members["test_batch"] = pickled(batch(6))
    return {f"cifar-10-batches-py/{name}": content for name, content in members.items()}


def targz(members: Files, *others: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-py")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return packed.getvalue()


def _cifar10() -> Files:
    return {cifar10.ARCHIVE: targz(cifar_members())}


def mat(values: Mapping[str, Any], packed: bool = True) -> bytes:
    file = io.BytesIO()
    savemat(file, dict(values), do_compression=packed)
    return file.getvalue()


def digits(rows: int) -> dict[str, ndarray]:
    return {"X": _pixels(32, 32, 3, rows), "y": np.arange(1, rows + 1, dtype=np.float64)[:, None]}


def _svhn() -> Files:
    return {"train_32x32.mat": mat(digits(10)), "test_32x32.mat": mat(digits(4))}


def picture(seed: int, size: tuple[int, int], kind: str = "JPEG") -> bytes:
    """A smooth picture, so that JPEG keeps it nearly as it is."""
    small = Image.fromarray(_pixels(seed + 1, 8, 8, 3)[0])
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(file, kind, quality=95)
    return file.getvalue()


def zipped(members: Files, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


CELEBA_PARTS = (0, 0, 1, 0, 2, 1)
"""Not in a row, so that their order matters."""


def celeba_members() -> Files:
    pictures = {f"img_align_celeba/{row:06d}.jpg": picture(row, (178, 218)) for row in range(1, 7)}
    return {"img_align_celeba/": b"", **pictures}


def celeba_attributes() -> list[str]:
    signs = np.where(_pixels(6, 40) < 128, -1, 1)
    rows = [f"{row:06d}.jpg " + " ".join(f"{sign:2d}" for sign in signs[row - 1]) for row in range(1, 7)]
    return ["6", " ".join(celeba.NAMES) + " ", *rows]


def lines(texts: list[str]) -> bytes:
    return "".join(f"{text}\r\n" for text in texts).encode()


def _celeba() -> Files:
    return {
        "img_align_celeba.zip": zipped(celeba_members()),
        "list_attr_celeba.txt": lines(celeba_attributes()),
        "list_eval_partition.txt": lines([f"{row:06d}.jpg {part}" for row, part in enumerate(CELEBA_PARTS, 1)]),
    }


def database(entries: Mapping[bytes, bytes]) -> bytes:
    """An LMDB data file, written by the lmdb library."""
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=64 << 20) as environment, environment.begin(write=True) as transaction:
            for key, value in entries.items():
                transaction.put(key, value)
        return (Path(folder) / "data.mdb").read_bytes()


def scenes() -> dict[bytes, bytes]:
    return {b"%040x" % (row * 7919): picture(row, (256 + 8 * row, 256), "WEBP") for row in range(6)}


def _lsun() -> Files:
    members = {"tower_train_lmdb/": b"", "tower_train_lmdb/data.mdb": database(scenes())}
    return {"tower_train_lmdb.zip": zipped({**members, "tower_train_lmdb/lock.mdb": bytes(8192)}, zipfile.ZIP_DEFLATED)}


def _images() -> Files:
    """Nine pictures of three classes, as `gather` leaves them."""
    members = {f"{'abc'[row % 3]}/{row}.jpg": picture(row, (20, 16)) for row in range(9)}
    listed = "path,label\n" + "".join(f"{name},{name[0]}\n" for name in members)
    return {"pictures.zip": zipped(members), "labels.csv": listed.encode()}


def _pairs() -> Files:
    splits = ("train", "train", "val", "test")
    pictures = {f"{split}/{row}.jpg": picture(row, (40, 20)) for row, split in enumerate(splits)}
    return {"pairs.zip": zipped(pictures)}


def _domains() -> Files:
    folders = ("trainA", "trainA", "trainA", "trainB", "trainB", "trainB", "testA", "testB")
    pictures = {f"{folder}/{row}.jpg": picture(row, (24, 20)) for row, folder in enumerate(folders)}
    return {"domains.zip": zipped(pictures)}
