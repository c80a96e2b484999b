"""BiGAN: Donahue, Krahenbuhl & Darrell 2016, Adversarial feature learning.

The value function is ALI's, with an encoder that adds no noise (section 2, equation 3):

    V(D, E, G) = E_x log D(x, E(x)) + E_z log(1 - D(G(z), z))

for each step, from one forward (section 2, "we simultaneously update"):

    D descends          -mean log D(x, E(x))        - mean log(1 - D(G(z), z))
    E and G descend     -mean log(1 - D(x, E(x)))   - mean log D(G(z), z)

The second line is the objective of section 3.4's "inverse" targets: E and G minimise the discriminator's loss with the
labels swapped, which gives stronger gradients than -V does.

Deviations: z is standard normal, where the paper draws it uniformly from [-1, 1]; the networks are ALI's
(gen/nets/inference.py), so that the two are compared by what differs: noise in the encoder, or none.
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
    """Hyperparameters of BiGAN."""

    latent_dim: int = Field(default=50, ge=1)
    """Dimensions of z; 50 in the paper's model of MNIST, 200 in that of ImageNet."""
    width: int = Field(default=32, ge=1)
    """Maps of the first layer of a 32x32 image, 32 as in ALI; for points, units of each hidden layer."""
    depth: int | None = Field(default=None, ge=1)
    """Hidden layers for points; null for images, whose size decides."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of what goes into each layer of the discriminator that is dropped; 0.2 as in ALI."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate of Adam for encoder and generator; 2e-4 in the paper."""
    discriminator_lr: float = Field(default=2e-4, gt=0)
    """Of the discriminator; the same in the paper. Ten times as much makes toy points invertible in minutes."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Momentum of Adam; 0.5 in the paper."""


class Model(nn.Module):
    """Encoder E, generator G, discriminator D of pairs."""

    def __init__(self, config: Config, data: DataSpec) -> None:
        """Raises InputError when `data.image` is neither points nor a square of 16, 32 or 64 pixels."""
        super().__init__()
        self.config = config
        self.encoder, self.generator, self.discriminator = inference_networks_for(
            data.image,
            latent_dim=config.latent_dim,
            encoded=config.latent_dim,
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
        both = [*self.encoder.parameters(), *self.generator.parameters()]
        generator = OptimizerStep(params=both, optimizer=adam(self.config.lr, betas), ema=True)
        optimizer_steps = {"discriminator": discriminator, "generator": generator}
        return [Update(name="both", loss=self.losses, optimizer_steps=optimizer_steps)]

    def losses(self, batch: Batch, noise: Noise) -> Losses:
        """The two lines above; `generator` stands for E and G together."""
        z = self.prior(noise)
        images = torch.cat([batch.images, self.decode(z)])
        codes = torch.cat([self.encode(batch.images), z])
        encoded, drawn = self.discriminator(images, codes, noise).chunk(2)
        return {
            "discriminator": discriminator_loss(encoded, drawn),
            "generator": discriminator_loss(drawn, encoded),
            **probabilities(encoded, drawn),
        }

    def prior(self, noise: Noise) -> Float[Tensor, "n d"]:
        """Standard normal."""
        return noise.normal(self.config.latent_dim)

    def decode(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """G(z): images in [-1, 1], or points."""
        images: Tensor = self.generator(z)
        return images

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """E(x)."""
        z: Tensor = self.encoder(images)
        return z

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The encoder's last three hidden layers and E(x), as ALI's are taken."""
        return torch.cat([self.encoder.features(images), self.encode(images)], dim=1)

    def sample(self, noise: Noise) -> Float[Tensor, "n c h w"]:
        """One sample for every row of noise."""
        return self.decode(self.prior(noise))
