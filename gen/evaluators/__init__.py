"""What is measured of a finished model: a file for each question, found as families are. To add a number, add a file.

A file exports NUMBERS, what each of its numbers means, in the order in which people read them, and one of

    of_samples(seen, reference, seed)   numbers of samples as an extractor sees them. Their names get the extractor's
                                        name behind them, since another extractor says something else. Held-out real
                                        images stand for samples, too: that is the floor of such a number.
    of_model(subject, seed)             numbers of the model itself; none where it lacks the ability. Its file may also
                                        export of_data(dataset, references, samples), their floor.
    of_weights(subject)                 the same, where nothing is drawn: it is asked once, and not for each seed.

All return numbers by name, and raise InputError where they cannot. A name is one of NUMBERS; but for of_samples it may
have an extractor's name behind it. evaluate@, the tables, the page and MLflow read all of this from here.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Literal, NamedTuple

import torch

from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Measured, Sampler
from gen.extractors import ClassifierExtractor, Extracted
from gen.family import Batch, Family, Noise

FIRST = (
    "mixture", "frechet", "kernel", "precision_recall", "likelihood", "importance_weighted",
    "independent_pixels", "classes", "asked_class", "memorisation", "reconstruction", "active_units", "linear_probe",
    "few_labels",
)  # fmt: skip
"""The order of the table; files that are not named here come after these."""


class Number(NamedTuple):
    """What a number means."""

    better: Literal["smaller", "larger", ""]
    """Which way is better; "" where neither is."""
    says: str
    """For people who look at a table, in a sentence."""
    shown: bool = True
    """Whether it stands in the table that people read; table.csv and MLflow have all."""


@dataclass(frozen=True)
class Subject:
    """A finished model, and what it is held against."""

    family: Family
    sampler: Sampler
    dataset: Dataset
    references: Sequence[Reference]
    """Of the data set, by each of its extractors."""
    held_out: Batch
    """The first rows of the test split."""
    samples: int
    """How many are drawn for a number."""

    def noise(self, *key: int | str, rows: int) -> Noise:
        """For what is random in a measurement."""
        return Noise("evaluate", *key, rows=rows)


@cache
def evaluators() -> tuple[ModuleType, ...]:
    """Every file there is, in the order of the table."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    ordered = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in ordered)


def numbers() -> dict[str, Number]:
    """What every number means, by name, in the order of the table."""
    return {name: number for one in evaluators() for name, number in one.NUMBERS.items()}


def number_of(metric: str) -> str | None:
    """The name in `numbers` of a metric, which may have an extractor's name behind it; None of any other."""
    fitting = [name for name in numbers() if metric == name or metric.startswith(f"{name}_")]
    return max(fitting, key=len, default=None)


@torch.inference_mode()
def of_samples(seen: Extracted, reference: Reference, seed: int) -> dict[str, float]:
    """Every number of one draw of samples against the test split, by name.

    Raises:
        InputError: too few samples, features that are not finite, or a number that no file explains.
    """
    found: dict[str, float] = {}
    for one in evaluators():
        if hasattr(one, "of_samples"):
            told = explained(one, one.of_samples(seen, reference, seed))
            found |= {f"{name}_{reference.name}": value for name, value in told.items()}
    return found


@torch.inference_mode()
def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """What numbers of a model would be of real data, by name, as far as evaluators know it."""
    found: dict[str, Measured] = {}
    for one in evaluators():
        if hasattr(one, "of_data"):
            found |= one.of_data(dataset, references, samples)
    return found


@torch.inference_mode()
def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Every number of the model itself, by name. Raises InputError where one cannot be had."""
    found: dict[str, float] = {}
    for one in evaluators():
        if hasattr(one, "of_model"):
            found |= explained(one, one.of_model(subject, seed))
    return found


@torch.inference_mode()
def of_weights(subject: Subject) -> dict[str, float]:
    """Every number of the model itself in which nothing is drawn. Raises InputError where one cannot be had."""
    found: dict[str, float] = {}
    for one in evaluators():
        if hasattr(one, "of_weights"):
            found |= explained(one, one.of_weights(subject))
    return found


def accuracies(name: str, references: Sequence[Reference]) -> dict[str, Measured]:
    """The floor of a number that is a share of images which a classifier is right about: its own on test images."""
    return {
        f"{name}_{reference.name}": Measured(reference.described["test_accuracy"], 0.0)
        for reference in references
        if isinstance(reference.extract, ClassifierExtractor)
    }


def explained(evaluator: ModuleType, found: Mapping[str, float]) -> Mapping[str, float]:
    """What an evaluator has found. Its NUMBERS say what each means: the table would leave out any other.

    Raises:
        InputError: they do not.
    """
    for name in found:
        if number_of(name) not in evaluator.NUMBERS:
            file, known = evaluator.__name__.replace(".", "/"), ", ".join(evaluator.NUMBERS)
            raise InputError(f"{file}.py: NUMBERS does not say what {name} means, only {known}; add it there")
    return found
