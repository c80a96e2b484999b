"""ALI: Dumoulin et al. 2016, Adversarially learned inference.

A discriminator of pairs tells (x, z_hat), an image and its encoding, from (x_tilde, z), a decoded latent vector and it.
Algorithm 1:

    for each step
        draw x(1..M) from the data, z(1..M) from p(z) = N(0, I), epsilon(1..M) from N(0, I)
        z_hat   <- mu(x) + sigma(x) epsilon                                    q(z | x)
        x_tilde <- G_x(z)                                                      p(x | z), deterministic
        rho_q, rho_p <- D(x, z_hat), D(x_tilde, z)
        L_d = -mean log rho_q       - mean log(1 - rho_p)
        L_g = -mean log(1 - rho_q)  - mean log rho_p
        the discriminator descends L_d; encoder and decoder descend L_g; both gradients come from this one forward

Adam with lr 1e-4 and betas (0.5, 0.999), batches of 100, dropout 0.2 in D, z of 256 dimensions. Networks: table 3, in
gen/nets/inference.py. Real and generated pairs go through D as one batch, so that they share the statistics of batch
norm (published code, ali/bricks.py).

Deviations: the output bias of the decoder starts at 0, not at the data's log odds; one bias a map, not a pixel. Batch
norm moves its running statistics by 0.1 of the new ones, torch's default, the published code by 0.05. For points D is a
plain MLP with LeakyReLU, where the published code has maxout, and the encoder is ALI's for images, a mean and a sigma,
where the published one of points takes noise as an input.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import discriminator_loss, probabilities
from gen.nets.forms import inference_networks_for
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of ALI."""

    latent_dim: int = Field(default=256, ge=1)
    """Dimensions of z; 256 in the paper's model of SVHN."""
    width: int = Field(default=32, ge=1)
    """Maps of the first layer of a 32x32 image, 32 in the paper; for points, units of each hidden layer."""
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers for points; null for images, whose size decides."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of what goes into each layer of the discriminator that is dropped; 0.2 in the paper."""
    lr: float = Field(default=1e-4, gt=0)
    """Learning rate of Adam for encoder and decoder; 1e-4 in the paper."""
    discriminator_lr: float = Field(default=1e-4, gt=0)
    """Of the discriminator; the same in the paper. Ten times as much makes toy points invertible in minutes."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; 0.5 in the paper."""


class Model(nn.Module):
    """Encoder G_z, decoder G_x, discriminator D of pairs."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is neither points nor a square of 16, 32 or 64 pixels."""
        super().__init__()
        self.config = config
        self.encoder, self.decoder, self.discriminator = inference_networks_for(
            data.image,
            latent_dim=config.latent_dim,
            encoded=2 * config.latent_dim,
            width=config.width,
            depth=config.depth,
            dropout=config.dropout,
        )

    def updates(self) -> Sequence[Update]:
        """One, with two optimizer steps."""
        betas = (self.config.beta1, 0.999)
        discriminator = OptimizerStep(
            params=list(self.discriminator.parameters()), optimizer=adam(self.config.discriminator_lr, betas)
        )
        both = [*self.encoder.parameters(), *self.decoder.parameters()]
        generator = OptimizerStep(params=both, optimizer=adam(self.config.lr, betas), ema=True)
        optimizer_steps = {"discriminator": discriminator, "generator": generator}
        return [Update(name="both", loss=self.losses, optimizer_steps=optimizer_steps)]

    def losses(self, batch: Batch, noise: Noise) -> Losses:
        """L_d and L_g; `generator` stands for encoder and decoder together."""
        z = self.prior(noise)
        mean, log_sigma = self.encoder(batch.images).chunk(2, dim=1)
        z_hat = mean + log_sigma.exp() * noise.normal(self.config.latent_dim)
        images = torch.cat([batch.images, self.decode(z)])
        rho_q, rho_p = self.discriminator(images, torch.cat([z_hat, z]), noise).chunk(2)
        return {
            "discriminator": discriminator_loss(rho_q, rho_p),
            "generator": discriminator_loss(rho_p, rho_q),
            **probabilities(rho_q, rho_p),
        }

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G_x(z): images in [-1, 1], or points."""
        images: Tensor = self.decoder(z)
        return images

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """mu(x), the mean of q(z | x)."""
        mean: Tensor = self.encoder(images).chunk(2, dim=1)[0]
        return mean

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The encoder's last three hidden layers and mu(x): 5,376 numbers for the paper's model of SVHN."""
        return torch.cat([self.encoder.features(images), self.encode(images)], dim=1)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One sample for every row of noise."""
        return self.decode(self.prior(noise))
