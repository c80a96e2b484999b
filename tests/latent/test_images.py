"""Projection, blur and sharpness, against closed forms."""

import math

import pytest
import torch

from gen.errors import InputError
from gen.latent.projection import project
from gen.latent.sharpness import blurred, brightness, sharpness


def normal(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_projection_of_a_linear_decoder_is_that_of_least_squares() -> None:
    """A plane of 3 dimensions in 16: its error is the distance to the plane, its vector the foot."""
    basis = torch.linalg.qr(normal(16, 3))[0]
    images = normal(5, 1, 4, 4, seed=1) / 4
    found = project(lambda z: (z @ basis.T).unflatten(1, (1, 4, 4)), images, normal(100, 3, seed=2))  # type: ignore[no-untyped-call]
    foot = images.flatten(1) @ basis
    torch.testing.assert_close(found.z, foot, atol=1e-3, rtol=0)
    off = images.flatten(1) - foot @ basis.T
    torch.testing.assert_close(found.error, off.square().mean(dim=1), atol=1e-5, rtol=1e-4)


def test_a_projection_stays_within_the_prior_and_is_never_worse_than_its_start() -> None:
    draws = 2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) - 1

    def decode(z: torch.Tensor) -> torch.Tensor:
        return z[:, :, None, None]

    images = torch.tensor([[5.0, 0.2], [0.1, -0.3]])[:, :, None, None]
    found = project(decode, images, draws)
    torch.testing.assert_close(found.z, torch.tensor([[float(draws[:, 0].max()), 0.2], [0.1, -0.3]]), atol=1e-3, rtol=0)
    start = torch.tensor([[0.5, 0.5], [0.1, -0.3]])
    still = project(decode, images, draws, start=start, steps=0)
    assert torch.equal(still.z, start)
    assert torch.equal(still.error, (decode(start) - images).square().flatten(1).mean(dim=1))
    assert bool((project(decode, images, draws, start=start, steps=3).error <= still.error).all())
    with pytest.raises(InputError, match=r"^images of 1x4x4; the model makes 2x1x1"):
        project(decode, torch.zeros(1, 1, 4, 4), draws)


def test_a_projection_says_each_step() -> None:
    done: list[int] = []
    project(lambda z: z[:, :, None, None], torch.zeros(1, 2, 1, 1), normal(5, 2), steps=7, after_step=done.append)
    assert done == [1] * 7


def test_a_blur_is_a_gaussian() -> None:
    """Of one white pixel: its mass stays, its variance along each axis is sigma squared."""
    image = torch.zeros(1, 2, 41, 41, dtype=torch.float64)
    image[:, :, 20, 20] = 1
    found, places = blurred(image, 2.0), torch.arange(-20.0, 21.0, dtype=torch.float64)
    torch.testing.assert_close(found.sum(dim=(2, 3)), torch.ones(1, 2, dtype=torch.float64))
    for axis in (2, 3):
        torch.testing.assert_close(
            (found.sum(dim=axis) * places.square()).sum(dim=2), torch.full((1, 2), 4.0).double(), rtol=0.03, atol=0
        )
    assert float(found[0, 0, 20, 20]) == pytest.approx(1 / (2 * math.pi * 4), rel=0.02)
    flat = torch.full((2, 1, 8, 8), 0.3)
    torch.testing.assert_close(blurred(flat, 1.5), flat)
    with pytest.raises(InputError, match=r"^sigma: 0.0; use a number of pixels"):
        blurred(flat, 0.0)


def test_the_sharpness_of_an_edge_and_of_a_slope() -> None:
    slope = torch.linspace(-1, 1, 9).expand(1, 1, 9, 9)
    assert float(sharpness(slope)) == pytest.approx(0.25)
    assert float(sharpness(slope.transpose(2, 3))) == pytest.approx(0.25)
    noise = normal(4, 3, 16, 16)
    assert bool((sharpness(blurred(noise, 1.0)) < sharpness(noise)).all())
    assert brightness(torch.stack([torch.full((3, 2, 2), 0.5), -torch.ones(3, 2, 2)])).tolist() == [0.5, -1.0]
