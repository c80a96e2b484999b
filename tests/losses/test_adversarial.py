"""Losses against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from gen.losses.adversarial import (
    discriminator_loss,
    gradient_penalty,
    least_squares,
    lipschitz_quotient,
    minimax,
    non_saturating,
    probabilities,
)

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)
REAL = torch.tensor([0.0, LN3], dtype=torch.float64)  # D = 1/2, 3/4
FAKE = torch.tensor([0.0, -LN3], dtype=torch.float64)  # D = 1/2, 1/4


def test_discriminator_loss() -> None:
    # -(ln 1/2 + ln 3/4) / 2, twice
    assert discriminator_loss(REAL, FAKE).item() == pytest.approx(LN2 + LN4 - LN3)


def test_an_undecided_discriminator_loses_two_ln_2() -> None:
    zero = torch.zeros(3)
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * LN2)


def test_minimax() -> None:
    # (ln 1/2 + ln 3/4) / 2
    assert minimax(FAKE).item() == pytest.approx((-LN2 + LN3 - LN4) / 2)


def test_non_saturating() -> None:
    # -(ln 1/2 + ln 1/4) / 2
    assert non_saturating(FAKE).item() == pytest.approx((LN2 + LN4) / 2)


@pytest.mark.parametrize("fake", [-50.0, 0.0, 50.0])
def test_where_the_generator_s_gradients_vanish(fake: float) -> None:
    """d minimax / d logit = -D, d non_saturating / d logit = -(1 - D): at D = 0 only the second one teaches."""
    logit = torch.tensor([fake], dtype=torch.float64, requires_grad=True)
    d = 1 / (1 + math.exp(-fake))
    assert torch.autograd.grad(minimax(logit), logit)[0].item() == pytest.approx(-d)
    assert torch.autograd.grad(non_saturating(logit), logit)[0].item() == pytest.approx(d - 1)


def test_losses_stay_finite_where_a_sigmoid_is_0_or_1() -> None:
    far = torch.tensor([-1e4, 1e4])
    for loss in (discriminator_loss(far, far), minimax(far), non_saturating(far)):
        assert loss.isfinite()


def test_least_squares() -> None:
    # ((3 - 1)^2 + (0 - 1)^2) / 2 samples / 2
    assert least_squares(torch.tensor([3.0, 0.0]), 1.0).item() == pytest.approx(1.25)


def test_probabilities() -> None:
    seen = probabilities(REAL, FAKE.requires_grad_())
    assert seen["d_real"].item() == pytest.approx(5 / 8)
    assert seen["d_fake"].item() == pytest.approx(3 / 8)
    assert not seen["d_fake"].requires_grad


def pair(rows: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, rows, 2, 3, 3, generator=generator, dtype=torch.float64)
    return real, fake, torch.rand(rows, 1, 1, 1, generator=generator, dtype=torch.float64)


def test_penalty_of_a_linear_critic() -> None:
    """Its gradient is w everywhere: (|w| - 1)^2, whose gradient is 2 (|w| - 1) w / |w|."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(18, 1, dtype=torch.float64), nn.Flatten(0))
    w = critic[1].weight
    penalty = gradient_penalty(critic, *pair())
    norm = w.norm()
    torch.testing.assert_close(penalty, (norm - 1).square())
    torch.testing.assert_close(torch.autograd.grad(penalty, w)[0], 2 * (norm - 1) * w / norm)


def test_penalty_of_a_quadratic_critic_is_taken_between_the_samples() -> None:
    """Its gradient is the point itself, so the penalty tells where it was taken, each sample with its own epsilon."""
    real, fake, epsilon = pair()
    between = epsilon * real + (1 - epsilon) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    penalty = gradient_penalty(lambda x: x.flatten(1).square().sum(1) / 2, real, fake, epsilon)
    torch.testing.assert_close(penalty, expected)


@pytest.mark.parametrize(("epsilon", "end"), [(1.0, 0), (0.0, 1)])
def test_epsilon_weighs_the_real_sample(epsilon: float, end: int) -> None:
    real, fake, _ = pair()
    weights = torch.full((5, 1, 1, 1), epsilon, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: x.flatten(1).square().sum(1) / 2, real, fake, weights)
    torch.testing.assert_close(penalty, ((real, fake)[end].flatten(1).norm(dim=1) - 1).square().mean())


def test_penalty_of_a_flat_critic_has_finite_gradients() -> None:
    w = torch.zeros(18, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(lambda x: x.flatten(1) @ w, *pair())
    assert penalty.item() == 1
    assert torch.autograd.grad(penalty, w)[0].isfinite().all()


def test_penalty_ignores_autocast() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(18, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(0))
    real, fake, epsilon = (part.float() for part in pair())
    exact = gradient_penalty(critic, real, fake, epsilon)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gradient_penalty(critic, real, fake, epsilon), exact)


def test_lipschitz_quotient() -> None:
    real = torch.tensor([[[[0.0]], [[0.0]]], [[[3.0]], [[4.0]]]])  # two points of the plane
    fake = torch.tensor([[[[0.0]], [[2.0]]], [[[0.0]], [[0.0]]]])  # 2 and 5 away
    found = lipschitz_quotient(real, fake, torch.tensor([1.0, 0.0]), torch.tensor([4.0, -10.0]))
    assert found.item() == pytest.approx((3 / 2 + 10 / 5) / 2)
