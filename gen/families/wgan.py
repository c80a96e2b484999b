"""WGAN: Arjovsky, Chintala & Bottou 2017, Wasserstein generative adversarial networks.

Algorithm 1, with alpha = 5e-5, c = 0.01, m = 64, n_critic = 5:

    while theta has not converged
        n_critic times: sample x(1..m) from the data and z(1..m) from p(z)
                        g_w <- grad_w [1/m sum f_w(x(i)) - 1/m sum f_w(g_theta(z(i)))]
                        w <- clip(w + alpha RMSProp(w, g_w), -c, c)
        sample z(1..m)
        g_theta <- -grad_theta 1/m sum f_w(g_theta(z(i)))
        theta <- theta - alpha RMSProp(theta, g_theta)

The critic f_w has no sigmoid and its loss no logarithm. As in the algorithm, w is clipped after each step, so the first
step starts from unclipped weights; the published code clips before each step instead. Its critic warm-up, which the
paper does not mention, is an option: 100 critic steps for the first 25 generator steps and for every 500th.

Networks as in the published code: DCGAN's, z standard normal. Deviations: `norm` can be switched off in the critic;
points have MLPs, whose critic has LeakyReLU of slope 0.2, where the published code's MLPs have ReLU.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import lipschitz_quotient
from gen.nets.forms import discriminator_for, generator_for
from gen.optimizers import rmsprop
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of WGAN."""

    latent_dim: int = Field(default=100, ge=1)
    """Dimensions of z; 100 in the published code."""
    width: int = Field(default=64, ge=1)
    """Maps next to the image, doubled at every halving of its side; for points, units of each hidden layer.

    64 in the published code.
    """
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers for points; null for images, whose size decides."""
    norm: Literal["batch", "layer", "none"] = "batch"
    """Normalisation in the critic; batch in the published code."""
    n_critic: int = Field(default=5, ge=1)
    """Critic steps per generator step; 5 in the paper."""
    critic_warmup: bool = False
    """Whether the critic makes 100 steps for the first 25 generator steps and every 500th.

    The published code does, the paper does not mention it.
    """
    clip: float = Field(default=0.01, gt=0)
    """c: the critic's weights stay in [-c, c]; 0.01 in the paper."""
    lr: float = Field(default=5e-5, gt=0)
    """Learning rate alpha of RMSProp, for both networks; 5e-5 in the paper."""


class Model(nn.Module):
    """Generator g and critic f."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is neither points nor a square of 16, 32, 64 or 128 pixels."""
        super().__init__()
        self.config = config
        self.generator = generator_for(data.image, config.latent_dim, config.width, config.depth)
        self.critic = discriminator_for(data.image, config.width, config.depth, config.norm)

    def updates(self) -> Sequence[Update]:
        """The critic's steps, each with its clipping, then the generator's."""
        weights = list(self.critic.parameters())
        optimizer = rmsprop(self.config.lr)
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        return [
            Update(
                name="critic",
                loss=self.critic_loss,
                optimizer_steps={"critic": OptimizerStep(params=weights, optimizer=optimizer)},
                repeat=self.critic_steps,
                post_step=lambda losses: clip(weights, self.config.clip),
            ),
            Update(
                name="generator", loss=self.generator_loss, uses_batch=False, optimizer_steps={"generator": generator}
            ),
        ]

    def critic_steps(self, step: int) -> int:
        """Critic steps at a generator step counted from 0."""
        warm = self.config.critic_warmup and (step < 25 or step % 500 == 0)
        return 100 if warm else self.config.n_critic

    def critic_loss(self, batch: Batch, noise: Noise) -> Losses:
        """f(g(z)) - f(x), and its negative, the estimate of the Wasserstein distance (up to the Lipschitz constant)."""
        with torch.no_grad():
            generated = self.decode(self.prior(noise))
        # Apart and not in one forward, for batch norm's sake.
        real, fake = self.critic(batch.images), self.critic(generated)
        distance = real.mean() - fake.mean()
        quotient = lipschitz_quotient(batch.images, generated, real, fake)
        return {"critic": -distance, "wasserstein": distance.detach(), "lipschitz_quotient": quotient}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-f(g(z))."""
        return {"generator": -self.critic(self.decode(self.prior(noise))).mean()}

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """g(z): images in [-1, 1], or points."""
        images: Tensor = self.generator(z)
        return images

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What the critic sees, for a linear classifier."""
        return self.critic.features(images)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One sample for every row of noise."""
        return self.decode(self.prior(noise))


def clip(weights: Sequence[Tensor], c: float) -> None:
    """Bring all weights into [-c, c], in place and all at once."""
    torch._foreach_clamp_min_([*weights], -c)
    torch._foreach_clamp_max_([*weights], c)
