"""How far encodings deviate from the prior, against distributions whose numbers are known."""

import math

import pytest
import torch

from gen.errors import InputError
from gen.latent.deviation import LEVEL, deviation, inhomogeneity, share_outside


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gap(mean: float, sd: float) -> float:
    """E|Z| of one number drawn from a normal distribution."""
    tail = math.erf(mean / (sd * math.sqrt(2)))
    return sd * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * sd**2)) + mean * tail


@pytest.mark.parametrize(("mean", "sd"), [(1.0, 1.0), (0.0, 0.3), (2.0, 2.0)])
def test_the_inhomogeneity_of_two_normal_distributions(mean: float, sd: float) -> None:
    x, y = mean + sd * normal(2000, 1), normal(2000, 1, seed=1)
    between = gap(mean, math.sqrt(1 + sd**2))
    expected = 1 - (gap(0, math.sqrt(2)) + gap(0, sd * math.sqrt(2))) / (2 * between)
    assert inhomogeneity(x, y) == pytest.approx(expected, abs=0.03)


def test_the_inhomogeneity_is_0_of_one_distribution_and_1_of_two_points() -> None:
    found = [inhomogeneity(normal(300, 20, seed=2 * i), normal(300, 20, seed=2 * i + 1)) for i in range(10)]
    assert abs(sum(found) / 10) < 0.001, "no bias"
    assert inhomogeneity(torch.zeros(10, 3), torch.ones(10, 3)) == 1


@pytest.mark.parametrize("dimensions", [1, 16, 100])
def test_as_many_draws_are_outside_of_the_priors_own_manifold_as_was_asked_for(dimensions: int) -> None:
    """In any number of dimensions, for a draw is one more row: 5% of 2,000 has a deviation of about 0.5%."""
    base, queries = normal(2000, dimensions), normal(2000, dimensions, seed=1)
    assert share_outside(queries, base, LEVEL) == pytest.approx(LEVEL, abs=0.025)


def test_dead_zones_are_outside() -> None:
    """Encodings in half of a uniform prior: half of its draws, and 5% of the others."""
    prior = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    encodings = torch.rand(1000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 2
    found = deviation(encodings, prior)
    assert found.outside == pytest.approx(0.5 + LEVEL / 2, abs=0.03)
    assert found.inhomogeneity > 0.2
    assert abs(found.floor) < 0.01


def test_encodings_in_a_subspace_deviate() -> None:
    """Where a ratio of densities would be infinite."""
    flat = torch.cat([normal(500, 4), torch.zeros(500, 4, dtype=torch.float64)], dim=1)
    found = deviation(flat, normal(1000, 8, seed=1))
    assert found.inhomogeneity > 20 * abs(found.floor)
    assert found.outside > 0.9


def test_what_cannot_be_compared_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^encodings: 2; at least 3"):
        deviation(normal(2, 3), normal(10, 3))
    with pytest.raises(InputError, match=r"^prior: 9 draws for 5 encodings; at least 10"):
        deviation(normal(5, 3), normal(9, 3))
