"""What a linear classifier makes of a model's features when it has many labels: how much of the classes they hold.

svm@ asks the same with few labels, by the papers' protocol, and takes much longer.
"""

from itertools import islice

import torch

from gen.abilities import Features
from gen.data.dataset import Dataset
from gen.evaluation.real_images import images
from gen.evaluators import Number, Subject
from gen.extractors import AT_ONCE
from gen.metrics.svm import fit, predict

ROWS = 1000
"""Of the training split, at most, that the classifier learns from; of the validation split, that choose C."""
COSTS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of standardised features."""
NUMBERS = {
    "linear_probe_accuracy": Number(
        "larger",
        f"Share of test images whose class a linear SVM of the model's features names; trained on {ROWS:,} at most.",
    )
}


def of_weights(subject: Subject) -> dict[str, float]:
    """Nothing of a model without features, or of data without two classes."""
    family, dataset = subject.family, subject.dataset
    if not isinstance(family, Features) or len(dataset.classes) < 2:
        return {}
    side = subject.held_out.images.shape[2]
    resolution = side if side > 1 else None
    seen, labels = features(family, dataset, "train", resolution)
    mean, scale = seen.mean(dim=0), seen.std(dim=0).clamp(min=1e-6)
    machines = fit((seen - mean) / scale, labels, len(dataset.classes), COSTS)
    held, known = features(family, dataset, "validation", resolution)
    right = (predict(machines, (held - mean) / scale) == known).double().mean(dim=1)
    test = of_images(family, subject.held_out.images)
    found = predict(machines, (test - mean) / scale)[int(right.argmax())] == subject.held_out.labels
    return {"linear_probe_accuracy": float(found.double().mean())}


def features(
    family: Features, dataset: Dataset, split: str, resolution: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and labels of the first rows of a split."""
    found: list[torch.Tensor] = []
    for part in images(dataset, split, resolution):
        left = ROWS - sum(map(len, found))
        if left <= 0:
            break
        found.append(of_images(family, part[:left]))
    seen = torch.cat(found)
    shards = islice(dataset.stream(split), len(found))
    return seen, torch.cat([torch.tensor(rows.labels) for rows in shards])[: len(seen)]


def of_images(family: Features, images: torch.Tensor) -> torch.Tensor:
    """Features in float64, some images at a time."""
    return torch.cat([family.features(some) for some in torch.split(images, AT_ONCE)]).double()
