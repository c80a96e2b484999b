"""Any folder of pictures: the class is the sub-folder, or stands in a CSV file.

Fetching packs the pictures, as they are, into one zip with a list of labels, so that what was trained on stays known
when the folder changes. Links are followed; what is hidden, and folders without a picture, are named and left out.
Preparing turns each picture upright, takes its centre square and resizes it, bicubic with antialiasing.
"""

import csv
import io
import sys
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic import Field, model_validator

from gen.data.formats.archives import Zip
from gen.data.formats.remedy import fetch_again
from gen.data.pictures import DEPTH, UPRIGHT, decode, fit, parallel
from gen.data.progress import progress
from gen.data.source import SPLITS, Chunk, Description, Published
from gen.errors import InputError
from gen.settings import Settings

PICTURES, LABELS = "pictures.zip", "labels.csv"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")
UNNAMEABLE = ("Cc", "Cs")
"""Kinds of characters that no picture's name has: control characters, and bytes that are no UTF-8."""
LARGEST = 256 * 2**20
"""Bytes of one encoded picture."""
MOST = 10_000_000
ROWS = 1024
"""Rows of a chunk."""
NAMED = 5
"""How many of what is left out are named; of the rest it is said how many."""

Level = Annotated[int, Field(ge=0, le=255)]


class Config(Settings):
    """The data set's section of params.yaml."""

    folder: str | None
    """Folder of pictures; those of one class in a sub-folder of its name. Null when a CSV is given."""
    csv: str | None
    """File with the columns path (relative to the file) and label. Null when a folder is given."""
    size: int = Field(ge=1, le=1024)
    """Pixels of height and width. Runs of the same `size` add no border; larger ones pad with black."""
    channels: Literal[1, 3]
    """1: grey (ITU-R 601 luma); 3: RGB."""
    background: tuple[Level, Level, Level] | None = None
    """Red, green and blue, 0 to 255, that pictures are laid over; null: one that is not opaque is refused."""
    validation: float = Field(ge=0, lt=1)
    """Share of the pictures, chosen by a hash of their paths."""
    test: float = Field(ge=0, lt=1)
    """Share of the pictures, chosen by a hash of their paths."""

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if (self.folder is None) == (self.csv is None):
            raise ValueError("give either folder or csv, and null for the other")
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on; give shares that sum to less than 1")
        return self


class Listed(NamedTuple):
    """One picture."""

    path: str
    label: str


def files(config: Config) -> Sequence[Published]:
    """None are published; `gather` takes them from where they are."""
    return ()


def gather(raw: Path, config: Config) -> Iterator[tuple[str, str]]:
    """Pack the pictures, and write the list of their labels.

    Raises:
        InputError: there is no such folder or file, it holds something else, or the list names what is not there.
    """
    root, listed = _from_csv(Path(config.csv)) if config.csv else _from_folder(Path(config.folder or ""))
    _check_names(root, listed)
    _check_once(root, listed)
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
    names = {entry.label for entry in _rows(raw / LABELS).values()}
    if names == {""}:
        return ()
    return tuple(
        sorted(names, key=lambda name: (int(name), name)) if all(name.isdecimal() for name in names) else sorted(names)
    )


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All pictures, by split and path.

    Raises:
        InputError: a picture is damaged, or is in the list but not in the archive.
    """
    listed = [*_rows(raw / LABELS).values()]
    numbers = {name: number for number, name in enumerate(classes(raw, config) or ("",))}
    where, splits = raw / PICTURES, _splits(listed, config)
    if not splits["train"]:
        shares = f"validation {config.validation} and test {config.test}"
        raise InputError(f"{where}: {shares} leave none of {len(listed)} pictures to train on; give smaller shares")

    def pixels(path: str) -> UInt8[ndarray, "c h w"]:
        place = f"{where}: {path}"
        picture = decode(archive.read(path), place, config.background)
        return fit(picture if config.channels == 3 else picture.convert("L"), None, config.size, place)

    first = f"mend or remove it in {config.csv or config.folder}, then"
    with fetch_again(raw, first), Zip(where, LARGEST, MOST) as archive:
        for split, entries in splits.items():
            images = parallel(pixels, (entry.path for entry in entries))
            for start in range(0, len(entries), ROWS):
                part = entries[start : start + ROWS]
                labels = np.array([numbers[entry.label] for entry in part], np.int64)
                yield Chunk(split, np.stack([next(images) for _ in part]), labels, [entry.path for entry in part])


def describe(config: Config) -> Description:
    """Squares of the size asked for; the classes are found in the files."""
    settings: dict[str, Any] = {
        "crop": "centre square",
        "filter": "bicubic, antialiased",
        "depth": DEPTH,
        "orientation": UPRIGHT,
    }
    settings["background"] = config.background
    return Description((config.channels, config.size, config.size), "uint8", (), settings=settings)


def _splits(listed: Sequence[Listed], config: Config) -> dict[str, list[Listed]]:
    """The shares of each split. A picture's place in the draw depends on its path alone."""
    drawn = sorted(listed, key=lambda entry: blake2b(entry.path.encode(), digest_size=8).digest())
    test = round(config.test * len(drawn))
    validation = test + round(config.validation * len(drawn))
    parts = (drawn[validation:], drawn[test:validation], drawn[:test])
    return {split: sorted(part) for split, part in zip(SPLITS, parts, strict=True)}


