"""Improved precision and recall by hand, and against all distances at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances
from torch import Tensor

from gen.errors import InputError
from gen.metrics.precision_recall import precision_recall


def draw(rows: int, width: int = 4, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) + shift


def line(*positions: float) -> Tensor:
    return torch.tensor(positions, dtype=torch.float32)[:, None]


def test_by_hand() -> None:
    """k = 1. Real 0, 1, 4: radii 1, 1, 3, so the manifold is [-1, 7]. Generated 2, 9, 10: radii 7, 1, 1: [-5, 11].

    Of the generated only 2 is on the real manifold; of the real, all three are on the generated one.
    """
    found = precision_recall(line(0, 1, 4), line(2, 9, 10), k=1)
    assert (found.precision, found.recall, found.k) == (pytest.approx(1 / 3), 1, 1)


def test_edges_of_a_ball_are_inside() -> None:
    """k = 2: radii of 0, 1, 3 are 3, 2, 3; 6 is at distance 3 of 3, 6.5 is beyond."""
    assert precision_recall(line(0, 1, 3), line(6, 6.5, 100), k=2).precision == pytest.approx(1 / 3)


@pytest.mark.parametrize("width", [1, 4, 300])
def test_a_set_against_itself(width: int) -> None:
    rows = draw(100, width) * 1e-3 + 50
    assert precision_recall(rows, rows)[:2] == (1, 1)
    assert precision_recall(rows, rows.flip(0), block=13)[:2] == (1, 1)


def test_disjoint_sets() -> None:
    assert precision_recall(draw(60), draw(50, seed=1, shift=100))[:2] == (0, 0)


def test_copies_have_balls_of_radius_zero() -> None:
    """Each real sample is there four times, so only its very copies are on the manifold."""
    real = draw(10, 64) + 1000
    generated = torch.cat([real[:4], real[:4] + 1e-3])
    found = precision_recall(real.repeat(4, 1), generated, k=3, block=8)
    assert found.precision == 0.5


def test_a_collapsed_generator() -> None:
    """One real image over and over: what it makes is real, and of the real only that image is made."""
    real = draw(50)
    found = precision_recall(real, real[:1].repeat(30, 1))
    assert found[:2] == (1, 1 / 50)


def at_once(real: Tensor, generated: Tensor, k: int) -> tuple[float, float]:
    """Straight from the equations."""
    x, y = real.double().numpy(), generated.double().numpy()
    real_radii, generated_radii = (np.sort(pairwise_distances(rows), axis=1)[:, k] for rows in (x, y))
    between = pairwise_distances(x, y)
    precise = (between <= real_radii[:, None]).any(axis=0)
    return precise.mean(), (between <= generated_radii).any(axis=1).mean()


@pytest.mark.parametrize("width", [2, 64])
def test_blocks_give_what_all_distances_give(width: int) -> None:
    real, generated = draw(300, width), draw(200, width, seed=1, shift=0.3) * 1.1
    expected = at_once(real, generated, k=3)
    assert 0 < min(expected) < 1
    for block in (37, 128, 1000):
        assert precision_recall(real, generated, block=block)[:2] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([0.0, 1000.0]))
def test_blocks_do_not_matter(block: int, seed: int, offset: float) -> None:
    """On a coarse lattice, where many distances equal a radius."""
    real, generated = (draw(25, 2, seed=seed + i).mul(2).round() + offset for i in range(2))
    assert precision_recall(real, generated, block=block) == precision_recall(real, generated)


def test_swapping_the_sets_swaps_the_measures() -> None:
    real, generated = draw(100), draw(80, seed=1) * 0.5
    one, other = precision_recall(real, generated), precision_recall(generated, real)
    assert one[:2] == other[1::-1]
    assert one.precision > one.recall


@pytest.mark.parametrize(
    ("real", "generated", "options", "said"),
    [
        (draw(3), draw(9), {}, "real features: 3 samples; at least 4"),
        (draw(9), draw(9, width=2), {}, "width 2, the real ones have 4"),
        (draw(9), draw(9) * float("inf"), {}, "generated features: row 0 is not finite"),
        (draw(9), draw(9), {"k": 0}, "k: 0"),
        (draw(9), draw(9), {"block": 0}, "block: 0"),
    ],
)
def test_bad_input(real: Tensor, generated: Tensor, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        precision_recall(real, generated, **options)
