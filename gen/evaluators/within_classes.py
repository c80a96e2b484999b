"""Whether the samples of each class are distributed as its images are, of a class-conditional model."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen.abilities import Conditional
from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import SPLIT, Measured, chunks
from gen.evaluators import Number, Subject
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments

NUMBERS = {
    "fid_within_classes": Number(
        "smaller",
        "FID of the samples that were asked for a class against its test images, the mean over classes (of few images "
        "a class it is large by itself: the floor has as few).",
    ),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """By each extractor; nothing of a model that is not told the class."""
    if not isinstance(subject.family, Conditional) or "labels" not in subject.family.conditions_on:
        return {}
    found = {}
    for reference in subject.references:
        seen, labels = [], []
        for rows in chunks(subject.samples):
            condition = subject.sampler.condition(rows)
            assert condition is not None
            assert condition.labels is not None
            seen.append(reference.extract(subject.sampler.draw(seed, rows, subject.samples)).features)
            labels.append(condition.labels)
        distance = mean_distance(torch.cat(seen), torch.cat(labels), *real(subject.dataset, reference, SPLIT))
        if distance is not None:
            found[f"fid_within_classes_{reference.name}"] = distance
    return found


def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """Of the validation images, as samples."""
    found = {}
    for reference in references:
        if len(dataset.classes) > 1 and dataset.rows.get("validation", 0) > 1 and dataset.rows.get(SPLIT, 0) > 1:
            distance = mean_distance(*real(dataset, reference, "validation"), *real(dataset, reference, SPLIT))
            if distance is not None:
                found[f"fid_within_classes_{reference.name}"] = Measured(distance, 0.0)
    return found


def real(dataset: Dataset, reference: Reference, split: str) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
    """Features of a split's images, and their labels."""
    features = reference.features(split)
    return features, torch.tensor(dataset.read(split).labels[: len(features)])


def mean_distance(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    real_features: Float[Tensor, "m d"],
    real_labels: Int[Tensor, " m"],
) -> float | None:
    """The mean over classes of which both have two images or more; None where there is none."""
    distances = []
    for label in sorted(set(real_labels.tolist())):
        ours, theirs = features[labels == label], real_features[real_labels == label]
        if min(len(ours), len(theirs)) > 1:
            distances.append(frechet_distance(moments(gather(theirs)), moments(gather(ours)))[0])
    return sum(distances) / len(distances) if distances else None
