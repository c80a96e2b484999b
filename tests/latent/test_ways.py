"""Loops, random walks and grids of neighbours."""

import itertools
import math

import pytest
import torch

from gen.errors import InputError
from gen.latent.interpolation import slerp, tentpole
from gen.latent.neighbourhood import arrange, assign, embed, neighbours, spread
from gen.latent.walk import loop, random_walk


def normal(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_loop_ends_one_step_before_it_began() -> None:
    points = normal(3, 10)
    path = loop(points, 4)
    assert len(path) == 12
    assert torch.equal(path[::4], points)
    torch.testing.assert_close(path[-1], slerp(points[2], points[0], torch.tensor([0.75]))[0])
    with pytest.raises(InputError, match="two latent vectors at the least; got 1"):
        loop(points[:1], 4)


def test_a_random_walk_stays_where_the_prior_is() -> None:
    """Of 100 dimensions: lengths as the prior's, and the correlation of steps that was promised."""
    stride = 0.2
    walk, prior = random_walk(normal(1500, 100), stride), normal(4000, 100, seed=1)
    far = tentpole(walk[100:], prior)
    assert float(far.lengths.mean()) == pytest.approx(far.prior_mean, abs=0.1)
    assert float(far.lengths.std()) < far.prior_sd
    assert float(far.off.abs().max()) < 2
    angle = stride * math.pi / 2
    for apart in (1, 5):
        product = (walk[100:-apart] * walk[100 + apart :]).sum(dim=1).mean() / walk[100:].square().sum(dim=1).mean()
        assert float(product) == pytest.approx(math.cos(angle) ** apart, abs=0.03)
    with pytest.raises(InputError, match=r"^stride: 0.0; use a share"):
        random_walk(walk, 0.0)


def test_neighbours_are_the_nearest_of_all() -> None:
    store = normal(500, 8)
    distances = (store - store[17]).norm(dim=1)
    assert torch.equal(neighbours(store, store[17], 15), distances.argsort()[:15])
    with pytest.raises(InputError, match=r"^501 neighbours among 500 encoded images"):
        neighbours(store, store[17], 501)


def test_an_embedding_of_a_plane_keeps_its_distances() -> None:
    plane = normal(20, 2) @ torch.linalg.qr(normal(30, 2))[0].T
    torch.testing.assert_close(torch.cdist(embed(plane), embed(plane)), torch.cdist(plane, plane), rtol=1e-4, atol=1e-4)
    small = 1e-9 * plane
    torch.testing.assert_close(
        torch.cdist(embed(small), embed(small)), torch.cdist(small, small), rtol=1e-3, atol=1e-12
    )
    assert torch.equal(embed(torch.ones(4, 3)), torch.zeros(4, 2, dtype=torch.float64))


def test_an_assignment_is_the_cheapest_of_all() -> None:
    places = normal(6, 2)
    found = assign(places, 2, 3)
    assert sorted(found.flatten().tolist()) == list(range(6))
    down, across = torch.meshgrid(torch.arange(2.0), torch.arange(3.0), indexing="ij")
    cells = torch.stack([across.flatten(), down.flatten()], dim=1).double()
    cells, scaled = ((one - one.mean(0)) / one.std(0, correction=0) for one in (cells, places))
    costs = torch.cdist(cells, scaled).square()
    totals = [
        float(sum(costs[i, j] for i, j in enumerate(order))) for order in itertools.permutations(range(len(cells)))
    ]
    assert float(costs[torch.arange(6), found.flatten()].sum()) == pytest.approx(min(totals))
    with pytest.raises(InputError, match=r"^6 points for a grid of 2 x 2"):
        assign(places, 2, 2)


def test_a_grid_of_many_dimensions_is_found_again() -> None:
    """Cells of a plane in 30 dimensions, in any order: laid out as they were, but for turning it over."""
    down, across = torch.meshgrid(torch.arange(3.0), torch.arange(5.0), indexing="ij")
    plane = torch.stack([across.flatten(), down.flatten()], dim=1).double()
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    z = (plane @ torch.linalg.qr(normal(30, 2))[0].T)[order]
    found = order[arrange(z, 3, 5)]
    as_it_was = torch.arange(15).reshape(3, 5)
    turned = [as_it_was, as_it_was.flip(0), as_it_was.flip(1), as_it_was.flip((0, 1))]
    assert any(torch.equal(found, one) for one in turned)


def test_a_grid_is_spread_out_around_its_cells() -> None:
    cells = normal(3, 4, 10)
    wide = spread(cells, 2)
    assert wide.shape == (7, 10, 10)
    assert torch.equal(wide[::3, ::3], cells)
    third = torch.tensor([1 / 3], dtype=torch.float64)
    torch.testing.assert_close(wide[3, 1], slerp(cells[1, 0], cells[1, 1], third)[0])
    torch.testing.assert_close(wide[4, 3], slerp(cells[1, 1], cells[2, 1], third)[0])
    assert torch.equal(spread(cells, 0), cells)
    with pytest.raises(InputError, match=r"^a grid of 1 x 4 cells has nothing between them"):
        spread(cells[:1], 2)
