"""From images to latent vectors and back, for families with an encoder and without."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gen.abilities import Inference, Latent
from gen.errors import InputError
from gen.family import Noise
from gen.latent.projection import STEPS, Projection, project

AT_ONCE = 250
"""Images that go through a network together."""
DRAWS = 512
"""Draws of the prior among which an image finds its first vector."""


@torch.no_grad()
def decoded(family: Latent | Inference, z: Float[Tensor, "*sheet d"]) -> Float[Tensor, "*sheet c h w"]:
    """The images of a sheet of latent vectors of any shape."""
    parts = [family.decode(some) for some in torch.split(z.flatten(0, -2), AT_ONCE)]
    return torch.cat(parts).unflatten(0, z.shape[:-1])  # type: ignore[no-any-return,no-untyped-call]


@torch.no_grad()
def encoded(family: object, images: Float[Tensor, "n c h w"]) -> Projection:
    """Where an encoder puts images, and the error of their reconstructions.

    Raises:
        InputError: the family has no encoder.
    """
    if not isinstance(family, Inference):
        raise InputError(
            f"{name_of(family)} has no encoder; --project finds latent vectors by optimisation, as gen project does"
        )
    z = torch.cat([family.encode(some) for some in torch.split(images, AT_ONCE)])
    return Projection(z, (decoded(family, z) - images).square().flatten(1).mean(dim=1))


def projected(
    family: object,
    images: Float[Tensor, "n c h w"],
    *,
    seed: int = 0,
    steps: int = STEPS,
    after_step: Callable[[int], object] = lambda done: None,
) -> Projection:
    """The latent vectors of images by optimisation, AT_ONCE at a time, each with its steps.

    Raises:
        InputError: the family has no latent vector with a prior, or makes images of another size.
    """
    if not isinstance(family, Latent):
        raise InputError(f"{name_of(family)} has no latent vector whose prior is known: there is nothing to optimise")
    draws = family.prior(Noise(seed, "projection", rows=DRAWS))
    parts = [
        project(family.decode, some, draws, steps=steps, after_step=after_step) for some in torch.split(images, AT_ONCE)
    ]
    return Projection(torch.cat([part.z for part in parts]), torch.cat([part.error for part in parts]))


def name_of(family: object) -> str:
    """As it is called in params."""
    return type(family).__module__.rpartition(".")[2]
