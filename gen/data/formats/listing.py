"""Which pictures a person's own data set has, and the label of each: of a folder, or of a CSV file.

All that is wrong with them is said at once.
"""

import csv
import io
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gen.errors import InputError, refuse

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm")
OTHERS = (".gif", ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg", ".ico", ".jp2", ".psd", ".dng")
"""Pictures too, which are not read."""
SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini")
"""What Windows leaves in folders of pictures."""
UNNAMEABLE = ("Cc", "Cs")
"""Kinds of characters that no name of a picture or a class has: control characters, and bytes that are no UTF-8."""
NAMED = 5
"""How many of what is left out are named; of the rest it is said how many."""


class Listed(NamedTuple):
    """One picture."""

    path: str
    label: str


def misnamed(root: Path, listed: Sequence[Listed]) -> list[str]:
    """Names that cannot be those of members of an archive, each as a line."""
    return [
        f"{root}: {entry.path!r}: no name for a member of an archive; rename the picture"
        for entry in listed
        if "\\" in entry.path or _unnameable(entry.path)
    ]


def _unnameable(text: str) -> bool:
    return any(unicodedata.category(character) in UNNAMEABLE for character in text)


def twice(root: Path, listed: Sequence[Listed]) -> list[str]:
    """Pictures that stand there under two names: one could be trained on, the other be tested on."""
    seen: dict[tuple[int, int], str] = {}
    problems = []
    for entry in listed:
        found = (root / entry.path).stat()
        if (other := seen.setdefault((found.st_dev, found.st_ino), entry.path)) != entry.path:
            problems.append(f"{root}: {other!r} and {entry.path!r} are one picture; name it once")
    return problems


def from_folder(root: Path) -> tuple[Path, list[Listed]]:
    """The pictures below a folder; those of one class are in a sub-folder of its name.

    Raises:
        InputError: there is no such folder, or it holds something else.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a folder of pictures")
    listed: list[Listed] = []
    left_out: list[Path] = []
    problems: list[str] = []
    for path in _walk(root, (), left_out):
        inner = path.relative_to(root)
        suffix = path.suffix.lower()
        if not path.exists():
            problems.append(f"{path}: a link to what is not there; take it out of the folder")
        elif not path.is_file():
            problems.append(f"{path}: neither a file nor a folder; take it out of the folder")
        elif suffix in OTHERS:
            problems.append(f"{path}: {suffix} is not read; save it as one of {', '.join(SUFFIXES)}")
        elif suffix not in SUFFIXES:
            problems.append(f"{path}: not a picture ({', '.join(SUFFIXES)}); move it out of the folder")
        else:
            listed.append(Listed(inner.as_posix(), inner.parts[0] if len(inner.parts) > 1 else ""))
    if left_out:
        named = ", ".join(repr(path.relative_to(root).as_posix()) for path in left_out[:NAMED])
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        print(f"{root}: left out, as hidden or without a picture: {named}{more}", file=sys.stderr, flush=True)
    if not (listed or problems):
        raise InputError(f"{root}: holds no picture ({', '.join(SUFFIXES)})")
    loose = [entry.path for entry in listed if entry.label == ""]
    if len(loose) < len(listed):
        remedy = "outside the sub-folders, which are the classes; move it into one"
        problems += [f"{root / path}: {remedy}" for path in loose]
    refuse([*problems, *misnamed(root, listed), *twice(root, listed)])
    return root, listed


def _walk(folder: Path, above: tuple[Path, ...], left_out: list[Path]) -> Iterator[Path]:
    """All files below a folder, through links too, in order; what is hidden or has no file is added to `left_out`."""
    real = folder.resolve()
    if any(one.is_relative_to(real) for one in above):
        raise InputError(f"{folder}: a link to a folder that holds it; take it out")
    empty = True
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower() in SYSTEM:
            left_out.append(path)
            continue
        for file in _walk(path, (*above, real), left_out) if path.is_dir() else (path,):
            empty = False
            yield file
    if empty and above:
        left_out.append(folder)


def from_csv(path: Path) -> tuple[Path, list[Listed]]:
    """The pictures that a CSV file lists, relative to its folder.

    Raises:
        InputError: there is no such file, it is not one, or it lists what is not there.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a CSV with the columns path and label")
    listed = rows(path)
    labelled = any(entry.label for entry in listed.values())
    problems: list[str] = []
    for row, entry in listed.items():
        place = PurePosixPath(entry.path)
        if place.is_absolute() or ".." in place.parts or "\\" in entry.path:
            problems.append(f"{path}: row {row}: {entry.path!r} leads out of its folder; give a path inside it")
        elif not (path.parent / entry.path).is_file():
            problems.append(f"{path}: row {row}: {entry.path!r} is not there; paths are relative to {path.parent}")
        if labelled and not entry.label:
            problems.append(f"{path}: row {row}: {entry.path!r} has no label, others have one; give it one")
        if entry.label != entry.label.strip() or _unnameable(entry.label):
            problems.append(f"{path}: row {row}: label {entry.label!r} has spaces around it or a control character")
    refuse(problems)
    entries = sorted(listed.values())
    refuse([*misnamed(path.parent, entries), *twice(path.parent, entries)])
    return path.parent, entries


def rows(path: Path) -> dict[int, Listed]:
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
    seen: set[str] = set()
    problems: list[str] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(header) or not (entry := Listed(**dict(zip(header, row, strict=True)))).path:
            problems.append(f"{path}: row {number}: expected a path and a label (in quotes where it has a comma)")
            continue
        if entry.path in seen:
            problems.append(f"{path}: row {number}: {entry.path!r} occurs twice; name each picture once")
        seen.add(entry.path)
        listed[number] = entry
    refuse(problems)
    if not listed:
        raise InputError(f"{path}: lists no picture; expected a header path,label and a row for each")
    return listed
