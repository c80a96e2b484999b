"""CelebA (Liu et al. 2015): 202,599 aligned faces of 178x218, with 40 attributes each, a zip of jpg and two lists.

The usual protocol of generative models: centre square of 178, then 64x64 with an antialiased bicubic filter.
"""

from collections.abc import Iterator, Sequence, Set
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray
from pydantic import Field, model_validator

from gen.data.formats.archives import Zip
from gen.data.formats.remedy import fetch_again
from gen.data.pictures import decode, fit, parallel
from gen.data.source import SPLITS, Chunk, Description, Published
from gen.errors import InputError
from gen.family import Column
from gen.settings import Settings

IMAGES, ATTRIBUTES, PARTITION = "img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"
CHECKSUMS = {
    IMAGES: "md5:00d2c5bc6d35e252742224ab0c1e8fcb",
    ATTRIBUTES: "md5:75e246fa4810816ffd6ee81facbd244c",
    PARTITION: "md5:d32c9cbf5e040fd4025c592c306e6668",
}
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
FOLDER = "img_align_celeba/"
SIZE = (178, 218)
"""Width and height of every published image."""
LARGEST, MEMBERS, LONGEST_LIST = 1 << 20, 250_000, 64 << 20
ROWS = 1024

HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)
NAMES = tuple(HEADER.split())
"""The 40 attributes, in their published order."""
_VALUES = {"1", "-1"}


class Config(Settings):
    """What decides the pixels."""

    crop: int = Field(ge=4, le=min(SIZE))
    """Side of the centre square that is kept, in pixels; 178 is usual."""
    resolution: int = Field(ge=4, le=min(SIZE))
    """Height and width after resizing, in pixels; 64 is usual."""
    filter: Literal["bicubic"]
    """The antialiased filter it is resized with."""

    @model_validator(mode="after")
    def _only_shrinks(self) -> "Config":
        if self.resolution > self.crop:
            raise ValueError("resolution must not exceed crop: faces are only made smaller")
        return self


def files(config: Config) -> Sequence[Published]:
    """The images and the two lists; their authors offer no direct download."""
    return [
        Published(name, None, checksum, f"download {name} from {PAGE} (Align&Cropped Images; Anno; Eval)")
        for name, checksum in CHECKSUMS.items()
    ]


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """The images of the attribute list, 3 x resolution x resolution, label 0, each attribute a bool column.

    Raises:
        InputError: a file is missing or damaged, the three do not name the same images, or one cannot be decoded.
    """
    with fetch_again(raw):
        names, attributes = _attributes(raw / ATTRIBUTES)
        splits = _partition(raw / PARTITION, names)
        with Zip(raw / IMAGES, LARGEST, MEMBERS) as archive:
            _compare(archive.path, archive.members.keys(), {FOLDER + name for name in names})
            order = np.argsort(splits, kind="stable")
            jobs = (
                (archive.read(FOLDER + names[row]), f"{archive.path}: member {FOLDER}{names[row]}") for row in order
            )
            pictures = parallel(partial(_picture, crop=config.crop, resolution=config.resolution), jobs)
            for position, split in enumerate(SPLITS):
                rows = np.flatnonzero(splits == position)
                for start in range(0, len(rows), ROWS):
                    part = rows[start : start + ROWS]
                    extras = {name: attributes[part, column] for column, name in enumerate(NAMES)}
                    images = np.stack(list(islice(pictures, len(part))))
                    yield Chunk(split, images, np.zeros(len(part), np.int64), [names[row] for row in part], extras)


def describe(config: Config) -> Description:
    """Square, resized; no classes, the attributes are extras."""
    return Description(
        (3, config.resolution, config.resolution),
        "uint8",
        (),
        columns={name: Column(dtype="bool") for name in NAMES},
        settings={"crop": config.crop, "resolution": config.resolution, "filter": config.filter, "antialias": True},
    )


def _picture(job: tuple[bytes, str], crop: int, resolution: int) -> UInt8[ndarray, "3 h w"]:
    image = decode(*job, most=4 * SIZE[0] * SIZE[1])
    if image.size != SIZE:
        raise InputError(f"{job[1]}: {image.width}x{image.height} pixels, expected {SIZE[0]}x{SIZE[1]}")
    return fit(image, crop, resolution)


def _attributes(path: Path) -> tuple[list[str], Bool[ndarray, "n 40"]]:
    """Image names and attributes: a count, the attributes' names, then a name and 40 times 1 or -1 for every image."""
    lines = _lines(path)
    if len(lines) < 2 or tuple(lines[1].split()) != NAMES:
        raise InputError(f"{path}: line 2: expected the names of the 40 attributes, as published")
    if lines[0].strip() != str(len(lines) - 2):
        raise InputError(
            f"{path}: line 1 announces {lines[0].strip()[:20]!r} images, but {len(lines) - 2} lines follow"
        )
    rows = bytearray()
    names: dict[str, None] = {}
    for number, line in enumerate(lines[2:], 3):
        name, *values = line.split() or [""]
        if len(values) != len(NAMES) or not _VALUES.issuperset(values):
            raise InputError(f"{path}: line {number}: expected a name and {len(NAMES)} times 1 or -1")
        if name in names:
            raise InputError(f"{path}: line {number}: {name} occurs twice")
        names[name] = None
        rows += bytes(map("1".__eq__, values))
    return [*names], np.frombuffer(bytes(rows), bool).reshape(-1, len(NAMES))


def _partition(path: Path, names: Sequence[str]) -> Int[ndarray, " n"]:
    """The split of every image, as a position in SPLITS."""
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        name, *code = line.split() or [""]
        if len(code) != 1 or code[0] not in ("0", "1", "2"):
            raise InputError(f"{path}: line {number}: expected a name and 0, 1 or 2")
        if name in found:
            raise InputError(f"{path}: line {number}: {name} occurs twice")
        found[name] = int(code[0])
    _compare(path, found.keys(), set(names))
    return np.array([found[name] for name in names], np.int64)


def _compare(path: Path, found: Set[str], expected: Set[str]) -> None:
    """That a file names the attribute list's images and no others."""
    if missing := expected - found:
        raise InputError(f"{path}: {len(missing)} images of {ATTRIBUTES} are missing, first {min(missing)}")
    if extra := found - expected:
        raise InputError(f"{path}: {len(extra)} entries that {ATTRIBUTES} does not name, first {min(extra)!r}")


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            blob = file.read(LONGEST_LIST + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(blob) > LONGEST_LIST:
        raise InputError(f"{path}: more than {LONGEST_LIST} bytes")
    if not blob.isascii() or not blob.endswith(b"\n"):
        raise InputError(f"{path}: expected plain text up to the end of a line: damaged or truncated")
    return blob.decode("ascii").split("\n")[:-1]
