"""The floor of every metric: what it says of real images that no model has drawn, as a perfect model's would be.

A Frechet distance of 0 is out of reach: that of n real images is about c / n above that of endlessly many.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gen.evaluation.reference import Reference
from gen.evaluation.sampling import class_logits, over_seeds
from gen.evaluators import of_samples
from gen.extractors import Extracted
from gen.family import seed_of

LEAST = 8
"""Fewest validation images that have a floor: precision and recall are taken of halves, and need 4."""
LINEAR = 4
"""So many times as many images as features make the Frechet distance linear in 1 / n; with 1.2 it was 6% off."""
ANY_NUMBER = ("kid", "memorised", "confidence")
"""Metrics whose expectation is the same of few images as of many."""


def floor_images(reference: Reference, samples: int) -> int:
    """How many real images stand for `samples` of a model: as many, or all validation images kept; 0: too few."""
    rows = reference.described["rows"].get("validation", 0)
    return min(samples, len(reference.features("validation"))) if rows >= LEAST else 0


class Floor(NamedTuple):
    """A metric of real images."""

    mean: float
    sd: float
    """Over draws of as many new images."""
    images: int
    """Of a draw: as many as there are samples, wherever the number does not depend on that, or can be made up for."""


def floor(reference: Reference, samples: int, draws: int) -> dict[str, Floor]:
    """Every metric of validation images against the test split, by name, as if they were `samples` of a model.

    Let N validation images be kept, and n = min(N, `samples`) of them (`floor_images`) stand for samples.

    The mean is that of random draws of n without replacement, which each are as good as n new images; where two such
    draws share more than half of the pool, of one. Draws with replacement would not do: their Frechet distance is above
    that of as many different images, about twice as far above where they are as many as the pool.

    The spread is that of as many new images. Draws of k without replacement from N agree more than new ones do, by
    sqrt(1 - k / N), so their standard deviation is divided by that; k is at most N / 2, and where n is more, the
    standard deviation is that of k times sqrt(k / n). Both are exact for means, to first order for what is smooth in
    them (Shao & Wu 1989, "A general theory for jackknife variance estimation").

    With fewer validation images than samples, what depends on the number of images is that of all N, and says so in
    `images`. The Frechet distance alone is nearly linear in 1 / n (Chong & Forsyth 2020, arXiv:1911.07023), given many
    more images than features: the line through the distances of N / 2 and N images is then followed to 1 / `samples`.
    Its spread stays that of N images. Of an unlucky pool it may be negative, as KID is.

    An extractor whose logits are not a function of its features (Inception) has no floor of the Inception score.

    Args:
        reference: of the data set, by one extractor.
        samples: how many a model is measured by.
        draws: random draws, at least 2 for a spread; the same ones whenever this is called.

    Returns:
        Names as `of_samples` has them; nothing with fewer than LEAST validation images.

    Raises:
        InputError: a number is not finite.
    """
    size = floor_images(reference, samples)
    if not size:
        return {}
    real = reference.features("validation")
    part = min(size, len(real) // 2)
    parts = over_seeds([_numbers(reference, real, chosen(len(real), part, seed), seed) for seed in range(draws)])
    if part == size:
        means = {name: one.mean for name, one in parts.items()}
    else:
        means = _numbers(reference, real, chosen(len(real), size, draws), draws)
    spread = math.sqrt(part / size / (1 - part / len(real)))
    same = {f"{name}_{reference.name}" for name in ANY_NUMBER}
    found = {
        name: Floor(mean, parts[name].sd * spread, samples if name in same else size)
        for name, mean in means.items()
        if name in parts
    }
    fid = f"fid_{reference.name}"
    if size < samples and part >= LINEAR * real.shape[1]:
        slope = (parts[fid].mean - means[fid]) / (1 / part - 1 / size)
        found[fid] = Floor(means[fid] + slope * (1 / samples - 1 / size), found[fid].sd, samples)
    return found


def chosen(rows: int, size: int, seed: int) -> Int[Tensor, " size"]:
    """Which rows a draw without replacement has."""
    generator = torch.Generator().manual_seed(seed_of(seed, "floor"))
    return torch.randperm(rows, generator=generator)[:size]


def _numbers(
    reference: Reference, real: Float[Tensor, "n d"], rows: Int[Tensor, " size"], seed: int
) -> dict[str, float]:
    some = real[rows]
    return of_samples(Extracted(some, class_logits(some, reference)), reference, seed)
