"""Frechet distance of two Gaussians: FID when the features are those of the FID Inception.

    d^2 = |m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1 S2)^(1/2)

(Dowson & Landau 1982; for images Heusel 2017, arXiv:1706.08500, equation 6.)

With any factors S1 = A A^T and S2 = B B^T, of whatever width, the last trace is the sum of the singular values of
B^T A, so a covariance without an inverse needs a narrower factor, not an epsilon on its diagonal. Of two regular ones
the squares of these values are the eigenvalues of A^T S2 A, the fastest way to them. No matrix root is taken.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from gen.errors import InputError
from gen.metrics.checks import rounding
from gen.metrics.moments import Moments


class Frechet(NamedTuple):
    """The distance, and how far to trust it."""

    distance: float
    """Squared, as FID is; rounding may leave a zero slightly negative."""
    singular: bool
    """Whether a covariance has no inverse: fewer samples than features + 1, or features that depend on each other.
    The distance of the two Gaussians is exact all the same, but says less of what the samples were drawn from."""


def frechet_distance(real: Moments, generated: Moments) -> Frechet:
    """Squared Frechet distance of the Gaussians with these moments; symmetric in them up to rounding.

    Raises:
        InputError: moments that cannot be any samples', or of different widths.
    """
    _check(real, "real")
    _check(generated, "generated")
    if len(real.mean) != len(generated.mean):
        raise InputError(
            f"generated moments: width {len(generated.mean)}, the real ones have {len(real.mean)}; use one extractor"
        )
    shift = (real.mean - generated.mean).square().sum()
    traces = real.covariance.trace() + generated.covariance.trace()
    lower = [_cholesky(real), _cholesky(generated)]
    A, B = (factor if factor is not None else _narrow(m) for factor, m in zip(lower, (real, generated), strict=True))
    singular = any(factor is None for factor in lower)
    root = _singular_values(A, B) if singular else _regular(A, B, generated.covariance)
    return Frechet(float(shift + traces - 2 * root), singular)


def _regular(A: Float64[Tensor, "d d"], B: Float64[Tensor, "d d"], S2: Float64[Tensor, "d d"]) -> Float64[Tensor, ""]:
    """Tr (A A^T S2)^(1/2) from eigenvalues, unless squaring has sunk the least in the greatest's rounding."""
    values = torch.linalg.eigvalsh(A.T @ S2 @ A)
    if values[0] > rounding(1) * values[-1]:
        root: Tensor = values.sqrt().sum()
        return root
    return _singular_values(A, B)


def _singular_values(A: Float64[Tensor, "d r"], B: Float64[Tensor, "d s"]) -> Float64[Tensor, ""]:
    """Tr (A A^T B B^T)^(1/2), the sum of the singular values of B^T A."""
    root: Tensor = torch.linalg.svdvals(B.T @ A).sum()
    return root


def _cholesky(moments: Moments) -> Float64[Tensor, "d d"] | None:
    """L of S = L L^T, or None when S is singular as far as float64 can tell.

    L_ii^2 / S_ii is the share of feature i's variance that the features before it leave unexplained.
    """
    S = moments.covariance
    if moments.samples <= len(S):
        return None
    L, failed = torch.linalg.cholesky_ex(S)
    if failed or bool((L.diagonal().square() <= _tolerance(moments) * S.diagonal()).any()):
        return None
    factor: Tensor = L
    return factor


def _narrow(moments: Moments) -> Float64[Tensor, "d r"]:
    """A of S = A A^T with as many columns as S has rank, from the eigenvectors of the correlations.

    Correlations, so that features of great and of small variance count alike when the rank is found.

    Raises:
        InputError: S has negative eigenvalues.
    """
    S = moments.covariance
    deviation = S.diagonal().clamp(min=0).sqrt()
    inverse = torch.where(deviation > 0, 1 / deviation, 0)
    values, vectors = torch.linalg.eigh(inverse[:, None] * S * inverse)
    floor = _tolerance(moments) * values[-1]
    if values[0] < -floor:
        raise InputError(f"covariance: an eigenvalue of the correlations is {float(values[0]):.3g}; none is negative")
    kept = values > floor
    factor: Tensor = deviation[:, None] * vectors[:, kept] * values[kept].sqrt()
    return factor


def _tolerance(moments: Moments) -> float:
    """Relative size of what rounding leaves where a zero should be."""
    return rounding(max(moments.samples, len(moments.mean)))


def _check(moments: Moments, what: str) -> None:
    samples, mean, S = moments
    width = len(mean)
    if samples < 2:
        raise InputError(f"{what} moments: of {samples} samples; at least 2 are needed")
    if S.shape != (width, width):
        raise InputError(f"{what} moments: covariance of shape {tuple(S.shape)}; it is ({width}, {width}) as the mean")
    if not (mean.isfinite().all() and S.isfinite().all()):
        raise InputError(f"{what} moments: not finite; gather them anew")
    variances = S.diagonal()
    if variances.min() < 0 or (S - S.T).abs().max() > 1e-10 * variances.max():
        raise InputError(f"{what} moments: the covariance is not symmetric with variances >= 0; gather them anew")
