"""What models of a data set are held against: features of its real images, computed once and kept.

<folder>/classifier.safetensors    the extractor's weights (or inception.pth; none for coordinates)
         features.safetensors      float32 features of every split
         statistics.safetensors    float64 mean and covariance of every split
         reference.json            what they are of and by; sha256 of the others; written last
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.loader import padded
from gen.data.sections import Store
from gen.data.shards import Rows
from gen.errors import InputError
from gen.family import ImageShape
from gen.metrics.classifier import Classifier
from gen.metrics.extractors import AT_ONCE, ClassifierExtractor, CoordinateExtractor, Extractor, InceptionExtractor
from gen.metrics.inception import load_inception
from gen.metrics.moments import Moments, Part, gather, merge, moments
from gen.metrics.neighbours import nearest, spans

DESCRIPTION = "reference.json"
FORMAT = 1
FEATURES, STATISTICS = "features.safetensors", "statistics.safetensors"
KEPT = 50_000
"""Images of a split whose features are kept; statistics are of all."""
PIECE = 1000
"""Most images of a piece of work."""


class Piece(NamedTuple):
    """Some rows of a shard: the unit of work, which does not depend on how many workers share it."""

    split: str
    shard: int
    rows: slice


@dataclass(frozen=True)
class Reference:
    """Real images as an extractor sees them."""

    folder: Path
    described: Mapping[str, Any]
    """reference.json."""
    extract: Extractor
    moments: Mapping[str, Moments]
    """Of every split that has two rows."""
    inception_dtype: torch.dtype = torch.float32
    """What an Inception network computes in."""

    @property
    def name(self) -> str:
        """The extractor's; metrics carry it in theirs. Rounded features are another extractor's."""
        name = str(self.described["extractor"])
        rounded = name.startswith("inception_") and self.inception_dtype is torch.bfloat16
        return f"{name}_bfloat16" if rounded else name

    @property
    def digest(self) -> str:
        """sha256 of the extractor's weights and of the real images' statistics."""
        files = {name: sha for name, sha in self.described["sha256"].items() if name != FEATURES}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    def features(self, split: str) -> Float[Tensor, "n d"]:
        """Of a split's images in published order, the first KEPT of them.

        Raises:
            InputError: there are fewer than two, or the file is damaged.
        """
        if self.described["rows"].get(split, 0) < 2:
            raise InputError(f"{self.described['dataset']}: split {split!r} has fewer than 2 images; prepare more")
        return self._features[split]

    @functools.cached_property
    def _features(self) -> dict[str, Tensor]:
        return _tensors(self.folder, FEATURES, self.described)

    @functools.cached_property
    def spacing(self) -> float:
        """Median distance of test images to their nearest training image. Raises InputError as `features` does."""
        return float(nearest(self.features("test"), self.features("train")).distances.median())


def write_reference(
    folder: Path,
    *,
    extractor: str,
    dataset: Dataset,
    size: int | None,
    notes: Mapping[str, Any],
    move: Callable[[int], None],
    share: Callable[[Sequence[Piece]], Iterable[Float[Tensor, "n d"]]] | None = None,
) -> None:
    """Extract the features of every split with the extractor whose weights lie in `folder`, and describe all of it.

    Args:
        folder: holds the weights; the rest is written to it.
        extractor: its name.
        dataset: the real images.
        size: images are padded to it; None: as prepared.
        notes: whatever else reference.json shall say.
        move: called with the number of images done since its last call.
        share: gives `piece_features` of each piece, in order; None: they are computed here.

    Raises:
        InputError: the weights are missing or wrong, or the images are not what the extractor is for.
    """
    image = padded(dataset, size)
    if share is None:
        extract = load_extractor(folder, extractor, image, len(dataset.classes))
        share = functools.partial(map, lambda piece: piece_features(dataset, piece, size, extract))
    pieces = [
        Piece(split, index, rows)
        for split in dataset.rows
        for index, shard in enumerate(dataset.shards(split))
        for rows in spans(shard.rows, PIECE)
    ]
    features, statistics = _by_split(zip(pieces, share(pieces), strict=True), move)
    safetensors.torch.save_file(features, folder / FEATURES)
    safetensors.torch.save_file(statistics, folder / STATISTICS)
    described = {
        "format": FORMAT,
        "extractor": extractor,
        "dataset": dataset.name,
        "data_digest": dataset.digest,
        "classes": list(dataset.classes),
        "image": list(image),
        "rows": dataset.rows,
        **notes,
        "sha256": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n")


def _by_split(
    seen: Iterable[tuple[Piece, Float[Tensor, "n d"]]], move: Callable[[int], None]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The first features of each split, and the mean and covariance of all; of splits with two images or more."""
    kept: dict[str, list[Tensor]] = {}
    parts: dict[str, Part] = {}
    for piece, some in seen:
        split, part = piece.split, gather(some)
        before = parts.get(split)
        parts[split] = merge([before, part]) if before else part
        if not before or before.samples < KEPT:
            kept.setdefault(split, []).append(some)
        move(part.samples)
    enough = [split for split, part in parts.items() if part.samples >= 2]
    found = {split: moments(parts[split]) for split in enough}
    statistics = {f"{split}.mean": one.mean for split, one in found.items()}
    statistics |= {f"{split}.covariance": one.covariance for split, one in found.items()}
    return {split: torch.cat(kept[split])[:KEPT] for split in enough}, statistics


