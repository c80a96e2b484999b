"""Progressive GAN: Karras, Aila, Laine & Lehtinen 2018, Progressive growing of GANs.

Both networks begin with images of 4x4, and grow by a block that doubles the side until they have the run's (figure 2):

    4x4 is trained for images_to_stabilise images
    for each side 8, 16, ...
        its block is faded in: alpha rises from 0 to 1 over images_to_fade images, real images are blurred as much
        both networks are trained for images_to_stabilise images

    each step, n_critic times: x from the data, z on the sphere
        D descends  D(G(z)) - D(x) + lambda (||grad D(x_hat)||_2 - 1)^2 + epsilon_drift D(x)^2
    then                G descends  -D(G(z))

The stage of growth is a function of how many images were seen, which is a buffer: a model that is exported while it
grows samples as it was trained, its images enlarged, and one that begins with its weights (`warm_start`) grows on.

Networks are those of table 2, in gen/nets/progressive.py: equalised learning rate, pixel norm, minibatch standard
deviation, LeakyReLU of slope 0.2. Adam has lr 1e-3, beta1 0, beta2 0.99 and epsilon 1e-8; batches have 16 images at all
sizes there are here; samples are drawn with a moving average of decay 0.999 (`ema` of the run).

Deviations: the deviation of a minibatch is that of one microbatch of one worker. Workers with a multiple of 4 rows each
form the groups that one worker would, microbatches (`grad_accum_steps`) form others. Adam's moments stay when the
networks grow; the published code begins them anew. Real images are not mirrored. Pixels of samples beyond [-1, 1] are
cut off, as the published code does where it writes them to files.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gen.errors import InputError
from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import gradient_penalty
from gen.nets.progressive import FIRST, Alpha, Discriminator, Generator, levels_of, shrunk
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the progressive GAN."""

    latent_dim: int = Field(default=512, ge=1)
    """Dimensions of z; 512 in the paper."""
    maps: tuple[int, ...] = Field(default=(512, 512, 512, 512, 256, 128), min_length=1)
    """Maps of 4x4, 8x8, ... pixels, up to the run's size at least; table 2 of the paper."""
    images_to_fade: int = Field(default=800_000, ge=1)
    """Images over which a block is faded in; 800,000 in the paper."""
    images_to_stabilise: int = Field(default=800_000, ge=0)
    """Images that 4x4, and each size after its block was faded in, is trained with; 800,000 in the paper."""
    n_critic: int = Field(default=1, ge=1)
    """Discriminator steps per generator step; 1 in the paper."""
    penalty_weight: float = Field(default=10.0, ge=0)
    """lambda: weight of the gradient penalty; 10 in the paper."""
    drift_weight: float = Field(default=1e-3, ge=0)
    """epsilon_drift: weight of the mean square of the real images' scores; 0.001 in the paper."""
    lr: float = Field(default=1e-3, gt=0)
    """Of Adam, for both networks; 1e-3 in the paper."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of Adam; 0 in the paper."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """Decay of Adam's second moment; 0.99 in the paper."""


class Stage(NamedTuple):
    """How far networks have grown."""

    level: int
    """How often 4x4 is doubled."""
    alpha: float
    """How far the block of that level is faded in; 1: altogether."""


