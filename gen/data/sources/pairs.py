"""Pairs of pictures in a person's own folder, as pix2pix publishes them: `input` is translated into the image.

Either each picture holds both, side by side (`folder`: facades, maps, edges2shoes), or two folders hold one each, under
equal names (`inputs`, `targets`). Sub-folders `train`, `val` (or `validation`) and `test` are the splits; without them
shares are drawn by a hash of the bytes. Each picture is turned upright, cut to its centre square and resized, bicubic
with antialiasing; fetching packs all of them into one zip.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from gen.data.derived import INPUT
from gen.data.formats.archives import Zip
from gen.data.formats.listing import from_folder
from gen.data.formats.packing import LARGEST, MOST, SPLIT_OF, Folders, pack
from gen.data.formats.remedy import fetch_again
from gen.data.formats.shares import shares
from gen.data.pictures import DEPTH, UPRIGHT, decode, fit, in_parts
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError, refuse
from gen.family import Column

PICTURES = "pairs.zip"
SIDES = ("inputs", "targets")


class Config(Folders):
    """The data set's section of params.yaml."""

    direction: Literal["left_to_right", "right_to_left"] = "left_to_right"
    """Of pictures that hold both: from which half to which (the published AtoB and BtoA)."""


class Pair(NamedTuple):
    """Where the pictures of one lie in the archive: two of them, or one that holds both."""

    name: str
    members: tuple[str, ...]


def files(config: Config) -> Sequence[Published]:
    """None are published; `gather` takes them from where they are."""
    return ()


def gather(raw: Path, config: Config) -> Iterator[tuple[str, str]]:
    """Pack the pictures.

    Raises:
        InputError: there is no such folder, it holds something else, or a picture of one folder is not in the other.
    """
    listed = {name: from_folder(Path(folder))[1] for name, folder in config.given.items()}
    one, *_, other = ({entry.path for entry in entries} for entries in (*listed.values(), *listed.values()))
    if alone := sorted(one ^ other):
        here = config.inputs if alone[0] in one else config.targets
        remedy = f"({len(alone)} are in one alone); give both the same names"
        raise InputError(f"{here}: {alone[0]!r} is not in the other folder {remedy}")
    pack(raw / PICTURES, listed, config.given)
    yield PICTURES, next(iter(config.given.values()))


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All pairs, by split and name.

    Raises:
        InputError: pictures are damaged, hold no two halves of one size or differ in size, each of which is named.
    """
    where = raw / PICTURES
    problems: list[str] = []

    def pixels(pair: Pair) -> list[UInt8[ndarray, "c h w"]] | None:
        place = f"{where}: {pair.name}"
        try:
            pictures = [
                decode(archive.read(member), f"{where}: {member}", config.background) for member in pair.members
            ]
            both = halves(pictures[0], place) if len(pictures) == 1 else pictures
            if both[0].size != both[1].size:
                (w1, h1), (w2, h2) = both[0].size, both[1].size
                raise InputError(f"{place}: {w1}x{h1} and {w2}x{h2} pixels; the pictures of a pair have one size")
            if config.folder and config.direction == "right_to_left":
                both.reverse()
            return [
                fit(one if config.channels == 3 else one.convert("L"), None, config.resolution, place) for one in both
            ]
        except InputError as error:
            problems.append(str(error))
            return None

    first = f"mend or remove it in {' and '.join(config.given.values())}, then"
    with fetch_again(raw, first), Zip(where, LARGEST, MOST) as archive:
        for split, pairs in _splits(_pairs([*archive.members], config), archive, config, where).items():
            for part, both in in_parts(pixels, pairs):
                if not problems:
                    inputs, images = np.stack(both).swapaxes(0, 1)
                    names = [pair.name for pair in part]
                    yield Chunk(split, images, np.zeros(len(part), np.int64), names, {INPUT: inputs})
        refuse(sorted(problems))


def describe(config: Config) -> Description:
    """Squares of the resolution asked for, two in each row."""
    shape = (config.channels, config.resolution, config.resolution)
    settings: dict[str, Any] = {
        "crop": "centre square of each half" if config.folder else "centre square",
        "filter": "bicubic, antialiased",
        "depth": DEPTH,
        "orientation": UPRIGHT,
        "background": config.background,
    }
    columns = {INPUT: Column(dtype="uint8", shape=shape, image=True)}
    return Description(shape, "uint8", (), columns=columns, settings=settings)


def halves(picture: Image.Image, where: str) -> list[Image.Image]:
    """The left one and the right one. Raises InputError for an odd width."""
    width, height = picture.size
    if width % 2:
        raise InputError(f"{where}: {width}x{height} pixels; two pictures side by side have an even width")
    return [picture.crop((left, 0, left + width // 2, height)) for left in (0, width // 2)]


def _pairs(members: Sequence[str], config: Config) -> list[Pair]:
    if config.folder:
        return [Pair(name, (name,)) for name in sorted(members)]
    names = sorted(name.removeprefix("inputs/") for name in members if name.startswith("inputs/"))
    return [Pair(name, tuple(f"{side}/{name}" for side in SIDES)) for name in names]


def _splits(pairs: Sequence[Pair], archive: Zip, config: Config, where: Path) -> dict[str, list[Pair]]:
    """By the name of the sub-folder, if all have one of SPLIT_OF, else the shares of the params."""
    found: dict[str, list[Pair]] = {}
    folders = {PurePosixPath(pair.name).parts[0] for pair in pairs}
    if folders <= SPLIT_OF.keys():
        for pair in pairs:
            found.setdefault(SPLIT_OF[PurePosixPath(pair.name).parts[0]], []).append(pair)
    else:
        checksums = {pair: b"".join(map(archive.checksum, pair.members)) for pair in pairs}
        found = shares(checksums, config.validation, config.test)
    if not found.get("train"):
        remedy = "give smaller shares of validation and test, or a sub-folder train"
        raise InputError(f"{where}: none of {len(pairs)} pairs is left to train on; {remedy}")
    return found