def open_reference(folder: Path, inception_dtype: torch.dtype = torch.float32) -> Reference:
    """What `write_reference` wrote; features are read when they are asked for.

    Args:
        folder: it was written to.
        inception_dtype: what an Inception network computes in: bfloat16, three times as fast, for looks in training.

    Raises:
        InputError: a file is missing or damaged.
    """
    path, remedy = folder / DESCRIPTION, _remedy(folder)
    try:
        described = json.loads(path.read_bytes())
        kinds = {"extractor": str, "data_digest": str, "image": list, "classes": list, "rows": dict, "sha256": dict}
        complete = described["format"] == FORMAT and all(isinstance(described[key], kinds[key]) for key in kinds)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {remedy}") from None
    except (ValueError, TypeError, KeyError):
        complete = False
    if not complete:
        raise InputError(f"{path}: damaged; {remedy}")
    for name, expected in described["sha256"].items():
        if name not in (FEATURES, STATISTICS) and _sha256(folder / name) != expected:
            raise InputError(f"{folder / name}: missing or damaged; {remedy}")
    statistics = _tensors(folder, STATISTICS, described)
    found = {
        split: Moments(rows, statistics[f"{split}.mean"], statistics[f"{split}.covariance"])
        for split, rows in described["rows"].items()
        if f"{split}.mean" in statistics
    }
    image = ImageShape(*described["image"])
    extract = load_extractor(folder, described["extractor"], image, len(described["classes"]), inception_dtype)
    return Reference(folder, described, extract, found, inception_dtype)


def load_extractor(
    folder: Path, name: str, image: ImageShape, classes: int, inception_dtype: torch.dtype = torch.float32
) -> Extractor:
    """The extractor of that name, with the weights in `folder`.

    Raises:
        InputError: the weights are missing or wrong.
    """
    if name == "coordinates":
        return CoordinateExtractor()
    if name.startswith("inception_"):
        return InceptionExtractor(
            load_inception(folder / "inception.pth", inception_dtype), name.removeprefix("inception_")
        )
    model = Classifier(image, classes)
    path = folder / "classifier.safetensors"
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:200]}; {_remedy(folder)}") from None
    return ClassifierExtractor(model)


def images(dataset: Dataset, split: str, size: int | None) -> Iterator[Float[Tensor, "n c h w"]]:
    """The images of a split in published order, in [-1, 1], padded to `size`; a shard at a time."""
    for rows in dataset.stream(split):
        yield _shown(dataset, rows, size)


def piece_features(
    dataset: Dataset, piece: Piece, size: int | None, extract: Extractor, device: torch.device | str = "cpu"
) -> Float[Tensor, "n d"]:
    """What an extractor, which is on `device`, sees in the images of a piece, in order; they are padded to `size`."""
    rows = dataset.read_shard(dataset.shards(piece.split)[piece.shard])
    some = rows._replace(images=rows.images[piece.rows], labels=rows.labels[piece.rows], extras={})
    parts = torch.split(_shown(dataset, some, size), AT_ONCE)
    return torch.cat([extract(some.to(device)).features.cpu() for some in parts])


def _shown(dataset: Dataset, rows: Rows, size: int | None) -> Float[Tensor, "n c h w"]:
    points = dataset.dtype.kind == "f"
    raw = torch.float32 if points else torch.uint8
    store = Store(len(rows.labels), padded(dataset, size), raw, torch.device("cpu"), channels_last=False)
    found = store.fill([rows]).take(torch.arange(len(rows.labels))).images
    return found / dataset.scale if points else found / 127.5 - 1


def _tensors(folder: Path, name: str, described: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / name
    if _sha256(path) != described["sha256"].get(name):
        raise InputError(f"{path}: missing or damaged; {_remedy(folder)}")
    found: dict[str, Tensor] = safetensors.torch.load_file(path)
    return found


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(folder: Path) -> str:
    return f"run dvc repro reference@{folder.parent.name}"
