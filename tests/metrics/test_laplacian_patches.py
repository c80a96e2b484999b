"""Distances of patches of Laplacian pyramids, by hand and against closed forms."""

import pytest
import torch

from gen.errors import InputError
from gen.metrics.laplacian_patches import (
    descriptors,
    doubled,
    halved,
    patch_distances,
    patches,
    pyramid,
    sides_of,
    sliced_distance,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_halving_and_doubling_by_hand() -> None:
    """Rows of the filter are 1 4 6 4 1 over 16; the image is mirrored without its last pixel."""
    dot = torch.zeros(1, 1, 8, 8)
    dot[..., 2, 4] = 1.0
    small = halved(dot)
    assert float(small[..., 1, 2]) == pytest.approx(36 / 256)
    assert float(small[..., 0, 2]) == pytest.approx(2 * 6 / 256), "seen twice: in itself, and in the mirror"
    assert float(small.sum()) == pytest.approx((1 + 1 + 6 + 1) * (1 + 6 + 1) / 256)
    wide = doubled(dot)
    assert float(wide[..., 4, 8]) == pytest.approx(4 * 36 / 256)
    assert float(wide[..., 5, 8]) == pytest.approx(4 * 24 / 256)
    plain = torch.full((2, 3, 16, 16), 0.3)
    torch.testing.assert_close(doubled(plain), torch.full((2, 3, 32, 32), 0.3))
    torch.testing.assert_close(halved(plain), torch.full((2, 3, 8, 8), 0.3))


def test_a_pyramid_adds_up_to_the_image() -> None:
    images = drawn(2, 3, 64, 64)
    assert sides_of(images) == [64, 32, 16]
    fine, middle, coarse = pyramid(images, 3)
    torch.testing.assert_close(fine + doubled(middle + doubled(coarse)), images)


def test_patches_lie_whole_within_the_image_of_their_row() -> None:
    place = torch.arange(16.0)
    images = torch.stack([100 * place[:, None] + place + 10_000 * n for n in range(3)])[:, None]
    found = patches(images, torch.Generator().manual_seed(0))
    assert found.shape == (3 * 128, 1, 7, 7)
    corner = found[:, 0, 0, 0]
    expected = corner[:, None, None] + 100 * place[:7, None] + place[:7]
    assert torch.equal(found[:, 0], expected)
    assert torch.equal(corner.div(10_000, rounding_mode="floor"), torch.arange(3.0).repeat_interleave(128))
    assert {int(value) % 100 for value in corner} == set(range(10)), "all places, up to 16 - 7"


def test_descriptors_have_channels_of_mean_0_and_deviation_1() -> None:
    images = drawn(40, 2, 32, 32) * torch.tensor([0.1, 0.5])[:, None, None] + 0.2
    for found in descriptors(images, 0, "real"):
        channels = found.view(-1, 2, 49)
        torch.testing.assert_close(channels.mean(dim=(0, 2)), torch.zeros(2), atol=1e-4, rtol=0)
        torch.testing.assert_close(channels.square().mean(dim=(0, 2)), torch.ones(2))


def test_the_distance_of_a_shift_is_its_mean_projection() -> None:
    """In one dimension the shift itself; in three a projection is uniform in [-1, 1], so half of it."""
    points = drawn(200, 1)
    assert sliced_distance(points, points + 3, torch.Generator()) == pytest.approx(3, rel=1e-5)
    points = drawn(50, 3).double()
    shift = torch.tensor([0.0, 4.0, 3.0], dtype=torch.float64)
    assert sliced_distance(points, points + shift, torch.Generator().manual_seed(0)) == pytest.approx(2.5, rel=0.08)


def test_fine_structures_are_seen_at_the_finest_level_alone() -> None:
    """1 - 4 + 6 - 4 + 1 = 0: of a checkerboard the filter leaves nothing."""
    real = doubled(drawn(64, 1, 16, 16))
    place = torch.arange(32)
    checkers = 0.5 - ((place[:, None] + place) % 2)
    same, finer = patch_distances(real[:32], real[32:]), patch_distances(real[:32], real[32:] + checkers)
    assert list(same) == [32, 16]
    assert finer[16] == pytest.approx(same[16], rel=1e-3)
    assert finer[32] > 3 * same[32]
    assert same == patch_distances(real[:32], real[32:]), "a function of the seed"


def test_other_images_are_one_line() -> None:
    images = torch.zeros(2, 1, 24, 24)
    with pytest.raises(InputError, match=r"^images of 24x24: a pyramid is of squares of 16, 32, 64, ... pixels$"):
        patch_distances(images, images)
    with pytest.raises(InputError, match=r"^real images \(2, 1, 24, 24\), samples \(1, 1, 24, 24\): give as many of"):
        patch_distances(images, images[:1])
