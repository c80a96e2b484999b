"""Restricted Boltzmann machine: Hinton 2002, Training products of experts by minimizing contrastive divergence.

With persistent chains: Tieleman 2008, Training restricted Boltzmann machines using approximations to the likelihood
gradient. F is the free energy, p(v) = exp(-F(v)) / Z (gen/nets/boltzmann.py):

    CD-k    minimise  F(v) - F(v_k),    v_k after k steps of Gibbs sampling from the data, held constant
    PCD-k   the same, but each row of the batch has a chain that goes on from where the last step left it

Likelihoods need Z, which annealed importance sampling estimates; checkpoints are chosen by the pseudo-likelihood.

Deviations: no momentum and no weight decay. Samples are the probabilities of visible units after `burn_in` steps from
random ones, not draws.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from gen.abilities import Estimate
from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update, constant
from gen.losses.levels import Binarisation, check_support, to_levels
from gen.memory import Memory
from gen.nets.boltzmann import BoltzmannMachine
from gen.optimizers import sgd
from gen.settings import Settings


class Config(Settings):
    """Hyperparameters of the restricted Boltzmann machine."""

    hidden: int = Field(default=500, ge=1)
    """Hidden units; 500 for MNIST, as Salakhutdinov & Murray 2008 have them."""
    k: int = Field(default=1, ge=1)
    """Gibbs steps for a gradient."""
    persistent: bool = True
    """Whether chains go on from step to step (PCD), or start from the data each time (CD)."""
    binarisation: Binarisation = "threshold"
    """How grey pixels become binary units: white from 1/2 up, or drawn with that probability."""
    lr: float = Field(default=0.05, gt=0)
    """Learning rate of gradient descent; 0.05 is Salakhutdinov & Murray's."""
    decay_steps: int | None = Field(default=None, ge=1)
    """Steps over which the learning rate falls linearly to 0, as in Tieleman 2008; null: it stays."""
    burn_in: int = Field(default=1000, ge=1)
    """Gibbs steps for a sample, and for a completion."""
    temperatures: int = Field(default=14_500, ge=3)
    """Of annealed importance sampling; 14,500 in Salakhutdinov & Murray 2008."""
    chains: int = Field(default=100, ge=2)
    """Of annealed importance sampling; 100 in the same paper."""
    max_error: float = Field(default=0.5, gt=0)
    """Largest standard error of log Z, in nats, up to which annealed importance sampling counts as converged."""


class Model(nn.Module):
    """Binary units in two layers, for images of any shape."""

    density: ClassVar = "estimate"
    held_out: ClassVar = "pseudo_nats"
    levels: ClassVar = 2

    def __init__(self, config: Config, data: DataSpec) -> None:
        super().__init__()
        self.config, self.image = config, data.image
        units = data.image.channels * data.image.height * data.image.width
        self.machine = BoltzmannMachine(units, config.hidden)
        self.chains = Memory(units)
        self.max_error = config.max_error

    def updates(self) -> Sequence[Update]:
        """One."""
        move = OptimizerStep(
            params=list(self.parameters()),
            optimizer=sgd(self.config.lr),
            schedule=falling(self.config.decay_steps),
            ema=True,
        )
        return [Update(name="divergence", loss=self.loss, optimizer_steps={"contrast": move})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Mean F(v) - F(v_k), whose gradient descends the divergence, but which is no measure of it."""
        v = self.units(batch.images, noise)
        with torch.no_grad():
            start = self.chains.recall(noise) if self.config.persistent else v
            sampled, _ = self.machine.chain(start, self.config.k, noise)
            if self.config.persistent:
                self.chains.keep(noise, sampled)
        return {"contrast": (self.machine.free_energy(v) - self.machine.free_energy(sampled)).mean()}

    def to_levels(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Int[Tensor, "n c h w"]:
        """Pixels as 0 and 1."""
        return to_levels(images, self.levels, self.config.binarisation, noise)

    def units(self, images: Float[Tensor, "n c h w"], noise: Noise) -> Float[Tensor, "n d"]:
        """Pixels as visible units."""
        return self.to_levels(images, noise).flatten(1).to(images.dtype)

    def log_unnormalised(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-F(v) of each image, in nats. Raises InputError of other shapes or values outside of [-1, 1]."""
        check_support(batch.images, self.image)
        return -self.machine.free_energy(self.units(batch.images, noise))

    def log_partition(self, noise: Noise) -> Estimate:
        """log Z, estimated from the noise's key; whatever its rows are."""
        return self.machine.log_partition(self.config.temperatures, self.config.chains, noise)

    def log_likelihood(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-F(v) - log Z of each image, in nats. Raises InputError of other shapes or values outside of [-1, 1]."""
        return self.log_unnormalised(batch, noise) - self.log_partition(noise).value

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """Minus the log pseudo-likelihood, in nats: the likelihood itself would take minutes."""
        return -self.machine.log_pseudo_likelihood(self.units(batch.images, noise))

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """Probabilities of visible units, in [-1, 1]."""
        start = noise.bernoulli(len(self.machine.b), probability=0.5)
        return self.pictures(self.machine.chain(start, self.config.burn_in, noise)[1])

    def complete(
        self, images: Float[Tensor, "n c h w"], known: Bool[Tensor, "h w"], noise: Noise
    ) -> Float[Tensor, "n c h w"]:
        """Images of which any pixels are known: these stay, in chains that draw the others. Raises InputError, too."""
        check_support(images, self.image)
        every = known.expand(self.image)
        start = noise.bernoulli(len(self.machine.b), probability=0.5)
        start = torch.where(every.flatten(), self.units(images, noise), start)
        made = self.machine.chain(start, self.config.burn_in, noise, every.flatten())[1]
        return torch.where(every, images, self.pictures(made))

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Probabilities of the hidden units given grey pixels as probabilities, for a linear classifier."""
        return self.machine.hidden_logits((images.flatten(1) + 1) / 2).sigmoid()

    def filters(self) -> Float[Tensor, "k c h w"]:
        """The weights of each hidden unit, those of the largest weights first, each scaled to [-1, 1]."""
        weights = self.machine.W.detach().T
        order = weights.norm(dim=1).argsort(descending=True)
        return self.as_images(weights[order] / weights[order].abs().amax(dim=1, keepdim=True).clamp_min(1e-12))

    def pictures(self, p: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Probabilities as images in [-1, 1]."""
        return self.as_images(2 * p - 1)

    def as_images(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Each row as an image."""
        return rows.reshape(len(rows), *self.image)


def falling(steps: int | None) -> Callable[[int], float]:
    """The schedule that falls linearly to 0 in so many steps."""
    return constant if steps is None else lambda step: max(0.0, 1 - step / steps)