def _check_names(root: Path, listed: Sequence[Listed]) -> None:
    """Each can be the name of a member of an archive."""
    for entry in listed:
        if "\\" in entry.path or any(unicodedata.category(character) in UNNAMEABLE for character in entry.path):
            raise InputError(f"{root}: {entry.path!r}: no name for a member of an archive; rename the picture")


def _check_once(root: Path, listed: Sequence[Listed]) -> None:
    """No picture stands there under two names: one could be trained on, the other be tested on."""
    seen: dict[tuple[int, int], str] = {}
    for entry in listed:
        found = (root / entry.path).stat()
        if (other := seen.setdefault((found.st_dev, found.st_ino), entry.path)) != entry.path:
            raise InputError(f"{root}: {other!r} and {entry.path!r} are one picture; name it once")


def _from_folder(root: Path) -> tuple[Path, list[Listed]]:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a folder of pictures")
    listed: list[Listed] = []
    left_out: list[Path] = []
    for path in _walk(root, (), left_out):
        inner = path.relative_to(root)
        if not path.is_file():
            raise InputError(f"{path}: a link to what is not there; take it out of the folder")
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: not a picture ({', '.join(SUFFIXES)}); move it out of the folder")
        listed.append(Listed(inner.as_posix(), inner.parts[0] if len(inner.parts) > 1 else ""))
    if left_out:
        named = ", ".join(repr(path.relative_to(root).as_posix()) for path in left_out[:NAMED])
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        print(f"{root}: left out, as hidden or without a picture: {named}{more}", file=sys.stderr, flush=True)
    if not listed:
        raise InputError(f"{root}: holds no picture ({', '.join(SUFFIXES)})")
    if len({entry.label == "" for entry in listed}) > 1:
        loose = next(entry.path for entry in listed if entry.label == "")
        raise InputError(f"{root / loose}: outside the sub-folders, which are the classes; move it into one")
    return root, listed


def _walk(folder: Path, above: tuple[Path, ...], left_out: list[Path]) -> Iterator[Path]:
    """All files below a folder, through links too, in order; what is hidden or has no file is added to `left_out`."""
    real = folder.resolve()
    if any(one.is_relative_to(real) for one in above):
        raise InputError(f"{folder}: a link to a folder that holds it; take it out")
    empty = True
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            left_out.append(path)
            continue
        for file in _walk(path, (*above, real), left_out) if path.is_dir() else (path,):
            empty = False
            yield file
    if empty and above:
        left_out.append(folder)


def _from_csv(path: Path) -> tuple[Path, list[Listed]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a CSV with the columns path and label")
    listed = _rows(path)
    labelled = any(entry.label for entry in listed.values())
    for row, entry in listed.items():
        place = PurePosixPath(entry.path)
        if place.is_absolute() or ".." in place.parts or "\\" in entry.path:
            raise InputError(f"{path}: row {row}: {entry.path!r} leads out of its folder; give a path inside it")
        if not (path.parent / entry.path).is_file():
            raise InputError(f"{path}: row {row}: {entry.path!r} is not there; paths are relative to {path.parent}")
        if labelled and not entry.label:
            raise InputError(f"{path}: row {row}: {entry.path!r} has no label, others have one; give it one")
    return path.parent, sorted(listed.values())


def _rows(path: Path) -> dict[int, Listed]:
    """A list of labels by its rows' numbers; the header is row 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        header, *rows = list(csv.reader(io.StringIO(text), strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error}); expected UTF-8 with the columns path and label") from None
    if sorted(header) != ["label", "path"]:
        raise InputError(
            f"{path}: row 1: columns {', '.join(map(repr, header)) or 'none'}; expected path and label alone"
        )
    listed: dict[int, Listed] = {}
    seen = set()
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(header) or not (entry := Listed(**dict(zip(header, row, strict=True)))).path:
            raise InputError(f"{path}: row {number}: expected a path and a label (in quotes where it has a comma)")
        if entry.path in seen:
            raise InputError(f"{path}: row {number}: {entry.path!r} occurs twice; name each picture once")
        seen.add(entry.path)
        listed[number] = entry
    if not listed:
        raise InputError(f"{path}: lists no picture; expected a header path,label and a row for each")
    return listed
