"""A family that sees mismatched pairs, to prove streams: does this label belong to that image?"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gen.family import Batch, DataSpec, Losses, Noise, OptimizerStep, Update
from gen.optimizers import adam
from gen.settings import Settings


class Config(Settings):
    """Where the mismatched images come from."""

    domain: str = ""
    """Domain of the data set; empty: the same rows in another order."""


class Model(nn.Module):
    """Logistic regression on the image, one for each class; images of another row are the negative examples."""

    held_out = "held_out_error"

    def __init__(self, config: Config, data: DataSpec) -> None:
        super().__init__()
        self.streams = {"mismatched": config.domain}
        self.matches = nn.Linear(math.prod(data.image), data.classes)

    def updates(self) -> Sequence[Update]:
        """One."""
        step = OptimizerStep(params=[*self.parameters()], optimizer=adam(1e-3, (0.9, 0.999)))
        return [Update(name="match", loss=self.loss, optimizer_steps={"error": step})]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """The mean over rows."""
        return {"error": self.held_out_loss(batch, noise).mean()}

    def held_out_loss(self, batch: Batch, noise: Noise) -> Float[Tensor, " n"]:
        """-log D(x, y) - log(1 - D(x', y)), x' an image of the other stream."""
        other = batch.others["mismatched"].images
        right, wrong = self.logit(batch.images, batch), self.logit(other, batch)
        return functional.softplus(-right) + functional.softplus(wrong)

    def logit(self, images: Float[Tensor, "n c h w"], batch: Batch) -> Float[Tensor, " n"]:
        """Of the probability that an image has the label of the batch's row."""
        return self.matches(images.flatten(1))[torch.arange(len(images), device=images.device), batch.labels]
