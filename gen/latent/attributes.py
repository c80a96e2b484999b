"""Attribute vectors: what a label means as a direction of latent space (White 2016, section III)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen.errors import InputError

Encodings = Float[Tensor, "n d"]
Labels = Bool[Tensor, " n"]
Vector = Float[Tensor, " d"]


def attribute_vector(z: Encodings, has: Labels, name: str = "attribute") -> Vector:
    """The mean latent vector of images with the attribute less that of images without (section III.A).

    Raises:
        InputError: no image has it, or all do.
    """
    return _mean(z, has, f"with {name}") - _mean(z, ~has, f"without {name}")


def balanced_vector(z: Encodings, has: Labels, other: Labels, name: str = "attribute", than: str = "other") -> Vector:
    """The same where another attribute, which is correlated with it, weighs nothing (section III.B).

    As if images were replicated until each of the four combinations has equally many: the mean of the differences among
    images with the other attribute and among images without.

    Raises:
        InputError: one of the four combinations has no image.
    """
    halves = []
    for kept, said in ((other, f"with {than}"), (~other, f"without {than}")):
        halves.append(
            _mean(z, has & kept, f"with {name} and {said}") - _mean(z, ~has & kept, f"without {name} and {said}")
        )
    return (halves[0] + halves[1]) / 2


def synthetic_vector(z: Encodings, changed: Float[Tensor, "m d"]) -> Vector:
    """What a change of the images means: their encodings after it less those before, in the mean (section III.C).

    Blur images, encode both, and go against the vector to sharpen what a model makes.

    Raises:
        InputError: there are no images, or not equally many.
    """
    if not len(z) == len(changed) > 0:
        raise InputError(f"{len(changed)} encodings of changed images for {len(z)} of images; give one for each")
    return (changed - z).mean(dim=0)


def traversal(z: Encodings, vector: Vector, alphas: Float[Tensor, " k"]) -> Float[Tensor, "n k d"]:
    """z + alpha vector for each z and each alpha; the z itself stands where alpha is 0."""
    return z[:, None] + alphas.to(z)[:, None] * vector


def decoupled_grid(z: Vector, across: Vector, down: Vector, alphas: Float[Tensor, " k"]) -> Float[Tensor, "k k d"]:
    """Two attribute vectors applied to one z: the first to the right, the second downwards (figure 7)."""
    steps = alphas.to(z)[:, None]
    return z + (steps * down)[:, None] + (steps * across)[None]


def shares(has: Labels, other: Labels) -> Float[Tensor, "2 2"]:
    """Tables 1 and 2: which share of images has both, the first alone; the second alone, neither."""
    cells = [[has & other, has & ~other], [~has & other, ~has & ~other]]
    return torch.stack([torch.stack([cell.double().mean() for cell in row]) for row in cells])


def _mean(z: Encodings, chosen: Labels, which: str) -> Vector:
    if not bool(chosen.any()):
        raise InputError(f"no image {which}: there is no mean of none; choose another attribute or more images")
    return z[chosen].mean(dim=0)
