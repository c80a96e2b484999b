"""What a data set's source is: a file of gen/data/sources that reads one published format.

Such a file exports

    Config                    a Settings: the data set's own section of params.yaml (less `source`)
    files(config)             the published files it reads, as `Published`
    read(raw, config)         an iterator of `Chunk`, rows in published order, splits one after the other
    describe(config)          a `Description` of the samples

and, where they are needed,

    classes(raw, config)      names of the labels, where they stand in the files and not in the format (`Classed`)
    gather(raw, config)       copies a person's own files in when they are fetched (`Gathers`)
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray

from gen.data.derived import INPUT, Derivation
from gen.data.domains import INPUT_DOMAIN, Domains
from gen.errors import InputError
from gen.family import Column
from gen.settings import Settings, check, nearest

SPLITS = ("train", "validation", "test")


class Published(NamedTuple):
    """One published file."""

    path: str
    """Relative to the data set's folder, here and in a mirror."""
    url: str | None
    """Where its authors publish it; None when there is no direct download."""
    checksum: str | None
    """`sha256:...` or `md5:...` as published; None when the authors publish none."""
    remedy: str = ""
    """For a file without a direct download: where a person gets it."""
    instead_of: tuple[str, ...] = ()
    """Other paths under which a mirror may hold the same content (an unzipped folder's file, say)."""


class Chunk(NamedTuple):
    """Consecutive rows of one split."""

    split: str
    images: Shaped[ndarray, "n c h w"]
    """Raw: uint8 pixels, or float32 coordinates of points."""
    labels: Int[ndarray, " n"]
    ids: Sequence[str]
    """What the publisher calls each row: a file name, a position."""
    extras: Mapping[str, Shaped[ndarray, "n ..."]] = {}
    """The further columns that the source describes."""


class Description(NamedTuple):
    """What all samples of a data set have in common."""

    shape: tuple[int, int, int]
    """Channels, height, width."""
    dtype: str
    """`uint8` for pixels, `float32` for points."""
    classes: tuple[str, ...]
    """Names of the labels, in their order; empty when there are none."""
    scale: float = 1.0
    """For points: coordinates are divided by it, which brings them into [-1, 1]."""
    columns: Mapping[str, Column] = {}
    """Further columns, such as CelebA's attributes."""
    settings: Mapping[str, Any] = {}
    """What decides the pixels: crop, size, filter. Kept in the manifest."""
    domains: tuple[str, ...] = ()
    """Further sets of images of the same shape, unpaired with the first: each has splits `<split>.<domain>`."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of all splits that rows may be of."""
        return (*SPLITS, *(f"{split}.{domain}" for domain in self.domains for split in SPLITS))


def filled_up(rows: Sequence[Sequence[Any]], length: int, fill: Any, where: str) -> Shaped[ndarray, "n length ..."]:
    """Rows of different lengths, such as sentences, as one array: each filled up at its end.

    Compressed, what is filled up takes no room: shapes that never change are worth more than lists.

    Args:
        rows: a list of entries for each row; an entry is a number, or several of one shape (a box, say).
        length: entries of a row in the array.
        fill: an entry that stands for none.
        where: the file, for errors.

    Raises:
        InputError: a row is longer than `length`.
    """
    for number, row in enumerate(rows):
        if len(row) > length:
            raise InputError(f"{where}: row {number} has {len(row)} entries; there is room for {length}")
    return np.array([[*row, *[fill] * (length - len(row))] for row in rows])


def check_chunk(chunk: Chunk, description: Description, classes: int, where: str) -> None:
    """A source yields what it describes.

    Raises:
        InputError: unknown split, another shape or type, other columns, columns of different lengths, labels that are
            no class, coordinates that are not finite or exceed the scale, numbers that are no word of a column.
    """
    where = f"{where}: {chunk.split} rows"
    if chunk.split not in description.splits:
        raise InputError(f"{where}: no such split; known: {', '.join(description.splits)}")
    shape, dtype = tuple(chunk.images.shape[1:]), str(chunk.images.dtype)
    if (shape, dtype) != (tuple(description.shape), description.dtype):
        raise InputError(f"{where}: {dtype} of shape {shape}, described as {description.dtype} of {description.shape}")
    found = {name: (str(values.dtype), values.shape[1:]) for name, values in chunk.extras.items()}
    columns = {name: (column.dtype, column.shape) for name, column in description.columns.items()}
    if found != columns:
        raise InputError(f"{where}: columns {found or 'none'}, described as {columns or 'none'}")
    for name, column in description.columns.items():
        values, words = chunk.extras[name], len(column.words)
        if words and values.size and not 0 <= values.min() <= values.max() < words:
            low, high = values.min(), values.max()
            raise InputError(f"{where}: {name} from {low} to {high}; its {words} words are 0 to {words - 1}")
    lengths = {"images": len(chunk.images), "labels": len(chunk.labels), "ids": len(chunk.ids)}
    lengths |= {name: len(values) for name, values in chunk.extras.items()}
    if len(set(lengths.values())) > 1:
        message = ", ".join(f"{rows} {name}" for name, rows in lengths.items())
        raise InputError(f"{where}: {message}; one of each for every row")
    if classes and len(chunk.labels) and not 0 <= chunk.labels.min() <= chunk.labels.max() < classes:
        low, high = chunk.labels.min(), chunk.labels.max()
        raise InputError(f"{where}: labels from {low} to {high}; the {classes} classes are 0 to {classes - 1}")
    if description.dtype == "float32" and not (abs(chunk.images) <= description.scale).all():
        raise InputError(f"{where}: coordinates are finite and within the described scale of {description.scale:g}")


