"""KID against numbers worked out by hand, torchmetrics, and what unbiased means."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from gen.errors import InputError
from gen.metrics.kernel_distance import kernel_distance, unbiased_mmd


def draw(rows: int, width: int = 8, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) + shift


def test_two_points_against_two() -> None:
    """In one dimension k(x, y) = (xy + 1)^3.

    Own pairs: k(0, 1) = 1 and k(1, 2) = 27. Cross: k(0, 1) = k(0, 2) = 1, k(1, 1) = 8, k(1, 2) = 27, mean 37/4.
    """
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    found = kernel_distance(x, y, subsets=3)
    assert found.mean == pytest.approx(1 + 27 - 2 * 37 / 4)
    assert (found.sd, found.subsets, found.size) == (pytest.approx(0, abs=1e-12), 3, 2)


def test_the_width_divides() -> None:
    """Copies of a feature beside it change nothing: x.y / d stays."""
    x, y = draw(20, 3, seed=1), draw(20, 3, seed=2)
    once, twice = kernel_distance(x, y), kernel_distance(x.repeat(1, 2), y.repeat(1, 2))
    assert twice.mean == pytest.approx(once.mean, rel=1e-9)


def test_unbiased() -> None:
    """Over many pairs of small sets of one distribution the mean is 0 within its error, and some are below."""
    values = np.array(
        [float(unbiased_mmd(draw(10, seed=i).double(), draw(10, seed=-1 - i).double())) for i in range(2000)]
    )
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 0.2 < (values < 0).mean() < 0.8


def test_it_does_not_depend_on_the_number_of_samples() -> None:
    """k is a polynomial, so its means are known: of N(0, 1) against N(1, 1), E (xy + 1)^3 differ by 25.

    E x^n are 1, 0, 1, 0 and 1, 1, 2, 4; E(xy+1)^3 = sum of binomials times products of moments:
    1 + 3 = 4; 1 + 3 + 12 + 16 = 32; cross 1 + 0 + 6 + 0 = 7; 4 + 32 - 14 = 22.
    """
    for rows in (30, 300):
        values = np.array(
            [
                float(unbiased_mmd(draw(rows, 1, seed=i).double(), draw(rows, 1, seed=-1 - i, shift=1.0).double()))
                for i in range(500)
            ]
        )
        assert abs(values.mean() - 22) < 4 * values.std() / np.sqrt(len(values))


class Given(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features


def test_torchmetrics_finds_the_same() -> None:
    real, generated = draw(60, seed=1).double(), draw(60, seed=2, shift=0.2).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it keeps all features
        theirs = KernelInceptionDistance(feature=Given(), subsets=2, subset_size=60)
    theirs.update(real, real=True)
    theirs.update(generated, real=False)
    assert kernel_distance(real, generated, subsets=2).mean == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


def test_subsets_come_from_the_seed() -> None:
    real, generated = draw(200, seed=1), draw(150, seed=2, shift=0.5)
    first, again, other = (kernel_distance(real, generated, subsets=20, size=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert first.size == 50
    assert first.sd > 0
    whole = kernel_distance(real[:150], generated, size=10**6)
    assert whole.size == 150
    assert first.mean == pytest.approx(whole.mean, abs=4 * first.sd)


def test_it_grows_with_distance() -> None:
    found = [kernel_distance(draw(300, seed=1), draw(300, seed=2, shift=shift)).mean for shift in (0, 0.3, 0.6, 1.2)]
    assert found == sorted(found)
    assert found[1] > 0


NAN = torch.full((3, 8), float("nan"))


@pytest.mark.parametrize(
    ("real", "generated", "options", "said"),
    [
        (draw(1), draw(5), {}, "real features: 1 samples; at least 2"),
        (draw(5), draw(1), {}, "generated features: 1 samples"),
        (draw(5), draw(5, width=3), {}, "width 3, the real ones have 8"),
        (draw(5), torch.cat([draw(5), NAN]), {}, "generated features: row 5 is not finite"),
        (draw(5), draw(5), {"subsets": 0}, "subsets: 0"),
        (draw(5), draw(5), {"size": 1}, "size: 1"),
    ],
)
def test_bad_input(real: Tensor, generated: Tensor, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernel_distance(real, generated, **options)
