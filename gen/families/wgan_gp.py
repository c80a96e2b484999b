"""WGAN-GP: Gulrajani et al. 2017, Improved training of Wasserstein GANs.

Algorithm 1, with lambda = 10, n_critic = 5, m = 64, alpha = 1e-4, beta1 = 0, beta2 = 0.9:

    while theta has not converged
        n_critic times:
            for i = 1..m: sample x from the data, z from p(z), epsilon from U[0, 1]
                          x_tilde <- G(z)
                          x_hat <- epsilon x + (1 - epsilon) x_tilde
                          L(i) <- D(x_tilde) - D(x) + lambda (||grad_x_hat D(x_hat)||_2 - 1)^2
            w <- Adam(grad_w 1/m sum L(i), w, alpha, beta1, beta2)
        sample z(1..m)
        theta <- Adam(grad_theta 1/m sum -D(G(z(i))), theta, alpha, beta1, beta2)

The penalty acts on each sample's own gradient, so the critic must not mix samples: no batch norm there, layer norm
instead (section 4). The penalty is computed in float32 (gen/losses/adversarial.py).

Deviations: the networks are DCGAN's, the paper's baseline (section 5.2), with layer norm over all of a sample's maps
(group norm with one group, whose gain is per channel). Points have MLPs, as in the published code, but the critic's
have LeakyReLU of slope 0.2 for its ReLU. Figure 1 of the paper (runs swissroll_*) holds the generator fixed at the data
plus Gaussian noise and trains the critic alone; here both are trained.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import gradient_penalty, lipschitz_quotient
from gen.nets.forms import discriminator_for, generator_for
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of WGAN-GP."""

    latent_dim: int = Field(default=128, ge=1)
    """Dimensions of z; 128 in the published code."""
    width: int = Field(default=64, ge=1)
    """Maps next to the image, doubled at every halving of its side; for points, units of each hidden layer.

    64 in the published code.
    """
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers for points; null for images, whose size decides."""
    norm: Literal["layer", "none"] = "layer"
    """Normalisation in the critic; layer in the paper (batch norm would make the penalty meaningless)."""
    n_critic: int = Field(default=5, ge=1)
    """Critic steps per generator step; 5 in the paper."""
    penalty_weight: float = Field(default=10.0, ge=0)
    """lambda: weight of the gradient penalty; 10 in the paper."""
    lr: float = Field(default=1e-4, gt=0)
    """Learning rate alpha of Adam, for both networks; 1e-4 in the paper."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of Adam; 0 in the paper."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's second moment; 0.9 in the paper."""


class Model(nn.Module):
    """Generator G and critic D."""

    double_backward = ("critic",)
    """Children whose gradients are differentiated again: not to be compiled."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is neither points nor a square of 16, 32, 64 or 128 pixels."""
        super().__init__()
        self.config = config
        self.generator = generator_for(data.image, config.latent_dim, config.width, config.depth)
        self.critic = discriminator_for(data.image, config.width, config.depth, config.norm)

    def updates(self) -> Sequence[Update]:
        """n_critic critic steps, then the generator's."""
        optimizer = adam(self.config.lr, (self.config.beta1, self.config.beta2))
        critic = OptimizerStep(params=list(self.critic.parameters()), optimizer=optimizer)
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        return [
            Update(
                name="critic", loss=self.critic_loss, optimizer_steps={"critic": critic}, repeat=self.config.n_critic
            ),
            Update(
                name="generator", loss=self.generator_loss, uses_batch=False, optimizer_steps={"generator": generator}
            ),
        ]

    def critic_loss(self, batch: Batch, noise: Noise) -> Losses:
        """D(x_tilde) - D(x) + lambda penalty; also the estimate of the Wasserstein distance, and the bare penalty."""
        with torch.no_grad():
            generated = self.decode(self.prior(noise))
        real, fake = self.critic(torch.cat([batch.images, generated])).chunk(2)
        distance = real.mean() - fake.mean()
        penalty = gradient_penalty(self.critic, batch.images, generated, noise.uniform(1, 1, 1))
        loss = self.config.penalty_weight * penalty - distance
        message = {"wasserstein": distance.detach(), "penalty": penalty.detach()}
        quotient = lipschitz_quotient(batch.images, generated, real, fake)
        return {"critic": loss, **message, "lipschitz_quotient": quotient}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-D(G(z))."""
        return {"generator": -self.critic(self.decode(self.prior(noise))).mean()}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z): images in [-1, 1], or points."""
        images: Tensor = self.generator(z)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What the critic sees, for a linear classifier."""
        return self.critic.features(images)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One sample for every row of noise."""
        return self.decode(self.prior(noise))