@runtime_checkable
class Source(Protocol):
    """The module of one source."""

    Config: type[Settings]

    def files(self, config: Any) -> Sequence[Published]:
        """The published files it reads; none for data that is generated or embedded."""
        ...

    def read(self, raw: Path, config: Any) -> Iterator[Chunk]:
        """Rows of the files in `raw`. Raises InputError on anything that is not as published."""
        ...

    def describe(self, config: Any) -> Description:
        """What all samples have in common."""
        ...


@runtime_checkable
class Gathers(Protocol):
    """Ability of a source of a person's own files: it copies them in when they are fetched."""

    def gather(self, raw: Path, config: Any) -> Iterator[tuple[str, str]]:
        """Write the files into `raw`; yields the path of each there, and where it comes from."""
        ...


@runtime_checkable
class Classed(Protocol):
    """Ability of a source whose classes stand in its files, not in its format."""

    def classes(self, raw: Path, config: Any) -> tuple[str, ...]:
        """Names of the labels, in their order."""
        ...


def source_names() -> list[str]:
    """Every source there is: the files of gen/data/sources."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module("gen.data.sources").__path__))


def load_source(name: str, where: str = "source") -> Source:
    """The source of `gen/data/sources/<name>.py`.

    Raises:
        InputError: there is no such file.
    """
    if name not in source_names():
        raise InputError(f"{where}: unknown source {name!r}; {nearest(name, source_names())}")
    return cast(Source, importlib.import_module(f"gen.data.sources.{name}"))


class Entry(NamedTuple):
    """A data set of params.yaml: its source, the source's own section, and what is made of its pictures."""

    kind: str
    config: Settings
    derivation: Derivation | None = None
    """What pairs."""
    domains: Domains | None = None
    """Which two domains."""

    @property
    def source(self) -> Source:
        """The module of its source."""
        return load_source(self.kind)

    def describe(self) -> Description:
        """What all samples have in common."""
        described = self.source.describe(self.config)
        if self.derivation:
            column = self.derivation.column(described.shape, described.dtype)
            return described._replace(columns={**described.columns, INPUT: column})
        if self.domains:
            return described._replace(classes=self.domains.names, domains=(INPUT_DOMAIN,))
        return described

    def classes(self, raw: Path) -> tuple[str, ...]:
        """Names of the labels, in their order."""
        return self.domains.names if self.domains else self._published(raw)

    def _published(self, raw: Path) -> tuple[str, ...]:
        """Those that the files in `raw` say, or those of the format."""
        source = self.source
        return source.classes(raw, self.config) if isinstance(source, Classed) else source.describe(self.config).classes

    def read(self, raw: Path) -> Iterator[Chunk]:
        """Rows of the files in `raw`. Raises InputError on anything that is not as published."""
        chunks = self.source.read(raw, self.config)
        if self.derivation:
            for chunk in chunks:
                yield chunk._replace(extras={**chunk.extras, INPUT: self.derivation.of(chunk.images)})
        elif self.domains:
            yield from self._split(chunks, raw, self.domains)
        else:
            yield from chunks

    def _split(self, chunks: Iterator[Chunk], raw: Path, domains: Domains) -> Iterator[Chunk]:
        """The rows of each domain. Raises InputError where one has none to train on, or is not known."""
        classes = self._published(raw)
        try:
            domains.check(classes, flags(self.source.describe(self.config)))
        except ValueError as error:
            raise InputError(f"{raw.name}: {error}") from None
        trained_on = dict.fromkeys(domains.names, 0)
        for chunk in chunks:
            for label, (name, split) in enumerate(
                zip(domains.names, (f"{chunk.split}.{INPUT_DOMAIN}", chunk.split), strict=True)
            ):
                at = np.flatnonzero(domains.rows(name, chunk.labels, chunk.extras, classes))
                trained_on[name] += len(at) * (chunk.split == SPLITS[0])
                extras = {key: values[at] for key, values in chunk.extras.items()}
                ids = [chunk.ids[row] for row in at.tolist()]
                yield Chunk(split, chunk.images[at], np.full(len(at), label, np.int64), ids, extras)
        if lacking := [name for name, rows in trained_on.items() if not rows]:
            raise InputError(f"{raw.name}: domains: no image to train on is {lacking[0]!r}; choose another domain")


def flags(description: Description) -> list[str]:
    """The columns that are true or false of each image."""
    columns = description.columns.items()
    return [name for name, column in columns if (column.dtype, column.shape) == ("bool", ())]


def check_dataset(values: Mapping[str, Any], where: str) -> Entry:
    """One entry of `datasets` in params.yaml.

    Raises:
        InputError: there is no such source, or a field that does not fit it.
    """
    rest = dict(values)
    if not isinstance(name := rest.pop("source", None), str):
        raise InputError(f"{where}.source: missing; one of {', '.join(source_names())}")
    made, parted = rest.pop(INPUT, None), rest.pop("domains", None)
    source = load_source(name, f"{where}.source")
    config = check(source.Config, rest, where)
    if made is None and parted is None:
        return Entry(name, config)
    described = source.describe(config)
    if made is not None and parted is not None:
        raise InputError(f"{where}: input makes pairs, domains have none; leave one of them out")
    if INPUT in described.columns or described.domains:
        raise InputError(f"{where}.{INPUT if parted is None else 'domains'}: {name} has them already; leave it out")
    entry = Entry(
        name,
        config,
        None if made is None else check(Derivation, made, f"{where}.{INPUT}"),
        None if parted is None else check(Domains, parted, f"{where}.domains"),
    )
    try:
        entry.describe()
        if entry.domains and not isinstance(source, Classed):
            entry.domains.check(described.classes, flags(described))
    except ValueError as error:
        raise InputError(f"{where}.{error}") from None
    return entry
