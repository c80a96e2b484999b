"""Pictures of two kinds in a person's own folders, which nothing pairs: the one kind is translated into the other.

Either one folder as CycleGAN publishes it, with sub-folders `trainA`, `trainB`, `testA` and `testB` (summer2winter,
horse2zebra), or two folders, `inputs` and `targets`, each with sub-folders `train`, `val` (or `validation`) and `test`,
or without. Where pictures to validate or to test with are in no folder of their own, shares of those to train on are
drawn by a hash of the bytes. Each picture is turned upright, cut to its centre square and resized, bicubic with
antialiasing; fetching packs all of them into one zip.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from gen.data.domains import INPUT_DOMAIN
from gen.data.formats.archives import Zip
from gen.data.formats.listing import from_folder
from gen.data.formats.packing import LARGEST, MOST, SPLIT_OF, Folders, pack
from gen.data.formats.remedy import fetch_again
from gen.data.formats.shares import shares
from gen.data.pictures import DEPTH, UPRIGHT, decode, fit, in_parts
from gen.data.source import SPLITS, Chunk, Description, Published
from gen.errors import InputError, refuse

PICTURES = "domains.zip"
LABELS = ("input", "target")


class Config(Folders):
    """The data set's section of params.yaml."""

    direction: Literal["a_to_b", "b_to_a"] = "a_to_b"
    """Of `folder`: from which kind to which."""


class Place(NamedTuple):
    """Where a picture belongs."""

    domain: str
    """One of LABELS."""
    split: str


def files(config: Config) -> Sequence[Published]:
    """None are published; `gather` takes them from where they are."""
    return ()


def gather(raw: Path, config: Config) -> Iterator[tuple[str, str]]:
    """Pack the pictures.

    Raises:
        InputError: there is no such folder, or it holds something else.
    """
    listed = {name: from_folder(Path(folder))[1] for name, folder in config.given.items()}
    for picture in listed.get("", ()):
        place(picture.path, config)
    pack(raw / PICTURES, listed, config.given)
    yield PICTURES, next(iter(config.given.values()))


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """All pictures, by domain, split and name.

    Raises:
        InputError: pictures are damaged, each of which is named, or a domain has none to train on.
    """
    where = raw / PICTURES
    problems: list[str] = []

    def pixels(name: str) -> UInt8[ndarray, "c h w"] | None:
        try:
            picture = decode(archive.read(name), f"{where}: {name}", config.background)
            return fit(picture if config.channels == 3 else picture.convert("L"), None, config.resolution, name)
        except InputError as error:
            problems.append(str(error))
            return None

    first = f"mend or remove it in {' and '.join(config.given.values())}, then"
    with fetch_again(raw, first), Zip(where, LARGEST, MOST) as archive:
        for (domain, split), names in _places(archive, config, where).items():
            for part, images in in_parts(pixels, names):
                if not problems:
                    labels = np.full(len(part), LABELS.index(domain), np.int64)
                    name = f"{split}.{INPUT_DOMAIN}" if domain == LABELS[0] else split
                    yield Chunk(name, np.stack(images), labels, part)
        refuse(sorted(problems))


def describe(config: Config) -> Description:
    """Squares of the resolution asked for, of two domains."""
    settings: dict[str, Any] = {
        "crop": "centre square",
        "filter": "bicubic, antialiased",
        "depth": DEPTH,
        "orientation": UPRIGHT,
        "background": config.background,
    }
    shape = (config.channels, config.resolution, config.resolution)
    return Description(shape, "uint8", LABELS, settings=settings, domains=(INPUT_DOMAIN,))


def place(path: str, config: Config) -> Place:
    """What the folders of a picture say. Raises InputError for another folder than is published."""
    top, *rest = PurePosixPath(path).parts
    if config.folder is None:
        return Place("input" if top == "inputs" else "target", SPLIT_OF.get(rest[0], "train") if rest[1:] else "train")
    kind, split = top[-1:], SPLIT_OF.get(top[:-1])
    if kind not in ("A", "B") or split is None:
        raise InputError(
            f"{config.folder}: {path!r} is in none of trainA, trainB, valA, valB, testA and testB; move it into one"
        )
    return Place("input" if (kind == "A") == (config.direction == "a_to_b") else "target", split)


def _places(archive: Zip, config: Config, where: Path) -> dict[Place, list[str]]:
    """The pictures of each domain and split, shares of those to train on where nothing else is there."""
    found: dict[Place, list[str]] = {}
    for name in sorted(archive.members):
        found.setdefault(place(name, config), []).append(name)
    for domain in LABELS:
        train = found.pop(Place(domain, "train"), [])
        parts = shares(
            {name: archive.checksum(name) for name in train},
            0.0 if Place(domain, "validation") in found else config.validation,
            0.0 if Place(domain, "test") in found else config.test,
        )
        if not parts["train"]:
            remedy = "put some there, or give smaller shares of validation and test"
            raise InputError(f"{where}: no {domain} picture is left to train on; {remedy}")
        found |= {Place(domain, split): names for split, names in parts.items() if names}
    ordered = [Place(domain, split) for domain in LABELS for split in SPLITS]
    return {each: found[each] for each in ordered if each in found}
