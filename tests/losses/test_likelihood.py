"""Likelihoods of an image's values against closed forms."""

from math import log

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from gen.losses.likelihood import bernoulli, discretized_logistic, gaussian

LEVELS = (torch.arange(256, dtype=torch.float64) / 127.5 - 1)[:, None, None, None]


@pytest.mark.parametrize("mean", [-1.3, -1.0, 0.1, 2.0])
@pytest.mark.parametrize("log_scale", [-6.0, -2.0, 1.0])
def test_masses_of_the_256_levels_sum_to_one(mean: float, log_scale: float) -> None:
    out = torch.full_like(LEVELS, mean)
    mass = discretized_logistic(LEVELS, out, torch.tensor(log_scale, dtype=torch.float64)).exp()
    assert float(mass.sum()) == pytest.approx(1, abs=1e-9)


def test_a_level_far_from_the_mean_keeps_its_mass_and_gradient() -> None:
    """The logistic's tail is exp(-distance / scale): in float32 the difference of two sigmoids would be 0."""
    out = torch.full((1, 1, 1, 1), -0.9, requires_grad=True)
    found = discretized_logistic(torch.zeros(1, 1, 1, 1), out, torch.tensor(-5.0))
    scale = torch.tensor(-5.0).exp().double()
    tail = -(0.9 - 1 / 255) / scale
    expected = tail + torch.log1p(-torch.exp(-(2 / 255) / scale))
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-5)
    (slope,) = torch.autograd.grad(found.sum(), out)
    assert float(slope) == pytest.approx(float(1 / scale), rel=1e-3)


def test_every_level_has_a_finite_gradient() -> None:
    out = torch.zeros_like(LEVELS, dtype=torch.float32, requires_grad=True)
    log_scale = torch.tensor(-7.0, requires_grad=True)
    found = discretized_logistic(LEVELS.float(), out, log_scale).sum()
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(found, [out, log_scale]))


def test_gaussian_and_bernoulli_are_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    images, out = (torch.randn(4, 1, 3, 3, generator=generator) for _ in range(2))
    torch.testing.assert_close(
        gaussian(images, out, torch.tensor(log(0.3))), Normal(out, torch.tensor(0.3)).log_prob(images)
    )
    binary = (images > 0).float() * 2 - 1
    torch.testing.assert_close(bernoulli(binary, out), Bernoulli(logits=out).log_prob((binary + 1) / 2))
