"""What evaluate@ and svm@ leave for compare@: numbers in metrics.json, and in protocol.json how they were had."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, field_validator

from gen.errors import InputError
from gen.settings import Settings, check
from pipelines.model_folder import weights_digest


class Written(Settings, extra="ignore", strict=True):
    """JSON of a stage, as far as it is read again."""


class Number(Written):
    """A metric in metrics.json."""

    mean: float
    """Over draws of samples, or over labelled sets."""
    sd: float = Field(ge=0)
    """Over the same."""


class Protocol(Written):
    """What every protocol.json says."""

    weights_sha256: str
    """Of the model that was measured."""


class Counts(Written):
    """How many images, or parts of them, some metrics look at."""

    precision_recall_memorisation: int
    """Samples, and as many real images."""
    kernel_subsets: int
    """Over which KID is averaged."""
    kernel_subset: int
    """Images of each."""
    training_images: int
    """Among which the nearest of a sample are looked for."""
    inception_score_splits: int | None = None
    """Parts of the samples over which it is averaged, where the extractor names classes."""


class Extractor(Written):
    """What an extractor was, and what it saw."""

    sha256: str
    """Of its weights; empty when it has none."""
    reference_sha256: str
    """Of its weights and the real images' statistics."""
    test_accuracy: float | None = None
    """Of a classifier."""
    singular_covariance: bool
    """Whether one was: the Frechet distance says less then."""
    counts: Counts
    """How many images its metrics look at."""
    validation_images: dict[str, float]
    """`images`, how many there are, and their metrics, as if a model had drawn them; empty when they are too few."""

    @field_validator("validation_images")
    @classmethod
    def _counted(cls, found: dict[str, float]) -> dict[str, float]:
        if found and "images" not in found:
            raise ValueError("lacks images, how many there are")
        return found


class Evaluation(Protocol):
    """protocol.json of evaluate@."""

    dataset: str
    """Its name."""
    split: str
    """Of real images that samples are held against."""
    real_images: int
    """Rows of that split."""
    samples: int
    """Drawn for each seed."""
    seeds: int
    """Draws of samples."""
    averaged_weights: bool
    """Whether the model's are an average over steps."""
    extractors: dict[str, Extractor] = Field(min_length=1)
    """By name, the data set's first one first."""


P = TypeVar("P", bound=Protocol)


def results(folder: Path, stage: str, kind: type[P], model: Path) -> tuple[dict[str, Number], P]:
    """The numbers of a folder, and their protocol.

    Args:
        folder: the stage wrote it.
        stage: makes it anew.
        kind: of protocol.
        model: the folder of the model that is to be what was measured.

    Raises:
        InputError: a file is missing or damaged, or they are of other weights.
    """
    numbers, protocol = (read_json(folder / name, stage) for name in ("metrics.json", "protocol.json"))
    try:
        found = {metric: check(Number, one, f"{folder}/metrics.json.{metric}") for metric, one in numbers.items()}
        said = check(kind, protocol, f"{folder}/protocol.json")
    except InputError as error:
        raise InputError(f"{error}; run dvc repro -s -f {stage}") from None
    if said.weights_sha256 != weights_digest(model):
        raise InputError(f"{folder}: of other weights than {model} has; run dvc repro {stage}")
    return found, said


def read_json(path: Path, stage: str) -> dict[str, Any]:
    """What a stage wrote, which is never nothing. Raises InputError when it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; run dvc repro {stage}") from None
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: damaged; run dvc repro -s -f {stage}")
    return found
