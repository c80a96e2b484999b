"""Whether a class-conditional model draws the class that was asked for."""

from collections.abc import Sequence

from gen.abilities import Conditional
from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Measured, chunks
from gen.evaluators import Number, Subject, accuracies
from gen.extractors import ClassifierExtractor

NUMBERS = {
    "asked_class": Number(
        "larger",
        "Share of samples which the classifier takes for the class that was asked for; of real images, its accuracy.",
    ),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """By each classifier of the data set's labels; nothing of a model that is not class-conditional."""
    family = subject.family
    if not isinstance(family, Conditional) or "labels" not in family.conditions_on:
        return {}
    found = {}
    for reference in subject.references:
        if not isinstance(reference.extract, ClassifierExtractor):
            continue
        right = 0
        for rows in chunks(subject.samples):
            condition = subject.sampler.condition(rows)
            assert condition is not None
            assert condition.labels is not None
            message = reference.extract(subject.sampler.draw(seed, rows, subject.samples)).logits.argmax(dim=1)
            right += int((message == condition.labels).sum())
        found[f"asked_class_{reference.name}"] = right / subject.samples
    return found


def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """The share of test images that each classifier is right about."""
    return accuracies("asked_class", references)
