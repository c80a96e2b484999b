"""LSUN scenes (Yu et al. 2015): photographs of one category, the shorter side 256, an LMDB of encoded images in a zip.

The category's first `images` images in the order of the database's keys are read; centre square, then resized.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import Field, model_validator

from gen.data.formats.archives import Zip
from gen.data.formats.lmdb_file import Lmdb
from gen.data.formats.remedy import fetch_again
from gen.data.pictures import decode, fit, parallel
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError
from gen.settings import Settings

URL = "http://dl.yf.io/lsun/scenes/"
LARGEST = 256 << 30
"""The most bytes a category's database may unpack to; bedroom, the largest, is about 54 GB."""
MEMBERS = 16
PIXELS = 256 * 16_384
"""The most of one image, whose shorter side is 256."""
ROWS = 1024

Category = Literal[
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
]


class Config(Settings):
    """What is taken, and what decides the pixels."""

    category: Category
    """The scene."""
    images: int = Field(ge=1)
    """How many of the category's images are taken, from the first key on."""
    validation: int = Field(ge=0)
    """How many of them are the validation split: the last but for the test split."""
    test: int = Field(ge=0)
    """How many of them are the test split: the last."""
    resolution: int = Field(ge=4, le=256)
    """Height and width after the centre square is resized, in pixels."""
    filter: Literal["bicubic"]
    """The antialiased filter it is resized with."""

    @model_validator(mode="after")
    def _leaves_some(self) -> "Config":
        if self.validation + self.test >= self.images:
            raise ValueError("validation and test must leave some of the images to train on")
        return self


def files(config: Config) -> Sequence[Published]:
    """The category's archive; a mirror may hold its database unpacked. Its authors publish no checksum."""
    folder = _folder(config)
    return [Published(f"{folder}.zip", f"{URL}{folder}.zip", None, instead_of=(f"{folder}/data.mdb",))]


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """The chosen images, 3 x resolution x resolution, label 0, called by their keys.

    A packed database needs room in TMPDIR.

    Raises:
        InputError: the file is missing or damaged, holds fewer images than `images`, or one that cannot be decoded.
    """
    with fetch_again(raw), _database(raw, _folder(config)) as database:
        if database.entries < config.images:
            raise InputError(
                f"{database.where}: {database.entries} images, but `images` asks for {config.images}: ask for no more, "
                "unless the file should hold them"
            )
        keys: list[str] = []
        pictures = parallel(partial(_picture, resolution=config.resolution), _jobs(database, config.images, keys))
        train = config.images - config.validation - config.test
        for split, count in (("train", train), ("validation", config.validation), ("test", config.test)):
            for start in range(0, count, ROWS):
                images = np.stack(list(islice(pictures, min(ROWS, count - start))))
                ids = keys[: len(images)]
                del keys[: len(images)]
                yield Chunk(split, images, np.zeros(len(images), np.int64), ids)


def describe(config: Config) -> Description:
    """Square, resized; no classes."""
    return Description(
        (3, config.resolution, config.resolution),
        "uint8",
        (),
        settings={"crop": "centre square", "resolution": config.resolution, "filter": config.filter, "antialias": True},
    )


def _folder(config: Config) -> str:
    return f"{config.category}_train_lmdb"


def _jobs(database: Lmdb, count: int, keys: list[str]) -> Iterator[tuple[bytes, str]]:
    """Encoded images and where each is; their keys are appended to `keys` on the way."""
    for key, blob in islice(database.items(), count):
        keys.append(key.decode("ascii", "backslashreplace"))
        yield blob, f"{database.where}: key {keys[-1]}"


def _picture(job: tuple[bytes, str], resolution: int) -> UInt8[ndarray, "3 h w"]:
    return fit(decode(*job, most=PIXELS), None, resolution)


@contextmanager
def _database(raw: Path, folder: str) -> Iterator[Lmdb]:
    """The category's database, from the archive or unpacked as a mirror may hold it."""
    archive, unpacked = raw / f"{folder}.zip", raw / folder / "data.mdb"
    with ExitStack() as stack:
        if unpacked.is_file() and not archive.exists():
            try:
                file: BinaryIO = stack.enter_context(unpacked.open("rb"))
            except OSError as error:
                raise InputError(f"{unpacked}: {error.strerror}") from None
            yield Lmdb(file, str(unpacked))
        else:
            name = f"{folder}/data.mdb"
            packed = stack.enter_context(Zip(archive, LARGEST, MEMBERS))
            file = stack.enter_context(_unpacked(packed, name))
            yield Lmdb(file, f"{archive}: member {name}")


@contextmanager
def _unpacked(archive: Zip, name: str) -> Iterator[BinaryIO]:
    """A member in a temporary file that has no name, so that nothing is left behind however the process ends."""
    needed, free = archive.size(name), shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise InputError(
            f"{archive.path}: member {name} needs {needed} bytes in {tempfile.gettempdir()}, where {free} are free; "
            "set TMPDIR to a larger disk"
        )
    with tempfile.TemporaryFile() as file:
        archive.copy(name, file)
        yield file
