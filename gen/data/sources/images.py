"""Any folder of pictures: the class is the sub-folder, or stands in a CSV file.

Fetching packs the pictures, as they are, into one zip with a list of labels, so that what was trained on stays known
when the folder changes. Links are followed; what is hidden, and folders without a picture, are named and left out.
Preparing turns each picture upright, takes its centre square and resizes it, bicubic with antialiasing.
"""

import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import Field, model_validator

from gen.data.formats.archives import Zip
from gen.data.formats.listing import Listed, from_csv, from_folder, rows
from gen.data.formats.remedy import fetch_again
from gen.data.formats.shares import shares
from gen.data.pictures import DEPTH, UPRIGHT, Colour, decode, fit, in_parts
from gen.data.progress import progress
from gen.data.source import Chunk, Description, Published
from gen.errors import InputError, refuse
from gen.settings import Settings

PICTURES, LABELS = "pictures.zip", "labels.csv"
LARGEST = 256 * 2**20
"""Bytes of one encoded picture."""
MOST = 10_000_000


class Config(Settings):
    """The data set's section of params.yaml."""

    folder: str | None = None
    """Folder of pictures; those of one class in a sub-folder of its name. Left out when a CSV is given."""
    csv: str | None = None
    """File with the columns path (relative to the file) and label. Left out when a folder is given."""
    resolution: int = Field(ge=1, le=1024)
    """Pixels of height and width. Runs of the same `resolution` add no border; larger ones pad with black."""
    channels: Literal[1, 3]
    """1: grey (ITU-R 601 luma); 3: RGB."""
    background: Colour | None = None
    """Red, green and blue, 0 to 255, that pictures are laid over; null: one that is not opaque is refused."""
    validation: float = Field(ge=0, lt=1)
    """Share of the pictures, chosen by a hash of their bytes: equal files are all in one split."""
    test: float = Field(ge=0, lt=1)
    """Share of the pictures, chosen likewise."""

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if (self.folder is None) == (self.csv is None):
            raise ValueError("give either folder or csv, and not the other")
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on; give shares that sum to less than 1")
        return self


def files(config: Config) -> Sequence[Published]:
    """None are published; `gather` takes them from where they are."""
    return ()


def gather(raw: Path, config: Config) -> Iterator[tuple[str, str]]:
    """Pack the pictures, and write the list of their labels.

    Raises:
        InputError: there is no such folder or file, it holds something else, or the list names what is not there.
    """
    root, listed = from_csv(Path(config.csv)) if config.csv else from_folder(Path(config.folder or ""))
    with (
        zipfile.ZipFile(raw / PICTURES, "w", zipfile.ZIP_STORED) as archive,
        progress(f"copy {root.name}", "pictures", len(listed)) as add,
    ):
        for entry in listed:
            archive.writestr(zipfile.ZipInfo(entry.path), (root / entry.path).read_bytes())
            add(1)
    with (raw / LABELS).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([Listed._fields, *listed])
    for name in (PICTURES, LABELS):
        yield name, str(config.csv or config.folder)


def classes(raw: Path, config: Config) -> tuple[str, ...]:
    """Names of the labels in order: as numbers if all are, else as text. None if there is but the empty one."""
    names = {entry.label for entry in rows(raw / LABELS).values()}
    if names == {""}:
        return ()
    return tuple(
        sorted(names, key=lambda name: (int(name), name)) if all(name.isdecimal() for name in names) else sorted(names)
    )


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All pictures, by split and path.

    Raises:
        InputError: pictures are damaged, each of which is named, or one is in the list but not in the archive.
    """
    listed = [*rows(raw / LABELS).values()]
    numbers = {name: number for number, name in enumerate(classes(raw, config) or ("",))}
    where = raw / PICTURES
    problems: list[str] = []

    def pixels(entry: Listed) -> UInt8[ndarray, "c h w"] | None:
        place = f"{where}: {entry.path}"
        try:
            picture = decode(archive.read(entry.path), place, config.background)
        except InputError as error:
            problems.append(str(error))
            return None
        return fit(picture if config.channels == 3 else picture.convert("L"), None, config.resolution, place)

    first = f"mend or remove it in {config.csv or config.folder}, then"
    with fetch_again(raw, first), Zip(where, LARGEST, MOST) as archive:
        checksums = {entry: archive.checksum(entry.path) for entry in listed}
        splits = shares(checksums, config.validation, config.test)
        if not splits["train"]:
            given = f"validation {config.validation} and test {config.test}"
            raise InputError(f"{where}: {given} leave none of {len(listed)} pictures to train on; give smaller shares")
        for split, entries in splits.items():
            for part, made in in_parts(pixels, entries):
                labels = np.array([numbers[entry.label] for entry in part], np.int64)
                if not problems:
                    yield Chunk(split, np.stack(made), labels, [entry.path for entry in part])
        refuse(sorted(problems))


def describe(config: Config) -> Description:
    """Squares of the resolution asked for; the classes are found in the files."""
    settings: dict[str, Any] = {
        "crop": "centre square",
        "filter": "bicubic, antialiased",
        "depth": DEPTH,
        "orientation": UPRIGHT,
    }
    settings["background"] = config.background
    return Description((config.channels, config.resolution, config.resolution), "uint8", (), settings=settings)
