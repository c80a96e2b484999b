"""VAE: Kingma & Welling 2014, Auto-encoding variational Bayes.

Equation 10 with one draw of z for each image, and beta of Higgins et al. 2017 (beta-VAE, equation 4), 1 in the paper:

    minimise  L = -log p(x | z) + beta KL(q(z | x) || N(0, I)),    z = mu(x) + sigma(x) epsilon
              KL = 1/2 sum_j (mu_j^2 + sigma_j^2 - 1 - log sigma_j^2)

With beta = 1, -L is a lower bound of log p(x), in nats, by which checkpoints are chosen.

Deviations: ReLU in place of tanh; Adam in place of Adagrad; a Gaussian decoder has one learned scale for all values,
not one for each (appendix C.2); besides, a discretised logistic (Kingma et al. 2016), whose bound is of the 256 levels
of a pixel, and convolutional networks with batch norm. Samples and reconstructions are means of p(x | z), not draws
from it.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.levels import Binarisation, check_shape, check_support, from_levels, to_levels
from gen.losses.likelihood import bernoulli, discretized_logistic, gaussian
from gen.nets.forms import autoencoder_networks_for
from gen.nets.precision import at_least_float32
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the VAE."""

    latent_dim: int = Field(default=20, ge=1)
    """Dimensions of z; 20 in the paper's experiments with MNIST."""
    convolutional: bool = False
    """Whether encoder and decoder are the DCGAN's networks, for images of 16 to 128 pixels, or fully connected."""
    width: int = Field(default=500, ge=1)
    """Units of each hidden layer, 500 in the paper's; of convolutional networks, maps next to the image."""
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers of encoder and decoder, by default 1 as in the paper; the size decides of convolutional ones."""
    likelihood: Literal["bernoulli", "gaussian", "logistic"] = "bernoulli"
    """p(x | z): of a binary pixel, as the paper has MNIST, of a real number, or of one of 256 levels."""
    binarisation: Binarisation = "threshold"
    """How grey pixels become binary ones, with a Bernoulli distribution: white from 1/2 up, or drawn with that
    probability."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the KL divergence; 1 in the paper."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam; the usual one, since the paper has Adagrad."""


class Model(nn.Module):
    """Encoder q(z | x) and decoder p(x | z); fully connected ones for images of any shape and for points."""

    density: ClassVar = "bound"
    held_out: ClassVar = "nats_bound"

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for convolutional networks with a depth, or of images that they do not make."""
        super().__init__()
        self.config, self.image = config, data.image
        self.encoder, self.decoder = autoencoder_networks_for(
            data.image,
            convolutional=config.convolutional,
            latent_dim=config.latent_dim,
            encoded=2 * config.latent_dim,
            width=config.width,
            depth=config.depth,
            usual_depth=1,
            bounded=False,
        )
        self.levels = {"bernoulli": 2, "gaussian": None, "logistic": 256}[config.likelihood]
        if config.likelihood != "bernoulli":
            self.log_scale = nn.Parameter(torch.tensor(-1.0))

    def updates(self) -> Sequence[Update]:
        """One, of both networks."""
        move = OptimizerStep(params=list(self.parameters()), optimizer=adam(self.config.lr, (0.9, 0.999)), ema=True)
        return [Update(name="bound", loss=self.loss, optimizer_steps={"negative_bound": move})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """L, and its two terms to look at, in nats an image."""
        distortion, rate = (term.mean() for term in self.terms(batch.images, noise))
        loss = distortion + self.config.beta * rate
        return {"negative_bound": loss, "distortion": distortion.detach(), "rate": rate.detach()}

    def terms(self, images: Float[Tensor, "n c h w"], noise: Noise) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """-log p(x | z) and KL(q(z | x) || N(0, I)) of each image, in nats."""
        images = self.pixels(images, noise)
        mean, log_sigma = at_least_float32(self.encoder(images)).chunk(2, dim=1)
        z = mean + log_sigma.exp() * noise.normal(self.config.latent_dim)
        rate = (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(dim=1) / 2
        return -self.log_p(images, at_least_float32(self.decoder(z))).flatten(1).sum(dim=1), rate

    def to_levels(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Int[Tensor, "n c h w"]:
        """Pixels as one of 2 levels, or of 256. Raises InputError of a Gaussian distribution, which has none."""
        if self.levels is None:
            raise InputError(f"likelihood: {self.config.likelihood}; real numbers have no levels")
        return to_levels(images, self.levels, self.config.binarisation, noise)

    def pixels(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Float[Tensor, "n c h w"]:
        """The images that p(x | z) is of: binary, or as they are."""
        return from_levels(self.to_levels(images, noise), 2, images.dtype) if self.levels == 2 else images

    def check(self, batch: Batch) -> None:
        """Raises InputError for another shape, or a value outside of [-1, 1] of which no level is made."""
        (check_shape if self.levels is None else check_support)(batch.images, self.image)

    def log_weights(self, batch: Batch, noise: Noise, draws: int) -> Float[Tensor, "draws n"]:
        """log p(x | z) + log p(z) - log q(z | x) of z drawn from q(z | x), in nats (Burda et al. 2016, IWAE)."""
        self.check(batch)
        images = self.pixels(batch.images, noise)
        mean, log_sigma = at_least_float32(self.encoder(images)).chunk(2, dim=1)
        found = []
        for _ in range(draws):
            epsilon = noise.normal(self.config.latent_dim)
            z = mean + log_sigma.exp() * epsilon
            log_ratio = (epsilon.square() - z.square()).sum(dim=1) / 2 + log_sigma.sum(dim=1)
            found.append(self.log_p(images, at_least_float32(self.decoder(z))).flatten(1).sum(dim=1) + log_ratio)
        return torch.stack(found)

    def log_p(self, images: Float[Tensor, "n c h w"], out: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """log p(x | z) of each value, `out` being what the decoder makes of z."""
        match self.config.likelihood:
            case "bernoulli":
                return bernoulli(images, out)
            case "gaussian":
                return gaussian(images, out, self.log_scale)
            case "logistic":
                return discretized_logistic(images, out, self.log_scale)

    def log_likelihood(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-L with beta = 1: no more than log p(x), in nats. Raises InputError as `check` does."""
        self.check(batch)
        distortion, rate = self.terms(batch.images, noise)
        return -distortion - rate

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-L with beta = 1, of whatever beta it is trained with."""
        distortion, rate = self.terms(batch.images, noise)
        return distortion + rate

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """mu(x), the mean of q(z | x)."""
        mean: Tensor = self.encoder(images).chunk(2, dim=1)[0]
        return mean

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The mean of p(x | z), for images within [-1, 1]."""
        out: Tensor = self.decoder(z)
        if self.config.likelihood == "bernoulli":
            return 2 * out.sigmoid() - 1
        return out if out.shape[2:] == (1, 1) else out.clamp(-1, 1)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """Means of p(x | z), z drawn from the prior."""
        return self.decode(self.prior(noise))

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The encoder's last hidden layer, for a linear classifier."""
        return self.encoder.features(images)
