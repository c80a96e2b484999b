"""Nearest neighbours against scikit-learn's and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from gen.errors import InputError
from gen.metrics import neighbours
from gen.metrics.neighbours import Neighbours, closest, differences, nearest


def draw(rows: int, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_scikit_learn_finds_the_same(block: int) -> None:
    queries, base = draw(50, seed=1), draw(200, seed=2)
    exact = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(base.double().numpy())
    distances, indices = exact.kneighbors(queries.double().numpy())
    found = nearest(queries, base, k=4, block=block)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-7)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_blocks_do_not_matter(block: int, seed: int) -> None:
    queries, base = (draw(30, 2, seed=seed + i).round(decimals=1) for i in range(2))  # many ties
    base = base[torch.arange(30) % 25]
    whole, parts = nearest(queries, base, k=3), nearest(queries, base, k=3, block=block)
    assert torch.equal(whole.indices, parts.indices)
    assert torch.equal(whole.distances, parts.distances)


def test_a_copy_is_at_distance_zero_far_from_the_origin() -> None:
    base = draw(100, 50, seed=3) * 1e-3 + 1e4
    found = nearest(base[[17, 80]], base, k=2)
    assert found.indices[:, 0].tolist() == [17, 80]
    assert found.distances[:, 0].tolist() == [0, 0]
    assert (found.distances[:, 1] > 1e-3).all()


def test_of_equally_near_rows_the_first_comes_first() -> None:
    base = torch.tensor([[2.0], [0.0], [2.0], [0.0]])
    found = nearest(torch.tensor([[1.0]]), base, k=4)
    assert found.indices.tolist() == [[0, 1, 2, 3]]
    assert found.distances.tolist() == [[1, 1, 1, 1]]


def by_differences(queries: torch.Tensor, base: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    distances = differences(queries.double(), base.double())
    order = distances.argsort(dim=1, stable=True)[:, :k]
    return order, distances.gather(1, order)


@pytest.mark.parametrize("block", [7, 64, 1000])
@pytest.mark.parametrize("kinds", [1, 3, 40])
def test_of_many_copies_the_first_are_found(kinds: int, block: int) -> None:
    base = draw(kinds, seed=4)[torch.arange(400) ** 2 % kinds]
    queries = torch.cat([base[:5], draw(20, seed=5)])
    found, expected = nearest(queries, base, k=6, block=block), by_differences(queries, base, 6)
    assert torch.equal(found.indices, expected[0])
    assert torch.equal(found.distances, expected[1])


def test_bytes_of_which_many_are_equally_near() -> None:
    base = torch.randint(0, 3, (3000, 4), generator=torch.Generator().manual_seed(6), dtype=torch.uint8)
    assert torch.equal(nearest(base, base, k=3).indices, by_differences(base, base, 3)[0])


@pytest.mark.parametrize("away", [1e7, 1e9])
def test_no_neighbour_is_lost_to_rounding_far_from_the_others(away: float) -> None:
    """Two groups: their mean is far from either, and products of matrices no longer see what is near."""
    base = draw(300, seed=7).double()
    base[::2] += away
    queries = base[:60] + draw(60, seed=8) / 10
    found, expected = nearest(queries, base, k=4), by_differences(queries, base, 4)
    assert torch.equal(found.indices, expected[0])
    assert torch.equal(found.distances, expected[1])


def test_only_where_rounding_decides_are_differences_taken_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    of_all = neighbours._among_all

    def counted(queries: torch.Tensor, base: torch.Tensor, k: int, block: int) -> Neighbours:
        asked.append(len(queries))
        return of_all(queries, base, k, block)

    monkeypatch.setattr(neighbours, "_among_all", counted)
    base = draw(500, seed=9)
    nearest(draw(50), base, k=3)
    assert not asked
    base[100:150] = base[0]
    nearest(torch.cat([base[:1], base[200:220]]), base, k=3)
    assert asked == [1]


def test_pixels_of_bytes() -> None:
    base = torch.tensor([[0, 0], [255, 255], [250, 3]], dtype=torch.uint8)
    found = nearest(torch.tensor([[255, 0]], dtype=torch.uint8), base)
    assert found.indices.tolist() == [[2]]
    assert found.distances[0, 0] == pytest.approx(34**0.5)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="base: 2 samples; at least 3"):
        nearest(draw(5), draw(2), k=3)
    with pytest.raises(InputError, match="queries: width 5, the base has 4"):
        nearest(draw(5), draw(5, width=4))
    with pytest.raises(InputError, match="queries: row 0 is not finite"):
        nearest(draw(5) * float("nan"), draw(5))
    with pytest.raises(InputError, match="block: 0"):
        nearest(draw(5), draw(5), block=0)


def test_the_closest_queries_come_first() -> None:
    base = torch.tensor([[0.0, 0], [10, 0], [13, 0]])
    queries = torch.tensor([[5.0, 0], [12, 0], [0, 3], [10, 0]])
    rows, near = closest(queries, base, rows=3, k=2)
    assert rows.tolist() == [3, 1, 2]
    assert near.tolist() == [[1, 2], [2, 1], [0, 1]]
