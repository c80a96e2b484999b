"""Samples of a finished model by seed, how many of them a number is of, and numbers with their spread."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Conditional, streams_of
from gen.conditions import draw, given, told
from gen.data.dataset import Dataset
from gen.data.loader import Loader, spec_of
from gen.errors import InputError
from gen.evaluation.reference import Reference
from gen.extractors import AT_ONCE, ClassifierExtractor, InceptionExtractor
from gen.family import Condition, Family, Noise
from gen.metrics.kernel_distance import SUBSET
from gen.metrics.neighbours import spans

SPLIT = "test"
"""Real images that finished models are compared with; the validation split has chosen the checkpoint."""


KERNEL_SUBSETS = 50
"""Random subsets of both sides over which the kernel distance is averaged."""
SCORE_SPLITS = 10
"""Parts of the samples over which the Inception score is averaged; fewer of fewer samples."""
SCORE_PART = 100
"""Fewest samples of such a part.

The score of n sure samples of k even classes is about k exp(-(k - 1) / 2n) (Miller 1955, the bias of an entropy): of
ten classes 4% too low at this bound, of parts of a single sample always 1. Fewer samples than a part have no score.
"""


class Measured(NamedTuple):
    """One number and its spread over seeds of sampling."""

    mean: float
    sd: float
    """Of the seeds, with n - 1; 0 for a single one."""


class Summary(NamedTuple):
    """One number of a run, and both of its spreads. They are of different things: draws see one set of weights."""

    mean: float
    """Over trainings, of the means over draws."""
    sd_draws: float
    """Over draws from one training: the root of the mean variance within trainings; 0 for a single draw."""
    sd_trainings: float | None
    """Over trainings with different seeds, of the means over draws, with n - 1; None for a single training."""


def chunks(samples: int) -> list[slice]:
    """The rows of each unit of work, which do not depend on how many workers share them."""
    return list(spans(samples, AT_ONCE))


class Sampler:
    """A finished model's samples, of any family: a conditional one is told what stands in the test split."""

    def __init__(
        self, family: Family, dataset: Dataset, resolution: int | None, device: torch.device | str = "cpu"
    ) -> None:
        """`dataset` and `resolution` are those that the model was trained with."""
        self.family, self.device = family, device
        self.given = given(family, spec_of(dataset, resolution))
        self.held_out: Loader | None = None
        if isinstance(family, Conditional):
            self.held_out = Loader(
                dataset,
                SPLIT,
                batch_size=AT_ONCE,
                seed=0,
                resolution=resolution,
                device=device,
                streams=streams_of(family),
            )

    @torch.inference_mode()
    def draw(self, seed: int, rows: slice, samples: int) -> Float[Tensor, "n c h w"]:
        """One of the `chunks` of the `samples` images that a seed stands for.

        A row depends on the seed and its number alone, and on the kind of device, whose random numbers are its own.
        """
        noise = Noise("evaluate", seed, rows=samples, take=rows, device=self.device)
        return draw(self.family, noise, self.condition(rows))

    def condition(self, rows: slice) -> Condition | None:
        """What the samples of one of the `chunks` are told."""
        if self.held_out is None:
            return None
        condition = told(self.family, self.held_out[rows.start // AT_ONCE])
        return condition and condition.rows(slice(rows.stop - rows.start))

    def all(self, seed: int, samples: int) -> Float[Tensor, "n c h w"]:
        """All that a seed stands for."""
        return torch.cat([self.draw(seed, rows, samples) for rows in chunks(samples)])


def counts(reference: Reference, samples: int) -> dict[str, int]:
    """How many of the samples, and as many real images, some metrics look at; the others look at all.

    And among how many training images the nearest are looked for; and where the extractor names classes, and there are
    samples enough, how many parts of them have an Inception score.
    """
    few = min(len(reference.features(SPLIT)), samples)
    found = {
        "precision_recall_memorisation": few,
        "kernel_subsets": KERNEL_SUBSETS,
        "kernel_subset": min(SUBSET, few),
        "training_images": len(reference.features("train")),
    }
    if isinstance(reference.extract, ClassifierExtractor | InceptionExtractor) and (parts := score_parts(samples)):
        found["inception_score_splits"] = parts
    return found


def score_parts(samples: int) -> int:
    """Over how many parts of the samples the Inception score is averaged; 0 where there are too few for one."""
    return min(SCORE_SPLITS, samples // SCORE_PART)


@torch.inference_mode()
def class_logits(features: Float[Tensor, "n d"], reference: Reference) -> Float[Tensor, "n k"]:
    """What a classifier says of images from their features; of another extractor's, no columns."""
    if not isinstance(reference.extract, ClassifierExtractor):
        return features.new_empty(len(features), 0)
    logits: Tensor = reference.extract.model.head(features)
    return logits


def over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, Measured]:
    """Mean and standard deviation of every name.

    Raises:
        InputError: a number is not finite.
    """
    for name in found[0]:
        if not all(math.isfinite(one[name]) for one in found):
            raise InputError(f"{name} is not finite; the model has diverged")
    return {
        name: Measured(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
        for name in found[0]
        for values in [[one[name] for one in found]]
    }


def over_trainings(found: Sequence[Mapping[str, Measured]]) -> dict[str, Summary]:
    """The numbers of a run from those of its trainings, which all have the same names."""
    return {
        name: Summary(
            statistics.fmean(one.mean for one in values),
            math.sqrt(statistics.fmean(one.sd**2 for one in values)),
            statistics.stdev(one.mean for one in values) if len(values) > 1 else None,
        )
        for name in found[0]
        for values in [[one[name] for one in found]]
    }
