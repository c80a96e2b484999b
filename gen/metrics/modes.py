"""Mode coverage on toy mixtures, class coverage where a classifier can name what is seen.

The rule of VEEGAN (Srivastava 2017, arXiv:1705.07761, section 4.1), kept by PacGAN (Lin 2018, arXiv:1712.04086): a
sample is of high quality when it is within three standard deviations of its nearest mode; a mode is covered when it is
the nearest one of at least one high-quality sample. Of a mixture's own samples in the plane, 1 - exp(-9/2) = 98.9% are
of high quality.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import check_features
from gen.metrics.neighbours import nearest

SIGMAS = 3.0


class ModeCoverage(NamedTuple):
    """What samples have of a mixture."""

    covered: int
    """Modes with a high-quality sample."""
    high_quality: float
    """Share of the samples that are of high quality."""
    counts: list[int]
    """High-quality samples of each mode, in the order of the centres."""
    variation: float
    """Total variation of how often samples are of each mode, or of none, from the mixture's own frequencies."""


class ClassCoverage(NamedTuple):
    """What samples have of a data set's classes."""

    seen: int
    """Classes with at least one sample."""
    variation: float
    """Total variation of the class frequencies from the reference: 0 when equal, 1 when nothing is shared."""


def mode_coverage(points: Float[Tensor, "n d"], centres: Float[Tensor, "k width"], sigma: float) -> ModeCoverage:
    """Coverage of a mixture with these centres, equally frequent, and one sigma, all in the units of the points.

    A model's points have been divided by its data set's scale: multiply them by `Dataset.scale` first.

    Raises:
        InputError: no points, different widths, values that are not finite, or a sigma that is not above 0.
    """
    if not sigma > 0:
        raise InputError(f"sigma: {sigma}; it is above 0")
    check_features(points, "points", least=1)
    if points.shape[1] != centres.shape[1]:
        raise InputError(
            f"points: width {points.shape[1]}, the centres have {centres.shape[1]}; give both in one space"
        )
    near = nearest(points, centres)
    good = near.distances[:, 0] <= SIGMAS * sigma
    counts = torch.bincount(near.indices[good, 0], minlength=len(centres))
    found = counts.tolist()
    share = float(torch.special.gammainc(torch.tensor(points.shape[1] / 2), torch.tensor(SIGMAS**2 / 2)))
    own = [share / len(found)] * len(found) + [1 - share]
    variation = class_coverage([*found, len(points) - sum(found)], own).variation
    return ModeCoverage(int((counts > 0).sum()), float(good.double().mean()), found, variation)


def coverage(points: Float[Tensor, "n 2"], centres: Float[Tensor, "k 2"], sigma: float) -> dict[str, float]:
    """What points have of a mixture's modes, both in the same units, as metrics; what says most of it first."""
    found = mode_coverage(points, centres, sigma)
    return {
        "mode_variation": found.variation,
        "modes_covered": float(found.covered),
        "high_quality": found.high_quality,
    }


def class_coverage(counts: Sequence[int], reference: Sequence[float] | Sequence[int] | None = None) -> ClassCoverage:
    """Coverage of classes from the number of samples in each; `reference` holds counts or frequencies, default uniform.

    Raises:
        InputError: no samples, a negative count, or a reference of other classes.
    """
    expected = reference if reference is not None else [1.0] * len(counts)
    if len(expected) != len(counts):
        raise InputError(f"reference: {len(expected)} classes, the samples have {len(counts)}; use one classifier")
    for name, numbers in (("counts", counts), ("reference", expected)):
        if min(numbers, default=0) < 0 or not sum(numbers) > 0:
            raise InputError(f"{name}: {list(numbers)}; none is negative and their sum is above 0")
    gaps = [abs(a / sum(counts) - b / sum(expected)) for a, b in zip(counts, expected, strict=True)]
    return ClassCoverage(sum(count > 0 for count in counts), sum(gaps) / 2)
