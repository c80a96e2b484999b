"""Kernel distance of two sets of features: KID when they are those of the FID Inception.

Binkowski, Sutherland, Arbel & Gretton, "Demystifying MMD GANs", 2018 (arXiv:1801.01401), section 4: the unbiased
estimate of the squared maximum mean discrepancy with the kernel k(x, y) = (x.y / d + 1)^3, averaged over random
subsets. Unlike FID's, its expectation does not depend on the number of samples, and it may be negative.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gen.errors import InputError
from gen.family import seed_of
from gen.metrics.checks import check_pair, check_positive

SUBSET = 1000
"""Samples of each set in a subset, unless told."""


class KernelDistance(NamedTuple):
    """Mean and spread over subsets."""

    mean: float
    sd: float
    """Population standard deviation over subsets, as in the published code; 0 when a subset is the whole set."""
    subsets: int
    size: int
    """Samples of each set in a subset: what was asked for, or as many as there are."""


def kernel_distance(
    real: Float[Tensor, "n d"],
    generated: Float[Tensor, "m width"],
    subsets: int = 100,
    size: int = SUBSET,
    seed: int = 0,
) -> KernelDistance:
    """Mean over `subsets` random subsets of `size` samples, drawn without replacement from `seed`; float64.

    Raises:
        InputError: fewer than two samples, different widths, values that are not finite, or no subsets.
    """
    check_positive(subsets=subsets)
    if size < 2:
        raise InputError(f"size: {size}; a subset has at least 2 samples")
    check_pair(real, generated, least=2)
    size = min(size, len(real), len(generated))
    generator = torch.Generator().manual_seed(seed_of(seed, "kernel_distance"))
    values = []
    for _ in range(subsets):
        x, y = (
            rows[torch.randperm(len(rows), generator=generator)[:size].to(rows.device)] for rows in (real, generated)
        )
        values.append(unbiased_mmd(x.double(), y.double()))
    found = torch.stack(values)
    return KernelDistance(float(found.mean()), float(found.std(correction=0)), subsets, size)


def unbiased_mmd(x: Float64[Tensor, "n d"], y: Float64[Tensor, "n d"]) -> Float64[Tensor, ""]:
    """Unbiased estimate of MMD^2: no sample is compared with itself (Gretton 2012, lemma 6)."""
    n = len(x)
    own = _kernel(x, x).fill_diagonal_(0).sum() + _kernel(y, y).fill_diagonal_(0).sum()
    return own / (n * (n - 1)) - 2 * _kernel(x, y).mean()


def _kernel(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> Float64[Tensor, "n m"]:
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)
