"""The mathematics of autoencoders: what they minimise, against closed forms."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from gen.family import Batch, Noise
from tests.families.small import IMAGES, build


def batch(rows: int) -> Batch:
    images = Noise("batch", rows=rows, dtype=torch.float64).uniform(*IMAGES, low=-1.0)
    return Batch((images * 127.5).round() / 127.5, torch.zeros(rows, dtype=torch.int64))


def test_an_autoencoder_minimises_the_squared_error_of_an_image() -> None:
    family, seen = build("autoencoder").to(dtype=torch.float64), batch(3)
    made = family.decode(family.encode(seen.images))  # type: ignore[attr-defined]
    (update,) = family.updates()
    loss = update.loss(seen, Noise("z", rows=3))["reconstruction"]
    by_hand = sum(float((x - y).square().sum()) for x, y in zip(seen.images, made.detach(), strict=True)) / 3
    assert float(loss.detach()) == pytest.approx(by_hand)
    error = family.held_out_loss(seen, Noise("z", rows=3))["reconstruction_error"]  # type: ignore[attr-defined]
    assert float(error.detach().mean()) == pytest.approx(by_hand / 256)


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_the_rate_is_the_divergence_from_the_prior_and_beta_weighs_it(beta: float) -> None:
    family, seen = build("vae", beta=beta).to(dtype=torch.float64), batch(5)
    (update,) = family.updates()
    found = {
        name: float(loss.detach()) for name, loss in update.loss(seen, Noise("z", rows=5, dtype=torch.float64)).items()
    }
    mean, log_sigma = family.encoder(seen.images).chunk(2, dim=1)  # type: ignore[attr-defined]
    rate = kl_divergence(Normal(mean, log_sigma.exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean)))
    assert found["rate"] == pytest.approx(float(rate.detach().sum(dim=1).mean()))
    assert found["negative_bound"] == pytest.approx(found["distortion"] + beta * found["rate"])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic"])
def test_the_bound_is_below_log_p_by_the_divergence_of_the_posteriors(likelihood: str) -> None:
    """log p(x) - E_q bound = KL(q(z | x) || p(z | x)), with both sides integrated over a latent line."""
    torch.manual_seed(0)
    family = build("vae", likelihood=likelihood, latent_dim=1).to(dtype=torch.float64).train(False)
    seen, draws = batch(1), 20_000
    z = torch.linspace(-9, 9, 8001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        out = family.decoder(z)  # type: ignore[attr-defined]
        joint = family.log_p(seen.images.expand_as(out), out).flatten(1).sum(1) + Normal(0.0, 1.0).log_prob(z[:, 0])  # type: ignore[attr-defined]
        step = math.log(float(z[1] - z[0]))
        exact = joint.logsumexp(0) + step
        mean, log_sigma = family.encoder(seen.images).chunk(2, dim=1)  # type: ignore[attr-defined]
        q = Normal(mean[0, 0], log_sigma.exp()[0, 0]).log_prob(z[:, 0])
        divergence = float(((q + step).exp() * (q - (joint - exact))).sum())
        many = Batch(seen.images.expand(draws, *IMAGES), seen.labels.expand(draws))
        bounds = family.log_likelihood(many, Noise("z", rows=draws, dtype=torch.float64))  # type: ignore[attr-defined]
    error = float(bounds.std()) / math.sqrt(draws)
    assert divergence > 10 * error, "else nothing is tested"
    assert float(exact - bounds.mean()) == pytest.approx(divergence, abs=4 * error)