class Model(nn.Module):
    """Generator G and discriminator D, grown as far as the images seen say."""

    double_backward = ("discriminator",)
    """Children whose gradients are differentiated again: not to be compiled."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for an image that is no square of 8 to 128 pixels, a power of 2, or too few `maps`."""
        super().__init__()
        self.config, self.side, self.levels = config, data.image.height, levels_of(data.image)
        if len(config.maps) <= self.levels or min(config.maps) < 1:
            raise InputError(
                f"model.maps: {list(config.maps)}; images of {self.side}x{self.side} need {self.levels + 1} positive "
                "numbers, from 4x4 on"
            )
        maps = config.maps[: self.levels + 1]
        self.generator = Generator(config.latent_dim, maps, data.image.channels)
        self.discriminator = Discriminator(maps, data.image.channels)
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.images_seen: Int[Tensor, ""]
        self.batch_size = 0

    def steps_to_grow(self, batch_size: int) -> int:
        """The step from which on the last block is faded in altogether."""
        images = self.levels * (self.config.images_to_stabilise + self.config.images_to_fade)
        return -(-images // (self.config.n_critic * batch_size))

    def stage(self) -> Stage:
        """How far the networks have grown."""
        if self.images_seen.is_meta:  # networks without numbers: before their first step
            return Stage(0, 1.0)
        return stage_of(int(self.images_seen), self.config.images_to_fade, self.config.images_to_stabilise, self.levels)

    def updates(self) -> Sequence[Update]:
        """n_critic discriminator steps, then the generator's, after which the images count as seen."""
        optimizer = adam(self.config.lr, (self.config.beta1, self.config.beta2))
        discriminator = OptimizerStep(params=list(self.discriminator.parameters()), optimizer=optimizer)
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        return [
            Update(
                name="discriminator",
                loss=self.discriminator_loss,
                optimizer_steps={"discriminator": discriminator},
                repeat=self.config.n_critic,
            ),
            Update(
                name="generator",
                loss=self.generator_loss,
                uses_batch=False,
                optimizer_steps={"generator": generator},
                post_step=self.count_images,
            ),
        ]

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """D(x_tilde) - D(x) + lambda penalty + drift; also the distance, the bare penalty, and the stage of growth."""
        stage = self.stage()
        alpha = alpha_of(stage, batch.images)
        real = shrunk(batch.images, stage.level, alpha)
        with torch.no_grad():
            fake = self.generator(self.prior(noise), stage.level, alpha)
        score = partial(self.discriminator, level=stage.level, alpha=alpha)
        real_scores, fake_scores = score(real), score(fake)  # apart: their deviations are
        distance = real_scores.mean() - fake_scores.mean()
        penalty = gradient_penalty(score, real, fake, noise.uniform(1, 1, 1))
        drift = real_scores.square().mean()
        loss = self.config.penalty_weight * penalty + self.config.drift_weight * drift - distance
        message = {"wasserstein": distance.detach(), "penalty": penalty.detach()}
        grown = {"resolution": loss.new_tensor(FIRST << stage.level), "alpha": loss.new_tensor(stage.alpha)}
        return {"discriminator": loss, **message, **grown}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-D(G(z))."""
        self.batch_size = noise.total
        stage, z = self.stage(), self.prior(noise)
        alpha = alpha_of(stage, z)
        images = self.generator(z, stage.level, alpha)
        return {"generator": -self.discriminator(images, stage.level, alpha).mean()}

    def count_images(self, losses: Losses) -> None:
        """The step's images have been seen."""
        self.images_seen += self.config.n_critic * self.batch_size

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal; the generator begins by moving z to the sphere."""
        return noise.normal(self.config.latent_dim)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z) in [-1, 1], enlarged to the run's size where the networks are smaller yet."""
        stage = self.stage()
        images = self.generator(z, stage.level, alpha_of(stage, z))
        return interpolate(images, size=(self.side, self.side)).clamp(-1, 1)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One image for every row of noise."""
        return self.decode(self.prior(noise))


def stage_of(images_seen: int, to_fade: int, to_stabilise: int, levels: int) -> Stage:
    """The stage of networks of so many levels above 4x4: each is stable first, then fades into the next one."""
    level, images = divmod(images_seen, to_stabilise + to_fade)
    if level >= levels:
        return Stage(levels, 1.0)
    return Stage(level + 1, (images - to_stabilise) / to_fade) if images > to_stabilise else Stage(level, 1.0)


def alpha_of(stage: Stage, like: Tensor) -> Alpha:
    """A stage's alpha as networks take it, of a tensor's type and device; None: nothing is faded in."""
    return None if stage.alpha == 1 else like.new_tensor(stage.alpha)
