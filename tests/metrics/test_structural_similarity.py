"""Multi-scale structural similarity against closed forms."""

import math

import pytest
import torch

from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.evaluation.real_images import images
from gen.metrics.structural_similarity import structural_similarity, variety

C1, C2 = 1e-4, 9e-4


def checkered(height: float, side: int = 32) -> torch.Tensor:
    """0.5 plus and minus a height, on the scale from 0 to 1."""
    place = torch.arange(side)
    signs = 1.0 - 2 * ((place[:, None] + place) % 2)
    return 2 * (0.5 + height * signs.expand(1, 3, side, side)) - 1


def test_of_an_image_and_itself_is_1_and_of_its_negative_0() -> None:
    noise = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(structural_similarity(noise, noise), torch.ones(3, dtype=torch.float64))
    assert torch.equal(structural_similarity(noise, -noise), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("side", [16, 64])
def test_of_plain_images_is_the_luminance_of_the_coarsest_scale(side: int) -> None:
    dark, bright = torch.full((1, 1, side, side), -0.6), torch.full((1, 1, side, side), 0.4)
    a, b = 0.2, 0.7
    expected = ((2 * a * b + C1) / (a * a + b * b + C1)) ** 0.1333
    assert float(structural_similarity(dark, bright)) == pytest.approx(expected, rel=1e-6)


def test_of_checkerboards_is_the_contrast_of_the_finest_scale() -> None:
    """Halved images have no checkers left. Where all of a board averages to 0, a window finds (sum of g (-1)^i)^2."""
    window = [math.exp(-(i * i) / (2 * 1.5**2)) for i in range(-5, 6)]
    left = (sum(g * (-1) ** i for i, g in enumerate(window)) / sum(window)) ** 2
    e, f = 0.1, 0.3
    varies = 1 - left**2
    expected = ((2 * e * f * varies + C2) / ((e * e + f * f) * varies + C2)) ** 0.0448
    assert float(structural_similarity(checkered(e), checkered(f))) == pytest.approx(expected, rel=1e-6)


def test_variety_is_of_neighbours(datasets: dict[str, Dataset]) -> None:
    digits = torch.cat(list(images(datasets["digits"], "test", None)))[:101]
    expected = structural_similarity(digits[0:100:2], digits[1:100:2]).mean()
    assert variety(digits) == pytest.approx(float(expected))
    assert variety(digits) < 0.5
    assert variety(digits[:1].expand(10, -1, -1, -1)) == pytest.approx(1)


def test_other_images_are_one_line() -> None:
    with pytest.raises(InputError, match=r"^images of 24x16: the 5 scales need sides that are multiples of 16$"):
        structural_similarity(torch.zeros(1, 1, 24, 16), torch.zeros(1, 1, 24, 16))
    with pytest.raises(InputError, match=r"^1 images; a pair at least is needed$"):
        variety(torch.zeros(1, 1, 16, 16))
