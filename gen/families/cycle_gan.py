"""CycleGAN: Zhu, Park, Isola & Efros 2017, Unpaired image-to-image translation using cycle-consistent adversarial nets.

Equations 1 to 3, with x of the domain that is given (the stream `input`), y of the data set's images, and least squares
in place of logarithms (section 4, training details):

    min_{G,F}  E (D_Y(G(x)) - 1)^2 + E (D_X(F(y)) - 1)^2 + lambda (E ||F(G(x)) - x||_1 + E ||G(F(y)) - y||_1)
               + lambda_id lambda (E ||G(y) - y||_1 + E ||F(x) - x||_1)
    min_{D_Y}  (E (D_Y(y) - 1)^2 + E D_Y(G(x))^2) / 2, and the same of D_X

lambda_id is 0 unless colours have to be kept (section 5.2). D sees translations from a pool of earlier ones
(Shrivastava et al. 2017): once it is full, a translation is shown with probability 1/2, or else takes the place of an
earlier one, which is shown.

Deviations: each row of a batch has a pool of its own, which is the paper's at its batch size of 1; the steps of
generators and discriminators see different batches, and D the translations of the generators as they are by then.
Jitter is a function of the step and the row, drawn where the loss is computed.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import least_squares
from gen.memory import Memory
from gen.nets.residual_translation import ResidualGenerator
from gen.nets.translation import Patch, PatchDiscriminator, jittered
from gen.optimizers import adam
from gen.settings import Settings

LARGE = 256
"""Side from which on the paper's generators have nine blocks; six below."""


class Config(Settings):
    """Hyperparameters of CycleGAN."""

    width: int = Field(default=64, ge=1)
    """Maps of all networks next to the image; 64 in the paper."""
    blocks: int | None = Field(default=None, ge=0)
    """Residual blocks of the generators; None: 6, of images of 256 pixels or more 9, as in the paper."""
    patch: Patch = 70
    """Side in pixels of what each number of D looks at; 70 in the paper."""
    cycle_weight: float = Field(default=10.0, ge=0)
    """lambda; 10 in the paper."""
    identity_weight: float = Field(default=0.0, ge=0)
    """lambda_id, a share of lambda; 0 in the paper, 0.5 where colours have to be kept."""
    pool: int = Field(default=50, ge=1)
    """Earlier translations that D may be shown, of each row; 50 in the paper."""
    jitter: int = Field(default=30, ge=0)
    """Pixels by which images are enlarged before they are cut back at random; 30 in the published code (286 to 256)."""
    mirror: bool = True
    """Whether half of the images are mirrored; so in the published code."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam; as in the paper."""
    decay_steps: int | None = Field(default=None, ge=2)
    """The run's steps: in the second half of them the learning rate falls linearly to 0, as in the paper. None: it
    never does."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; as in the published code."""


class Pool(nn.Module):
    """The last translations of each row of a batch: what a discriminator is shown of the generator's past."""

    def __init__(self, slots: int, image: Sequence[int]) -> None:
        super().__init__()
        self.slots = slots
        self.images = Memory(slots, *image)
        self.filled = Memory()

    @torch.no_grad()
    def exchange(self, made: Float[Tensor, "n c h w"], noise: Noise) -> Float[Tensor, "n c h w"]:
        """What is shown in place of each translation: itself, or an earlier one of its row, which it replaces."""
        kept, filled = self.images.recall(noise).clone(), self.filled.recall(noise)
        full = filled >= self.slots
        earlier = full & (noise.bernoulli(probability=0.5) > 0)
        drawn = noise.uniform(high=float(self.slots)).long().clamp_max(self.slots - 1)
        at = torch.arange(len(made), device=made.device), torch.where(full, drawn, filled.long())
        shown = torch.where(earlier[:, None, None, None], kept[at], made)
        kept[at] = torch.where((earlier | ~full)[:, None, None, None], made, kept[at])
        self.images.keep(noise, kept)
        self.filled.keep(noise, (filled + 1).clamp_max(self.slots))
        return shown


