"""What models of a data set are held against: features of its real images, computed once and kept.

<folder>/classifier.safetensors    the extractor's weights (or inception.pth; none for pixels and coordinates)
         features.safetensors      float32 features of every split
         statistics.safetensors    float64 mean and covariance of every split
         reference.json            what they are of and by; sha256 of the others; written last
"""

import functools
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
from jaxtyping import Float
from pydantic import Field
from safetensors import SafetensorError
from torch import Tensor

from gen.config.extractors import ROUNDED
from gen.data.dataset import Dataset
from gen.data.loader import padded
from gen.data.source import SPLITS
from gen.errors import InputError
from gen.evaluation.real_images import Piece, piece_features
from gen.extractors import (
    ClassifierExtractor,
    CoordinateExtractor,
    Extractor,
    InceptionExtractor,
    PixelExtractor,
)
from gen.extractors.classifier import Classifier
from gen.extractors.inception import load_inception
from gen.family import ImageShape
from gen.metrics.moments import Moments, Part, gather, merge, moments
from gen.metrics.neighbours import nearest, spans
from gen.settings import Settings, check
from gen.shapes import shapes_only

DESCRIPTION = "reference.json"
FORMAT = 1
FEATURES, STATISTICS = "features.safetensors", "statistics.safetensors"
KEPT = 50_000
"""Images of a split whose features are kept; statistics are of all."""
NEAR = 0.05
"""Share of the test images that count as near to a training image."""
PIECE = 1000
"""Most images of a piece of work."""


class Metadata(Settings, extra="ignore", strict=True):
    """What reference.json has to say, besides notes."""

    format: Literal[1]
    """FORMAT."""
    extractor: Literal[
        "classifier",
        "coordinates",
        "inception_bilinear",
        "inception_bicubic",
        "inception_bilinear_bfloat16",
        "inception_bicubic_bfloat16",
        "pixels",
    ]
    """Whose features these are."""
    dataset: str
    """The name of what they are of."""
    data_digest: str
    """Of its prepared rows."""
    classes: list[str]
    """Names of its labels."""
    image: list[Annotated[int, Field(gt=0)]] = Field(min_length=3, max_length=3)
    """Channels, height, width of what the extractor is shown."""
    rows: dict[str, Annotated[int, Field(ge=0)]]
    """Images of each split."""
    test_accuracy: float | None = None
    """Of a classifier."""
    sha256: dict[str, str]
    """Of the other files."""


@dataclass(frozen=True)
class Reference:
    """Real images as an extractor sees them."""

    folder: Path
    described: Mapping[str, Any]
    """reference.json."""
    extract: Extractor
    moments: Mapping[str, Moments]
    """Of every split that has two rows."""

    @property
    def name(self) -> str:
        """The extractor's; metrics carry it in theirs."""
        return str(self.described["extractor"])

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
        found = _tensors(self.folder, FEATURES, self.described)
        for split, (rows, mean, _) in self.moments.items():
            _check(self.folder / FEATURES, split, found.get(split), (min(rows, KEPT), len(mean)), torch.float32)
        return found

    @functools.cached_property
    def near(self) -> float:
        """The distance to the nearest training image that NEAR of the test images do not exceed.

        Raises:
            InputError: as `features` does.
        """
        distances = nearest(self.features("test"), self.features("train")).distances
        return float(distances.quantile(NEAR, interpolation="lower"))


