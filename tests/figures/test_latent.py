"""Pictures of a latent space."""

import torch

from gen.figures import latent
from gen.figures.latent import codes, halves, latent_space, percentiles, traversals
from tests.families.small import IMAGES, build


def test_a_traversal_moves_one_dimension_through_the_prior() -> None:
    z = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0))
    moved = traversals(z, torch.tensor([3, 1])).unflatten(0, (2, -1))  # type: ignore[no-untyped-call]
    assert moved.shape == (2, latent.STEPS, 5)
    for row, dimension in zip(moved, (3, 1), strict=True):
        others = torch.arange(5) != dimension
        assert torch.equal(row[:, others], z[0, others].expand(latent.STEPS, -1))
        assert bool((row[:, dimension].diff() > 0).all())
        assert torch.allclose(row[[0, 5, 10], dimension], torch.tensor([-2.054, 0.0, 2.054]), atol=0.15)


def test_the_plane_has_the_first_coordinate_to_the_right_and_the_second_upwards() -> None:
    class Plane:
        def prior(self, noise: object) -> torch.Tensor:
            return torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))

        def decode(self, z: torch.Tensor) -> torch.Tensor:
            seen.append(z)
            return torch.zeros(len(z), 1, 4, 4)

    seen: list[torch.Tensor] = []
    latent_space(Plane(), torch.zeros(1, 1, 4, 4))
    places = seen[0].reshape(latent.SIDE, latent.SIDE, 2)
    assert bool((places[:, :, 0].diff(dim=1) > 0).all())
    assert bool((places[:, :, 1].diff(dim=0) < 0).all())
    assert torch.equal(places[0, :, 0], percentiles(Plane().prior(None), latent.SIDE)[:, 0])


def test_families_have_their_pictures() -> None:
    images = torch.zeros(16, *IMAGES)
    rows, columns = 4, latent.STEPS
    assert latent_space(build("gan").train(False), images).size == (2 * (columns * 17 - 1), 2 * (rows * 17 - 1))  # type: ignore[arg-type]
    assert latent_space(build("vae").train(False), images).size == (2 * (latent.SIDE * 17 - 1),) * 2  # type: ignore[arg-type]
    assert codes(build("autoencoder").train(False), images).size == (2 * (16 * 17 - 1), 2 * (2 * 17 - 1))  # type: ignore[arg-type]
    few = codes(build("autoencoder").train(False), images[:5])  # type: ignore[arg-type]
    assert few.size == (2 * (10 * 17 - 1), 2 * (17 - 1)), "a test split may have fewer than a row"
    assert codes(build("autoencoder").train(False), images[:15]).size == (2 * (16 * 17 - 1), 2 * (17 - 1))  # type: ignore[arg-type]


def test_halves_of_a_sheet() -> None:
    left, right = torch.arange(16.0)[:, None], torch.arange(100.0, 116.0)[:, None]
    sheet = halves(lambda z: z[:, :, None, None], left, right, 8).flatten()
    assert sheet[:16].tolist() == [*range(8), *range(100, 108)]
    assert sheet[16:].tolist() == [*range(8, 16), *range(108, 116)]