class Model(nn.Module):
    """Generators G: X -> Y and F: Y -> X, and a PatchGAN for each domain."""

    conditions_on: ClassVar = ("others.input",)
    streams: ClassVar = {"input": "input"}

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for points, or a size that does not halve."""
        super().__init__()
        self.config = config
        image = data.image
        if image.height == 1:
            raise InputError("cycle_gan translates images, and these are points; choose another data set")
        blocks = config.blocks if config.blocks is not None else 6 if image.height < LARGE else 9
        self.generator_y, self.generator_x = (ResidualGenerator(config.width, blocks, image) for _ in range(2))
        self.discriminator_y, self.discriminator_x = (
            PatchDiscriminator(image.channels, config.width, config.patch, image, affine=False) for _ in range(2)
        )
        self.pool_y, self.pool_x = Pool(config.pool, image), Pool(config.pool, image)

    def updates(self) -> Sequence[Update]:
        """One step of both generators, then one of both discriminators."""
        optimizer = adam(self.config.lr, (self.config.beta1, 0.999))
        generators = OptimizerStep(
            params=[*self.generator_y.parameters(), *self.generator_x.parameters()],
            optimizer=optimizer,
            schedule=self.schedule,
            ema=True,
        )
        discriminators = OptimizerStep(
            params=[*self.discriminator_y.parameters(), *self.discriminator_x.parameters()],
            optimizer=optimizer,
            schedule=self.schedule,
        )
        return [
            Update(name="generators", loss=self.generators_loss, optimizer_steps={"generators": generators}),
            Update(
                name="discriminators", loss=self.discriminators_loss, optimizer_steps={"discriminators": discriminators}
            ),
        ]

    def schedule(self, step: int) -> float:
        """Factor on the learning rate."""
        if self.config.decay_steps is None:
            return 1.0
        half = self.config.decay_steps // 2
        return max(0.0, 1 - max(0, step - half) / (self.config.decay_steps - half))

    def generators_loss(self, batch: Batch, noise: Noise) -> Losses:
        """Both adversarial terms, both cycles, and where it has a weight the identity; with its terms to look at."""
        x, y = self.images(batch, noise)
        made_y, made_x = self.generator_y(x), self.generator_x(y)
        # least_squares is half of a square, so twice that is the paper's.
        adversarial = 2 * (least_squares(self.judged_y(made_y), 1.0) + least_squares(self.judged_x(made_x), 1.0))
        cycle = distance(self.generator_x(made_y), x) + distance(self.generator_y(made_x), y)
        loss = adversarial + self.config.cycle_weight * cycle
        seen = {"adversarial": adversarial.detach(), "cycle": cycle.detach()}
        if self.config.identity_weight:
            identity = distance(self.generator_y(y), y) + distance(self.generator_x(x), x)
            loss = loss + self.config.identity_weight * self.config.cycle_weight * identity
            seen["identity"] = identity.detach()
        return {"generators": loss, **seen}

    def discriminators_loss(self, batch: Batch, noise: Noise) -> Losses:
        """Of D_Y and D_X together, whose parameters have nothing in common."""
        x, y = self.images(batch, noise)
        with torch.no_grad():
            made_y, made_x = self.generator_y(x), self.generator_x(y)
        made_y, made_x = self.pool_y.exchange(made_y, noise), self.pool_x.exchange(made_x, noise)
        of_y = least_squares(self.judged_y(y), 1.0) + least_squares(self.judged_y(made_y), 0.0)
        of_x = least_squares(self.judged_x(x), 1.0) + least_squares(self.judged_x(made_x), 0.0)
        return {"discriminators": of_y + of_x, "d_target": of_y.detach(), "d_input": of_x.detach()}

    def images(self, batch: Batch, noise: Noise) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
        """x and y of a batch, each jittered in its own way."""
        both = batch.others["input"].images, batch.images
        if self.config.jitter or self.config.mirror:
            return (
                jittered(both[0], noise, self.config.jitter, self.config.mirror),
                jittered(both[1], noise, self.config.jitter, self.config.mirror),
            )
        return both

    def judged_y(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " numbers"]:
        """D_Y of all patches of all images."""
        numbers: Tensor = self.discriminator_y(images)
        return numbers.flatten()

    def judged_x(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " numbers"]:
        """D_X of all patches of all images."""
        numbers: Tensor = self.discriminator_x(images)
        return numbers.flatten()

    def translate(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """G(x)."""
        made: Tensor = self.generator_y(images)
        return made

    def translate_back(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """F(y)."""
        made: Tensor = self.generator_x(images)
        return made

    def sample(self, noise: Noise, condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(x), in which nothing is random: one image for each that is given."""
        return self.translate(condition.extras["input"])


def distance(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """||x - y||_1, as a mean over values."""
    return (one - other).abs().mean()