def write_reference(
    folder: Path,
    *,
    extractor: str,
    dataset: Dataset,
    resolution: int | None,
    splits: Collection[str] = SPLITS,
    notes: Mapping[str, Any],
    move: Callable[[int], None],
    share: Callable[[Sequence[Piece]], Iterable[Float[Tensor, "n d"]]] | None = None,
) -> None:
    """Extract the features of splits with the extractor whose weights lie in `folder`, and describe all of it.

    Args:
        folder: holds the weights; the rest is written to it.
        extractor: its name.
        dataset: the real images.
        resolution: images are padded to it; None: as prepared.
        splits: whose images.
        notes: whatever else reference.json shall say.
        move: called with the number of images done since its last call.
        share: gives `piece_features` of each piece, in order; None: they are computed here.

    Raises:
        InputError: the weights are missing or wrong, or the images are not what the extractor is for.
    """
    image = padded(dataset, resolution)
    if share is None:
        extract = load_extractor(folder, extractor, image, len(dataset.classes))
        share = functools.partial(map, lambda piece: piece_features(dataset, piece, resolution, extract))
    pieces = [
        Piece(split, index, rows)
        for split in dataset.rows
        if split in splits
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
        "rows": {split: rows for split, rows in dataset.rows.items() if split in splits},
        **notes,
        "sha256": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


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


def open_reference(folder: Path) -> Reference:
    """What `write_reference` wrote to `folder`; features are read when they are asked for.

    Raises:
        InputError: a file is missing or damaged.
    """
    path, remedy = folder / DESCRIPTION, _remedy(folder)
    try:
        described = json.loads(path.read_bytes())
        check(Metadata, described, str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {remedy}") from None
    except InputError as error:
        raise InputError(f"{error}; {remedy}") from None
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{path}: damaged; {remedy}") from None
    for name, expected in described["sha256"].items():
        if name not in (FEATURES, STATISTICS) and _sha256(folder / name) != expected:
            raise InputError(f"{folder / name}: missing or damaged; {remedy}")
    found = {}
    statistics = _tensors(folder, STATISTICS, described)
    for split, rows in described["rows"].items():
        if rows >= 2:
            mean, covariance = (statistics.get(f"{split}.{what}") for what in ("mean", "covariance"))
            width = 0 if mean is None else mean.numel()
            mean = _check(folder / STATISTICS, split, mean, (width,), torch.float64)
            covariance = _check(folder / STATISTICS, split, covariance, (width, width), torch.float64)
            found[split] = Moments(rows, mean, covariance)
    image = ImageShape(*described["image"])
    extract = load_extractor(folder, described["extractor"], image, len(described["classes"]))
    return Reference(folder, described, extract, found)


def load_extractor(folder: Path, name: str, image: ImageShape, classes: int) -> Extractor:
    """The extractor of that name, with the weights in `folder`.

    Raises:
        InputError: the weights are missing or wrong.
    """
    if name == "coordinates":
        return CoordinateExtractor()
    if name == "pixels":
        return PixelExtractor(image)
    if name.startswith("inception_"):
        dtype = torch.bfloat16 if name.endswith(ROUNDED) else torch.float32
        resizer = name.removeprefix("inception_").removesuffix(ROUNDED)
        return InceptionExtractor(load_inception(folder / "inception.pth", dtype), resizer)
    with shapes_only():  # neither random weights nor memory for any: it has to fit those of the file first
        model = Classifier(image, classes)
    path = folder / "classifier.safetensors"
    try:
        model.load_state_dict(safetensors.torch.load_file(path), assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:200]}; {_remedy(folder)}") from None
    return ClassifierExtractor(model.float())


def _tensors(folder: Path, name: str, described: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / name
    try:
        if _sha256(path) == described["sha256"].get(name, ""):
            found: dict[str, Tensor] = safetensors.torch.load_file(path)
            return found
    except SafetensorError:
        pass
    raise InputError(f"{path}: missing or damaged; {_remedy(folder)}")


def _check(path: Path, split: str, found: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """What a file has of a split, if it is what reference.json and the other file make of it. Raises InputError."""
    if found is None or found.shape != shape or found.dtype != dtype or not bool(found.isfinite().all()):
        raise InputError(f"{path}: not of split {split!r} as {DESCRIPTION} has it; {_remedy(path.parent)}")
    return found


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(folder: Path) -> str:
    """What is missing DVC makes or has; what is damaged it has to make anew: its cache may hold the same."""
    return f"run dvc repro {'-s -f ' if (folder / DESCRIPTION).exists() else ''}reference@{folder.parent.name}"
