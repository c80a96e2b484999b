"""The floor of a score: that of real images which no model drew. A model's score says something as far as it is above.

It is computed as a score is (gen/training/scores.py), of as many images as a model draws for one. So it also says how
far two models have to lie apart: its spread is that of the score of a perfect model, from draw to draw.
"""

import math
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.data.dataset import Dataset
from gen.data.loader import Loader
from gen.evaluation.reference import Reference
from gen.metrics.moments import gather, moments
from gen.metrics.sliced_wasserstein import projections
from gen.training.scores import SPLIT, frechet_score, points_score

DRAWS = 20
"""Sets of real images that stand for those of a perfect model."""


class Floor(NamedTuple):
    """One score of real images."""

    mean: float
    sd: float | None
    """Of one set; None where there is but one."""
    draws: int
    samples: int
    """Images of each set."""


class Judge(NamedTuple):
    """How features are scored against a split of the real images."""

    samples: int
    """How many a score is taken of."""
    score: Callable[[Float[Tensor, "n d"]], dict[str, float]]
    """Numbers by name, as gen/training/scores.py has them."""


def judge(dataset: Dataset, reference: Reference, split: str, samples: int, seed: int) -> Judge | None:
    """What scores features of generated images, or of other real ones, against a split.

    Args:
        dataset: of the real images.
        reference: its images as an extractor sees them.
        split: of the real images.
        samples: images in a score; of points at most as many as the split has.
        seed: chooses the points of the split that they are held against, as a run's seed does.

    Returns:
        None where the split has fewer than two images.
    """
    if split not in reference.moments:
        return None
    if reference.name != "coordinates":
        held = reference.moments[split]
        return Judge(samples, lambda seen: frechet_score(reference.name, held, moments(gather(seen))))
    rows = min(samples, dataset.rows[split])
    real = projections(Loader(dataset, split, batch_size=rows, seed=seed)[0].images.flatten(1))
    return Judge(rows, lambda seen: points_score(seen, real, dataset.mixture))


def floors(dataset: Dataset, reference: Reference, samples: int, seed: int) -> dict[str, Floor]:
    """Every score of real images that are held out, by name: taken against the validation split, as a model's are.

    They are of the test split, and where that helps of the training split too; but a classifier was trained on those,
    and sees them otherwise than new ones. Sets that share images differ less than new ones would: their spread is
    divided by sqrt(1 - n/N), as that of means of n out of N is smaller.

    Returns:
        Nothing where there are fewer held-out images than a score is taken of.
    """
    first = judge(dataset, reference, SPLIT, samples, seed)
    splits = ["test"] if reference.name == "classifier" else ["test", "train"]
    known = [reference.features(split) for split in splits if split in reference.moments]
    if first is None or not known or (held := torch.cat(known)).shape[0] < first.samples:
        return {}
    found = []
    for number, rows in enumerate(draws(len(held), first.samples)):
        scoring = judge(dataset, reference, SPLIT, samples, seed + number)
        assert scoring is not None
        found.append(scoring.score(held[rows]))
    apart = len(found) * first.samples <= len(held)
    shrunk = 1.0 if apart else math.sqrt(1 - first.samples / len(held))
    return {
        name: Floor(
            statistics.fmean(one[name] for one in found),
            statistics.stdev(one[name] for one in found) / shrunk if len(found) > 1 else None,
            len(found),
            first.samples,
        )
        for name in found[0]
    }


def draws(rows: int, samples: int) -> Iterator[Tensor]:
    """Numbers of rows of each set: without a row in common if there are enough, else each at random for itself.

    There is one set if it takes all rows.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(rows, generator=generator)
    for number in range(DRAWS if samples < rows else 1):
        if DRAWS * samples <= rows:
            yield order[number * samples : (number + 1) * samples]
        else:
            yield torch.randperm(rows, generator=generator)[:samples]
