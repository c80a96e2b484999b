"""What evaluate@ and svm@ leave for compare@: numbers in metrics.json, and in protocol.json how they were had."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from gen.errors import InputError
from gen.settings import Settings, check
from pipelines.reports.model_folder import weights_digest


class Written(Settings, extra="ignore", strict=True):
    """JSON of a stage, as far as it is read again."""


class Number(Written):
    """A metric in metrics.json."""

    mean: float
    """Over trainings, of the means over draws."""
    sd_draws: float = Field(ge=0)
    """Over draws of samples, or of labelled sets, from one training."""
    sd_trainings: float | None = Field(default=None, ge=0)
    """Over trainings with different seeds; None when there was one."""


class Protocol(Written):
    """What every protocol.json says."""

    weights_sha256: tuple[str, ...] = Field(min_length=1, strict=False)
    """Of the models that were measured, one for each training."""


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


class Floor(Number):
    """A metric of held-out real images, as if a model had drawn them: what a perfect model would have."""

    images: int
    """In each draw; fewer than samples where no more can be had, and the number depends on it."""


class Training(Written):
    """One of the trainings of a run."""

    seed: int
    """Of initialisation, order of data, and noise."""
    step: int
    """The checkpoint that was measured."""


class Evaluation(Protocol):
    """protocol.json of evaluate@."""

    trainings: tuple[Training, ...] = Field(min_length=1, strict=False)
    """In the order of their seeds."""

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
    floor: dict[str, Floor]
    """By metric, of those that can be taken of real data."""
    score_floor: dict[str, Floor]
    """By score of checkpoints, against the validation split."""


P = TypeVar("P", bound=Protocol)


def results(folder: Path, stage: str, kind: type[P], models: Sequence[Path]) -> tuple[dict[str, Number], P]:
    """The numbers of a folder, and their protocol.

    Args:
        folder: the stage wrote it.
        stage: makes it anew.
        kind: of protocol.
        models: the folders of the models that are to be what was measured.

    Raises:
        InputError: a file is missing or damaged, or they are of other weights.
    """
    numbers, protocol = (read_json(folder / name, stage) for name in ("metrics.json", "protocol.json"))
    try:
        found = {metric: check(Number, one, f"{folder}/metrics.json.{metric}") for metric, one in numbers.items()}
        message = check(kind, protocol, f"{folder}/protocol.json")
    except InputError as error:
        raise InputError(f"{error}; run dvc repro -s -f {stage}") from None
    if message.weights_sha256 != tuple(map(weights_digest, models)):
        raise InputError(f"{folder}: of other weights than {models[0]} has; run dvc repro {stage}")
    return found, message


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
