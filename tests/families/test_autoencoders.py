"""The mathematics of autoencoders: what they minimise, against closed forms."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from gen.errors import InputError
from gen.families.vae import Config
from gen.families.vae import Model as Vae
from gen.family import Batch, DataSpec, ImageShape, Noise
from tests.families.small import IMAGES, POINTS, build


def batch(rows: int) -> Batch:
    images = Noise("batch", rows=rows, dtype=torch.float64).uniform(*IMAGES, low=-1.0)
    return Batch((images * 127.5).round() / 127.5, torch.zeros(rows, dtype=torch.int64))


FORMS = {"fully connected": {}, "convolutional": {"convolutional": True, "depth": None, "width": 4}}
every_form = pytest.mark.parametrize("form", FORMS)


def test_an_autoencoder_minimises_the_squared_error_of_an_image() -> None:
    family, seen = build("autoencoder").to(dtype=torch.float64).train(False), batch(3)
    made = family.decode(family.encode(seen.images))  # type: ignore[attr-defined]
    (update,) = family.updates()
    loss = update.loss(seen, Noise("z", rows=3))["reconstruction"]
    by_hand = sum(float((x - y).square().sum()) for x, y in zip(seen.images, made.detach(), strict=True)) / 3
    assert float(loss.detach()) == pytest.approx(by_hand)
    error = family.held_out_loss(seen, Noise("z", rows=3))  # type: ignore[attr-defined]
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
    noise = Noise("z", rows=5, dtype=torch.float64)
    chooses = family.held_out_loss(seen, noise).detach()  # type: ignore[attr-defined]
    assert float(chooses.mean()) == pytest.approx(found["distortion"] + found["rate"]), "whatever beta is"


@every_form
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic"])
def test_the_bound_is_below_log_p_by_the_divergence_of_the_posteriors(likelihood: str, form: str) -> None:
    """log p(x) - E_q bound = KL(q(z | x) || p(z | x)), with both sides integrated over a latent line."""
    torch.manual_seed(0)
    family = build("vae", likelihood=likelihood, latent_dim=1, **FORMS[form]).to(dtype=torch.float64).train(False)
    seen, draws = batch(1), 20_000
    seen = seen._replace(images=family.pixels(seen.images, Noise("none", rows=1)))  # type: ignore[operator]
    if form == "convolutional":  # its weights start so small that all images are alike
        for param in family.parameters():
            param.data.mul_(6)
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


class Linear(Vae):
    """A VAE of linear networks: p(z | x) is Gaussian, and log p(x) known (a probabilistic PCA)."""

    def __init__(self, exact_posterior: bool) -> None:
        data = DataSpec(ImageShape(3, 1, 1))
        super().__init__(Config(latent_dim=2, width=4, likelihood="gaussian"), data)
        self.to(dtype=torch.float64)
        W = torch.tensor([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.0]], dtype=torch.float64)
        variance = math.exp(2 * float(self.log_scale.detach()))
        precision = torch.eye(2, dtype=torch.float64) + W.T @ W / variance
        # q(z | x) is factorised: exact where the columns of W are orthogonal; else it is made too wide, besides.
        if exact_posterior:
            W = torch.linalg.qr(W).Q
            precision = (1 + 1 / variance) * torch.eye(2, dtype=torch.float64)
        self.W = W
        to_mean = torch.linalg.solve(precision, W.T) / variance
        log_sigma = -precision.diagonal().log() / 2 + (0.0 if exact_posterior else 0.5)

        class Encode(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.cat([x.flatten(1) @ to_mean.T, log_sigma.expand(len(x), 2)], dim=1)

        class Decode(nn.Module):
            def forward(self, z: torch.Tensor) -> torch.Tensor:
                return (z @ W.T)[:, :, None, None]

        self.encoder, self.decoder = Encode(), Decode()
        covariance = W @ W.T + variance * torch.eye(3, dtype=torch.float64)
        self.marginal = MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance)


@pytest.mark.parametrize("exact_posterior", [True, False])
def test_bounds_of_a_linear_vae_lie_below_the_exact_likelihood(exact_posterior: bool) -> None:
    rows, draws = 4000, 50
    family = Linear(exact_posterior)
    x = Noise("x", rows=rows, dtype=torch.float64).normal(3, 1, 1)
    seen = Batch(x, torch.zeros(rows, dtype=torch.int64))
    exact = -family.marginal.log_prob(x.flatten(1)).mean()
    with torch.no_grad():
        bound = -family.log_likelihood(seen, Noise("bound", rows=rows, dtype=torch.float64)).mean()
        weights = family.log_weights(seen, Noise("k", rows=rows, dtype=torch.float64), draws)
    tighter = (math.log(draws) - weights.logsumexp(dim=0)).mean()
    if exact_posterior:
        torch.testing.assert_close(weights, family.marginal.log_prob(x.flatten(1)).expand(draws, -1))
    else:
        assert float(exact) + 0.003 < float(tighter) < float(bound) - 0.1


def test_convolutional_networks_have_no_depth() -> None:
    with pytest.raises(InputError, match=r"^model\.depth: 2; the size of images decides"):
        build("vae", convolutional=True, depth=2)
    with pytest.raises(InputError, match="image of 1x1: convolutional networks make squares"):
        build("autoencoder", POINTS, convolutional=True, depth=None)


def test_grey_pixels_become_binary_as_is_said() -> None:
    rows = 400
    grey = torch.full((rows, *IMAGES), -0.5, dtype=torch.float64)
    seen = Batch(grey, torch.zeros(rows, dtype=torch.int64))
    for binarisation, white in (("threshold", 0.0), ("stochastic", 0.25)):
        family = build("vae", likelihood="bernoulli", binarisation=binarisation).to(dtype=torch.float64)
        for param in family.parameters():
            param.data.zero_()
        family.decoder[1].output.bias.data.fill_(1.0)  # type: ignore[attr-defined]
        with torch.no_grad():
            noise = Noise("b", rows=rows, dtype=torch.float64)
            found = family.log_likelihood(seen, noise)  # type: ignore[attr-defined]
        by_hand = 256 * (white * math.log(1 / (1 + math.exp(-1))) + (1 - white) * math.log(1 / (1 + math.exp(1))))
        assert float(found.mean()) == pytest.approx(by_hand, abs=1.5 if binarisation == "stochastic" else 1e-9)
        assert bool(found.std() > 1) == (binarisation == "stochastic")


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic"])
def test_a_value_that_is_no_pixel_has_no_likelihood(likelihood: str) -> None:
    family = build("vae", likelihood=likelihood)
    seen = Batch(torch.full((2, *IMAGES), 1.2), torch.zeros(2, dtype=torch.int64))
    for find in (family.log_likelihood, lambda *of: family.log_weights(*of, 2)):  # type: ignore[attr-defined]
        with pytest.raises(InputError, match=r"^images: a value of 1.2; a model of discrete pixels has a likelihood"):
            find(seen, Noise("b", rows=2))
