"""Mean and covariance of features, gathered in parts that merge exactly: by batches, by workers, in any number.

A part keeps its own mean and the scatter about it (Chan, Golub & LeVeque, "Algorithms for computing the sample
variance", 1983), so nothing cancels however far the features are from zero, and workers agree on nothing beforehand.
Deviations are taken from the first row (the first part) before averaging: a constant feature has variance 0, exactly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import CHUNK, check_features


class Part(NamedTuple):
    """What is kept of some of the samples."""

    samples: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]
    """Sum over samples of the outer product of the deviation from `mean` with itself."""


class Moments(NamedTuple):
    """Mean and covariance of a set of features."""

    samples: int
    """How many they were taken from."""
    mean: Float64[Tensor, " d"]
    covariance: Float64[Tensor, "d d"]
    """Unbiased: divided by samples - 1."""


def gather(features: Float[Tensor, "n d"]) -> Part:
    """The part of these rows; none at all is a part too.

    Raises:
        InputError: a row is not finite.
    """
    check_features(features, "features", least=0)
    width = features.shape[1]
    first = features[:1].double().sum(dim=0)  # of no rows: zeros
    total, scatter = torch.zeros_like(first), first.new_zeros(width, width)
    for rows in torch.split(features, CHUNK):
        total += (rows.double() - first).sum(dim=0)
    mean = first + total / max(len(features), 1)
    for rows in torch.split(features, CHUNK):
        deviations = rows.double() - mean
        scatter.addmm_(deviations.T, deviations)
    return Part(len(features), mean, scatter)


def merge(parts: Sequence[Part]) -> Part:
    """The part of all rows together, whatever the parts are; in another order it differs by rounding only.

    Raises:
        InputError: there are no samples in any part, or their widths differ.
    """
    filled = [part for part in parts if part.samples]
    if not filled:
        raise InputError(f"features: no samples in {len(parts)} parts; at least one is needed")
    widths = {len(part.mean) for part in filled}
    if len(widths) > 1:
        raise InputError(f"features: parts have widths {sorted(widths)}; all come from one extractor")
    first = filled[0].mean
    samples = sum(part.samples for part in filled)
    mean = first + torch.stack([(part.mean - first) * (part.samples / samples) for part in filled]).sum(dim=0)
    scatter = torch.zeros_like(filled[0].scatter)
    for part in filled:
        gap = part.mean - mean
        scatter += part.scatter
        scatter.addr_(gap, gap, alpha=part.samples)
    return Part(samples, mean, scatter)


def moments(part: Part) -> Moments:
    """Mean and unbiased covariance.

    Raises:
        InputError: fewer than two samples.
    """
    if part.samples < 2:
        raise InputError(f"features: {part.samples} samples; a covariance needs at least 2")
    return Moments(part.samples, part.mean, part.scatter / (part.samples - 1))
