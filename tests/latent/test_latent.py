"""Latent vectors: paths, analogies and attributes, against closed forms."""

import math

import pytest
import torch

from gen.errors import InputError
from gen.family import Noise
from gen.latent.analogy import REACH, analogy, arithmetic, j_diagram
from gen.latent.attributes import (
    attribute_vector,
    balanced_vector,
    decoupled_grid,
    shares,
    synthetic_vector,
    traversal,
)
from gen.latent.interpolation import corners, lerp, series, slerp, tentpole

MU = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def test_a_great_circle_turns_evenly_and_keeps_the_length() -> None:
    a, b = torch.tensor([3.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 3.0], dtype=torch.float64)
    angles = MU * math.pi / 2
    torch.testing.assert_close(slerp(a, b, MU), 3 * torch.stack([angles.cos(), angles.sin()], dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_are_exact(dtype: torch.dtype) -> None:
    for between in (lerp, slerp):
        a, b = normal(2, 100).to(dtype)
        path = between(a, b, MU)
        assert path.dtype == dtype
        assert torch.equal(path[[0, -1]], torch.stack([a, b]))


def test_the_formula_acts_on_raw_vectors() -> None:
    """With elevation changes: between vectors of unlike lengths the weights are those of their directions."""
    a, b = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 5.0], dtype=torch.float64)
    torch.testing.assert_close(slerp(a, b, MU[2:3])[0], (a + b) / math.sqrt(2))


def test_parallel_vectors_are_a_straight_line_and_opposite_ones_an_error() -> None:
    a = normal(100)
    torch.testing.assert_close(slerp(a, 2 * a, MU), lerp(a, 2 * a, MU))
    torch.testing.assert_close(slerp(a, a, MU), a.expand(4, -1))
    with pytest.raises(InputError, match=r"^opposite latent vectors have no great circle"):
        slerp(a, -0.5 * a, MU)
    with pytest.raises(InputError, match=r"^a latent vector of length 0 has no direction"):
        slerp(a, 0 * a, MU)


def test_the_tentpole_of_100_dimensions() -> None:
    """The example of the source: lengths near 10, the middle of a line near 7, over 4 standard deviations off."""
    prior, ends = normal(4000, 100), Noise("ends", rows=2, dtype=torch.float64).normal(100)
    straight, round_ = (tentpole(between(*ends, MU[2:3]), prior) for between in (lerp, slerp))
    assert straight.prior_mean == pytest.approx(10, abs=0.1)
    assert straight.prior_sd < 1
    assert float(straight.lengths) == pytest.approx(7, abs=0.8)
    assert float(straight.off) < -4
    assert abs(float(round_.off)) < 2


def test_a_series_passes_through_its_points() -> None:
    points = normal(4, 10)
    path = series(points, 5)
    assert len(path) == 16
    assert torch.equal(path[::5], points)
    with pytest.raises(InputError, match="two latent vectors at the least; got 1"):
        series(points[:1], 5)


def test_a_grid_between_four_corners() -> None:
    four = normal(4, 10)
    grid = corners(four, 3, 5)
    assert grid.shape == (3, 5, 10)
    assert torch.equal(grid[[0, 0, -1, -1], [0, -1, 0, -1]], four)
    torch.testing.assert_close(grid[1, 0], slerp(four[0], four[2], MU[2:3])[0])
    torch.testing.assert_close(grid[0, 1], slerp(four[0], four[1], MU[1:2])[0])
    linear = corners(four, 3, 3, lerp)
    torch.testing.assert_close(linear[1, 1], four.mean(dim=0))


def test_an_analogy_is_symmetric() -> None:
    a, b, c = normal(3, 10)
    torch.testing.assert_close(analogy(a, b, c), analogy(a, c, b))
    diagram = j_diagram(a, b, c, 3, 3)
    assert torch.equal(diagram[[0, 0, 2], [0, 2, 0]], torch.stack([a, b, c]))
    torch.testing.assert_close(diagram[2, 2], c + b - a)
    torch.testing.assert_close(j_diagram(a, c, b, 3, 3)[0, 1], diagram[1, 0])


