"""Samples of a mixture of Gaussians, whose modes are known."""

from collections.abc import Sequence

import torch

from gen.abilities import Samples
from gen.data.dataset import Dataset
from gen.evaluation.real_images import images
from gen.evaluation.reference import Reference
from gen.evaluation.sampling import Measured, over_seeds
from gen.evaluators import Number, Subject
from gen.metrics.modes import coverage

DRAWS = 10
"""Blocks of points that real data are measured by."""

NUMBERS = {
    "mode_variation": Number(
        "smaller", "How far the frequencies of modes, and of points of none, are from the mixture's, 0 to 1."
    ),
    "modes_covered": Number("larger", "How many modes have a sample within three standard deviations."),
    "high_quality": Number("larger", "Share of samples that are so near a mode."),
}


def of_model(subject: Subject, seed: int) -> dict[str, float]:
    """Nothing of data that are no mixture, and of a model that does not sample."""
    mixture = subject.dataset.mixture
    if mixture is None or not isinstance(subject.family, Samples):
        return {}
    return coverage(subject.sampler.all(seed, subject.samples).flatten(1), *mixture)


def of_data(dataset: Dataset, references: Sequence[Reference], samples: int) -> dict[str, Measured]:
    """Of blocks of training points, which are as new to the mixture as any others."""
    mixture = dataset.mixture
    if mixture is None or dataset.rows["train"] < samples:
        return {}
    points = torch.cat(list(images(dataset, "train", None))).flatten(1)
    blocks = torch.split(points, samples)[: min(DRAWS, len(points) // samples)]
    return over_seeds([coverage(block, *mixture) for block in blocks])
