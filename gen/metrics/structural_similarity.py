"""Multi-scale structural similarity of pairs of images (Wang, Simoncelli & Bovik 2003): 1 for equal ones.

Of pairs of samples it says how varied they are: the smaller, the more, as far as real images go (Odena, Olah & Shlens
2017). Computed as in the published code of the Progressive GAN (Karras 2018): five scales, a Gaussian window of 11x11
with sigma 1.5, smaller where the image is, K1 = 0.01, K2 = 0.03, and each scale's similarity cut off at 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from gen.errors import InputError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, from the finest; the paper's, section 3.2."""
LEAST = 1 << (len(WEIGHTS) - 1)
"""Sides that can be halved for each scale."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
"""(K L)^2, for values in a range of L = 1."""


def variety(images: Float[Tensor, "n c h w"]) -> float:
    """Mean similarity of samples, each with its neighbour: the first with the second, the third with the fourth, ...

    Raises:
        InputError: fewer than two images, or they are no images of 16x16 or more whose sides are multiples of 16.
    """
    pairs = len(images) // 2
    if not pairs:
        raise InputError(f"{len(images)} images; a pair at least is needed")
    return float(structural_similarity(images[0 : 2 * pairs : 2], images[1::2]).mean())


def structural_similarity(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """The similarity of each pair of images in [-1, 1], from 0 to 1; computed in float64.

    Raises:
        InputError: they are no images of 16x16 or more whose sides are multiples of 16.
    """
    if any(side % LEAST or side < LEAST for side in one.shape[2:]):
        message = f"the {len(WEIGHTS)} scales need sides that are multiples of {LEAST}"
        raise InputError(f"images of {one.shape[2]}x{one.shape[3]}: {message}")
    x, y = (one.double() + 1) / 2, (other.double() + 1) / 2
    product = x.new_ones(len(x))
    for weight in WEIGHTS[:-1]:
        _, contrast = _similarities(x, y)
        product = product * _scale(contrast, weight)
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    luminance, contrast = _similarities(x, y)
    return product * _scale(luminance * contrast, WEIGHTS[-1])


def _scale(similarities: Float[Tensor, "n c h w"], weight: float) -> Float[Tensor, " n"]:
    """What one scale contributes."""
    return similarities.mean(dim=(1, 2, 3)).clamp(0, 1) ** weight


def _similarities(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor]:
    """l and cs of each place of the window (equations 1 to 3 with C3 = C2 / 2)."""
    size = min(WINDOW, *x.shape[2:])
    place = torch.arange(size, dtype=x.dtype, device=x.device) - (size - 1) / 2
    window = torch.exp(-place.square() / (2 * (SIGMA * size / WINDOW) ** 2))
    window = window / window.sum()

    def mean(values: Tensor) -> Tensor:
        rows = conv2d(values.flatten(0, 1)[:, None], window[None, None, :, None])
        whole = conv2d(rows, window[None, None, None, :])
        return whole.view(*values.shape[:2], *whole.shape[2:])

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return luminance, (2 * both + C2) / (vx + vy + C2)
