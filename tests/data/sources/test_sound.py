"""Sound files give the rows that were written."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen.data.source import Chunk, Entry, Gathers, check_chunk, load_source, source_names
from gen.data.sources import celeba, cifar10, lsun, mnist, svhn
from gen.errors import InputError
from gen.settings import check
from tests.data.sources.published import (
    CELEBA_PARTS,
    SETTINGS,
    batch,
    celeba_members,
    database,
    digits,
    published,
    read,
    read_files,
    scenes,
    settings,
    write,
)

NAMES = source_names()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_as_described(name: str, tmp_path: Path) -> None:
    source, raw = load_source(name), write(published(name), tmp_path / name)
    config = check(source.Config, settings(name), name)
    description, classes = source.describe(config), Entry(name, config).classes(raw)
    for split, rows in read(name, raw).items():
        check_chunk(Chunk(split, *rows), description, max(1, len(classes)), name)
        assert rows.labels.dtype == np.int64


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", NAMES)
def test_the_files_read_are_those_it_names(name: str) -> None:
    source = load_source(name)
    named = source.files(check(source.Config, settings(name), name))
    assert isinstance(source, Gathers) or {file.path for file in named} == published(name).keys()
    assert all(file.url or file.remedy for file in named)


@pytest.mark.usefixtures("few")
def test_mnist() -> None:
    found = read_files("mnist", published("mnist"))
    assert found["train"].labels.tolist() == [0, 1, 2, 3]
    assert found["validation"].ids == ["train/4", "train/5"]
    assert found["test"].labels.tolist() == [0, 1, 2]
    assert found["train"].images.shape == (4, 1, 28, 28)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("validation", [0, 1, 3, 9])
def test_cifar10_in_the_batches_order_with_the_last_rows_held_out(validation: int) -> None:
    found = read_files("cifar10", published("cifar10"), validation=validation)
    batches = [batch(number) for number in range(1, 6)]
    splits = [found[split] for split in ("train", "validation") if split in found]
    images = np.concatenate([split.images for split in splits])
    assert np.array_equal(images, np.concatenate([b[b"data"] for b in batches]).reshape(10, 3, 32, 32))
    assert [label for split in splits for label in split.labels] == [label for b in batches for label in b[b"labels"]]
    assert len(found["train"].labels) == 10 - validation
    assert found["test"].ids == ["cat_s_000000.png", "cat_s_000001.png"]


def test_svhn_keeps_pixels_upright_and_calls_ten_zero() -> None:
    found = read_files("svhn", published("svhn"))
    written = digits(10)
    assert found["validation"].labels.tolist() == [3, 4, 5]
    assert found["train"].labels.tolist() == [1, 2, 6, 7, 8, 9, 0]
    assert np.array_equal(found["validation"].images[1], written["X"][..., 3].transpose(2, 0, 1))


def test_celeba_crops_the_centre_and_keeps_attributes_beside_images() -> None:
    found = read_files("celeba", published("celeba"))
    assert [len(found[split].labels) for split in ("train", "validation", "test")] == [3, 2, 1]
    assert found["validation"].ids == [f"{row:06d}.jpg" for row, part in enumerate(CELEBA_PARTS, 1) if part == 1]
    image = Image.open(io.BytesIO(celeba_members()["img_align_celeba/000005.jpg"]))
    expected = np.asarray(image.crop((0, 20, 178, 198)).resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(found["test"].images[0], expected)
    written = published("celeba")["list_attr_celeba.txt"].decode().splitlines()[2 + 4].split()[1:]
    assert [*found["test"].extras] == [*celeba.NAMES]
    assert [found["test"].extras[name].tolist() for name in celeba.NAMES] == [[sign == "1"] for sign in written]


def test_lsun_takes_the_first_keys_from_the_archive_or_unpacked(tmp_path: Path, scratch: Path) -> None:
    found = read_files("lsun", published("lsun"))
    keys = [key.decode() for key in sorted(scenes())]
    assert [found[split].ids for split in ("train", "validation", "test")] == [keys[:3], keys[3:4], keys[4:5]]
    image = Image.open(io.BytesIO(scenes()[keys[4].encode()])).convert("RGB")
    left = (image.width - 256) // 2
    square = image.crop((left, 0, left + 256, 256)).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(found["test"].images[0], np.asarray(square).transpose(2, 0, 1))
    unpacked = write({"tower_train_lmdb/data.mdb": database(scenes())}, tmp_path / "lsun")
    assert read("lsun", unpacked)["train"].same(found["train"])
    assert [*unpacked.rglob("*")] == [unpacked / "tower_train_lmdb", unpacked / "tower_train_lmdb/data.mdb"]


def test_lsun_without_held_out_splits() -> None:
    assert read_files("lsun", published("lsun"), validation=0, test=0).keys() == {"train"}


@pytest.mark.parametrize(
    ("name", "changes", "line"),
    [
        ("mnist", {"validation": 60_000}, "mnist.validation: input should be less than 60000"),
        ("svhn", {"validation_rows": [5, 4]}, "the first and the last row, in this order"),
        ("svhn", {"validation_rows": [-1, 4]}, "greater than or equal to 0"),
        ("celeba", {"resolution": 200}, "less than or equal to 178"),
        ("celeba", {"crop": 32, "resolution": 64}, "resolution must not exceed crop"),
        ("celeba", {"filter": "nearest"}, "'bicubic'"),
        ("lsun", {"category": "../bedroom"}, "lsun.category"),
        ("lsun", {"validation": 4, "test": 1}, "must leave some of the images"),
    ],
)
def test_settings_that_do_not_fit(name: str, changes: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        check(load_source(name).Config, {**SETTINGS[name], **changes}, name)


def test_mirror_mnist(mirror: Path) -> None:
    found = read("mnist", mirror / "mnist", validation=10_000)
    assert found["train"].labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert {split: len(rows.labels) for split, rows in found.items()} == {
        "train": 50_000,
        "validation": 10_000,
        "test": 10_000,
    }
    assert np.bincount(found["test"].labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    whole = np.bincount(np.concatenate([found["train"].labels, found["validation"].labels]))
    assert whole.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(float(found["train"].images.mean()) / 255, 3) == 0.131


def test_mirror_cifar10(mirror: Path) -> None:
    found = read("cifar10", mirror / "cifar10", validation=5_000)
    assert found["train"].labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert [len(found[split].labels) for split in ("train", "validation", "test")] == [45_000, 5_000, 10_000]
    assert np.bincount(found["test"].labels).tolist() == [1_000] * 10
    whole = np.concatenate([found["train"].labels, found["validation"].labels])
    assert np.bincount(whole).tolist() == [5_000] * 10


def test_mirror_svhn(mirror: Path) -> None:
    found = read("svhn", mirror / "svhn", validation_rows=[700, 799])
    assert found["train"].labels[:5].tolist() == [1, 9, 2, 3, 2]
    assert [len(found[split].labels) for split in ("train", "validation", "test")] == [700, 100, 283]
    assert all((np.bincount(rows.labels, minlength=10) > 0).all() for rows in found.values())


def test_mirror_celeba(mirror: Path) -> None:
    found = read("celeba", mirror / "celeba")
    assert [len(found[split].labels) for split in ("train", "validation", "test")] == [8_000, 1_000, 1_000]
    assert found["train"].ids[0] == "000001.jpg"
    assert (found["train"].extras["Smiling"][0], found["train"].extras["Male"][0]) == (True, False)
    assert found["train"].images.std() > 40


def test_mirror_lsun(mirror: Path) -> None:
    found = read("lsun", mirror / "lsun", category="bedroom", images=6, resolution=64)
    assert found["train"].ids[0] == "00007eb364fb2e3b3c8f3673ff888dfa82cf4261"
    assert [len(found[split].labels) for split in ("train", "validation", "test")] == [4, 1, 1]
    with pytest.raises(InputError, match="6 images, but `images` asks for 7"):
        read("lsun", mirror / "lsun", category="bedroom", images=7)


def test_published_addresses_and_sums() -> None:
    sums = {
        file.path: (file.url, file.checksum)
        for module in (mnist, cifar10, svhn, celeba, lsun)
        for file in module.files(check(module.Config, dict(SETTINGS[module.__name__.rpartition(".")[2]]), ""))
    }
    assert sums["train_32x32.mat"] == (
        "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
        "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
    )
    assert sums["tower_train_lmdb.zip"] == ("http://dl.yf.io/lsun/scenes/tower_train_lmdb.zip", None)
    assert sums["img_align_celeba.zip"][0] is None
