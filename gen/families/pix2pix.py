"""pix2pix: Isola, Zhu, Zhou & Efros 2017, Image-to-image translation with conditional adversarial networks.

Equations 1 to 4, with x what is given, y its target and z what dropout drops:

    min_G max_D  w (E log D(x, y) + E log(1 - D(x, G(x, z)))) + lambda E ||y - G(x, z)||_1

D's loss is halved, as published. Without `conditional`, D does not see x (equation 2). With `adversarial_weight: 0` G
is trained by the L1 distance alone and D not at all: both are the paper's ablations (table 1).

Deviations: instance norm, which is the paper's batch norm at its batch size of 1; G minimises -log D, as published;
the steps of D and G see different batches; G has tanh and D's patches are averaged as logits, as published. Jitter is
a function of the step and the row, drawn where the loss is computed.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import Batch, Condition, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.losses.adversarial import discriminator_loss, non_saturating, probabilities
from gen.nets.translation import Patch, PatchDiscriminator, UNet, jittered
from gen.optimizers import adam
from gen.settings import Settings

INPUT = "input"


class Config(Settings):
    """Hyperparameters of pix2pix."""

    width: int = Field(default=64, ge=1)
    """Maps of both networks next to the image; 64 in the paper."""
    patch: Patch = 70
    """Side in pixels of what each number of D looks at: 1, 16, 34, 70 (the paper's choice), or image, for all of it."""
    conditional: bool = True
    """Whether D sees what is given, too."""
    adversarial_weight: float = Field(default=1.0, ge=0)
    """w; 1 in the paper, 0 for the L1 distance alone."""
    l1_weight: float = Field(default=100.0, ge=0)
    """lambda; 100 in the paper, 0 for the GAN alone."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share that the first three layers of G's decoder drop, in sampling too; 0.5 in the paper."""
    jitter: int = Field(default=30, ge=0)
    """Pixels by which images are enlarged before they are cut back at random; 30 in the paper (286 to 256)."""
    mirror: bool = True
    """Whether half of the pairs are mirrored; so in the paper."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam, for both networks; as in the paper."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; as in the paper."""


class Model(nn.Module):
    """Generator G(x, z), a U-Net, and discriminator D(x, y), a PatchGAN, for pairs of images."""

    conditions_on: ClassVar = (f"extras.{INPUT}",)

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError for data without pairs, a size that does not halve, or losses of no weight."""
        super().__init__()
        if (column := data.extras.get(INPUT)) is None or not column.image:
            raise InputError(
                "pix2pix translates images, and the data set has no pairs; give it the section input, or use "
                "source: pairs"
            )
        if not (config.adversarial_weight or config.l1_weight):
            raise InputError("adversarial_weight and l1_weight: both 0; give one of them a weight")
        self.config = config
        given = column.shape[0]
        self.generator = UNet(given, config.width, data.image, config.dropout)
        if config.adversarial_weight:
            channels = data.image.channels + (given if config.conditional else 0)
            self.discriminator = PatchDiscriminator(channels, config.width, config.patch, data.image)

    def updates(self) -> Sequence[Update]:
        """One step of D, where there is one, then one of G."""
        optimizer = adam(self.config.lr, (self.config.beta1, 0.999))
        generator = OptimizerStep(params=list(self.generator.parameters()), optimizer=optimizer, ema=True)
        steps = [Update(name="generator", loss=self.generator_loss, optimizer_steps={"generator": generator})]
        if self.config.adversarial_weight:
            discriminator = OptimizerStep(params=list(self.discriminator.parameters()), optimizer=optimizer)
            step = {"discriminator": discriminator}
            steps.insert(0, Update(name="discriminator", loss=self.discriminator_loss, optimizer_steps=step))
        return steps

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-(log D(x, y) + log(1 - D(x, G(x, z)))) / 2, each the mean over patches."""
        x, y = self.pair(batch, noise)
        with torch.no_grad():
            made = self.generator(x, noise)
        real, fake = self.judged(torch.cat([x, x]), torch.cat([y, made])).chunk(2)
        return {"discriminator": discriminator_loss(real, fake) / 2, **probabilities(real, fake)}

    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        """-w log D(x, G(x, z)) + lambda ||y - G(x, z)||_1, the norm as a mean over values; and its terms to look at."""
        x, y = self.pair(batch, noise)
        made = self.generator(x, noise)
        distance = (y - made).abs().mean()
        loss = self.config.l1_weight * distance
        seen = {"l1": distance.detach()}
        if self.config.adversarial_weight:
            adversarial = non_saturating(self.judged(x, made))
            loss = loss + self.config.adversarial_weight * adversarial
            seen["adversarial"] = adversarial.detach()
        return {"generator": loss, **seen}

    def pair(self, batch: Batch, noise: Noise) -> tuple[Float[Tensor, "n g h w"], Float[Tensor, "n c h w"]]:
        """x and y of a batch, jittered alike."""
        x, y = batch.extras[INPUT], batch.images
        if self.config.jitter or self.config.mirror:
            both = jittered(torch.cat([x, y], dim=1), noise, self.config.jitter, self.config.mirror)
            x, y = both[:, : x.shape[1]], both[:, x.shape[1] :]
        return x, y

    def judged(self, x: Float[Tensor, "n g h w"], y: Float[Tensor, "n c h w"]) -> Float[Tensor, " numbers"]:
        """D's logits, those of all patches of the first pair, then of the second..."""
        logits: Tensor = self.discriminator(torch.cat([x, y], dim=1) if self.config.conditional else y)
        return logits.flatten()

    def sample(self, noise: Noise, condition: Condition) -> Float[Tensor, "n c h w"]:
        """G(x, z): one image for each that is given."""
        images: Tensor = self.generator(condition.extras[INPUT], noise)
        return images
