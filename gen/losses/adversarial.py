"""Adversarial losses of more than one family. `real` and `fake` are a discriminator's logits or a critic's scores."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Scores = Float[Tensor, " n"]
Scalar = Float[Tensor, ""]


def discriminator_loss(real: Scores, fake: Scores) -> Scalar:
    """-E log D(x) - E log(1 - D(G(z))), D the sigmoid of the logit (Goodfellow 2014, equation 1, negated)."""
    return softplus(-real).mean() + softplus(fake).mean()


def minimax(fake: Scores) -> Scalar:
    """E log(1 - D(G(z))), what the generator minimises in algorithm 1 (Goodfellow 2014)."""
    return -softplus(fake).mean()


def non_saturating(fake: Scores) -> Scalar:
    """-E log D(G(z)): same fixed point, stronger gradients early in training (Goodfellow 2014, section 3)."""
    return softplus(-fake).mean()


def least_squares(scores: Scores, target: float) -> Scalar:
    """1/2 E (D - target)^2 (Mao 2017, equation 2)."""
    return (scores - target).square().mean() / 2


def probabilities(real: Scores, fake: Scores) -> dict[str, Scalar]:
    """Means of D(x) and D(G(z)), to look at."""
    return {
        "d_real": real.detach().sigmoid().mean(),
        "d_fake": fake.detach().sigmoid().mean(),
    }


def lipschitz_quotient(
    real: Float[Tensor, "n c h w"], fake: Float[Tensor, "n c h w"], real_scores: Scores, fake_scores: Scores
) -> Scalar:
    """E |D(x) - D(x_tilde)| / ||x - x_tilde||_2 over pairs of a real and a generated sample, to look at.

    No more than the critic's Lipschitz constant, which the Wasserstein distance asks to be 1.
    """
    rise = (real_scores - fake_scores).detach().abs()
    run = torch.linalg.vector_norm((real - fake).detach().flatten(1), dim=1)
    quotient: Tensor = (rise / run.to(rise.dtype).clamp_min(1e-12)).mean()
    return quotient


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "n c h w"],
    fake: Float[Tensor, "n c h w"],
    epsilon: Float[Tensor, "n 1 1 1"],
) -> Scalar:
    """E (||grad D(x_hat)||_2 - 1)^2 at x_hat = epsilon x + (1 - epsilon) x_tilde (Gulrajani 2017, algorithm 1).

    Each sample has its own epsilon. Computed outside autocast, in the type of `real`: a norm's gradient is too fine for
    half precision.
    """
    with torch.autocast(real.device.type, enabled=False):
        between = torch.lerp(fake.detach().to(real.dtype), real, epsilon).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        norms: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
        return (norms - 1).square().mean()