def test_arithmetic_has_its_result_in_the_middle() -> None:
    plus, minus, and_plus = (normal(3, 3, 10))[:, torch.arange(3)]
    cells = arithmetic(plus, minus, and_plus, Noise("around", rows=9))
    result = plus.mean(0) - minus.mean(0) + and_plus.mean(0)
    assert torch.equal(cells[4], result)
    off = (cells - result).abs()
    assert float(off.max()) <= REACH
    assert bool((off.sum(dim=1) > 0).sum() == 8)
    with pytest.raises(InputError, match=r"^minus: no latent vector"):
        arithmetic(plus, minus[:0], and_plus, Noise("around", rows=9))


SMILE_AND_MALE = ((17, 31), (25, 27))
"""Percent of CelebA with both, smile alone; male alone, neither (table 1 of the source)."""


def faces() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Encodings whose first dimension is the smile and whose second is male, with the correlation of table 1."""
    smile, male = [], []
    for i, row in enumerate(SMILE_AND_MALE):
        for j, count in enumerate(row):
            smile += [i == 0] * count
            male += [j == 0] * count
    has, other = torch.tensor(smile), torch.tensor(male)
    z = torch.stack([has.double(), other.double(), torch.ones(len(has), dtype=torch.float64)], dim=1)
    return z, has, other


def test_shares_of_correlated_attributes() -> None:
    _, smile, male = faces()
    torch.testing.assert_close(100 * shares(smile, male), torch.tensor(SMILE_AND_MALE, dtype=torch.float64))


def test_balancing_takes_the_other_attribute_out() -> None:
    z, smile, male = faces()
    biased = attribute_vector(z, smile)
    torch.testing.assert_close(biased, torch.tensor([1.0, 17 / 48 - 25 / 52, 0.0], dtype=torch.float64))
    balanced = balanced_vector(z, smile, male)
    torch.testing.assert_close(balanced, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-12, rtol=0)


def test_balancing_is_replication() -> None:
    z, smile, male = normal(100, 5), *faces()[1:]
    cells = [(smile == a) & (male == b) for a in (True, False) for b in (True, False)]
    counts = [int(cell.sum()) for cell in cells]
    times = [math.lcm(*counts) // count for count in counts]
    rows = torch.cat([cell.nonzero()[:, 0].repeat(n) for cell, n in zip(cells, times, strict=True)])
    torch.testing.assert_close(attribute_vector(z[rows], smile[rows]), balanced_vector(z, smile, male))


def test_an_attribute_without_examples_is_named() -> None:
    z = normal(4, 3)
    none, some = torch.zeros(4, dtype=torch.bool), torch.tensor([True, False, False, False])
    with pytest.raises(InputError, match=r"^no image with smile: "):
        attribute_vector(z, none, "smile")
    with pytest.raises(InputError, match=r"^no image with smile and without male: "):
        balanced_vector(z, some, torch.tensor([True, True, False, False]), "smile", "male")


def test_a_synthetic_vector_is_what_the_change_moves() -> None:
    z, blur = normal(50, 4), torch.tensor([0.5, 0.0, -1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(synthetic_vector(z, z + blur), blur)
    with pytest.raises(InputError, match=r"^49 encodings of changed images for 50"):
        synthetic_vector(z, z[1:])


def test_traversals_have_the_encoding_where_alpha_is_zero() -> None:
    z, across, down = normal(2, 3), *normal(2, 3)
    alphas = torch.tensor([-1.0, 0.0, 2.0])
    path = traversal(z, across, alphas)
    assert torch.equal(path[:, 1], z)
    torch.testing.assert_close(path[0, 2], z[0] + 2 * across)
    both = decoupled_grid(z[0], across, down, alphas)
    assert torch.equal(both[1, 1], z[0])
    torch.testing.assert_close(both[0, 2], z[0] - down + 2 * across)
