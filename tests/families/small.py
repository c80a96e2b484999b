"""Settings of every family that train in milliseconds, for tests of what holds for all families."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from gen.abilities import Conditional
from gen.conditions import draw
from gen.families import load_family
from gen.family import Condition, DataSpec, Family, ImageShape, Noise
from gen.memory import memories

IMAGES = ImageShape(1, 16, 16)
POINTS = ImageShape(2, 1, 1)

SMALL: Mapping[str, Mapping[ImageShape, Mapping[str, Any]]] = {
    "autoencoder": {
        IMAGES: {"latent_dim": 4, "convolutional": True, "width": 4, "depth": None, "lr": 1e-3},
        POINTS: {"latent_dim": 4, "convolutional": False, "width": 16, "depth": 2, "lr": 1e-3},
    },
    "big_gan": {
        IMAGES: {"latent_dim": 7, "embedding_dim": 4, "width": 2, "attention": 8, "n_discriminator": 1}
        | {"orthogonal_weight": 1e-4, "truncation": None, "lr": 1e-4, "discriminator_lr": 2e-4}
        | {"beta1": 0.0, "beta2": 0.999}
    },
    "cgan": {
        image: {"latent_dim": 4, "width": 16, "depth": 2, "dropout": 0.5, "lr": 2e-4, "beta1": 0.5}
        for image in (IMAGES, POINTS)
    },
    "pixel_cnn": {
        IMAGES: {"gated": False, "base_channels": 4, "depth": 2, "kernel": 3, "first_kernel": 3, "head_channels": 4}
        | {"levels": 2, "binarisation": "stochastic", "lr": 1e-3, "max_norm": 1.0}
    },
    "pixel_rnn": {
        IMAGES: {"recurrence": "row", "base_channels": 4, "depth": 2, "first_kernel": 3, "head_channels": 4}
        | {"levels": 2, "binarisation": "stochastic", "lr": 1e-3, "max_norm": 1.0}
    },
    "rbm": {
        IMAGES: {"hidden": 8, "k": 1, "persistent": True, "binarisation": "stochastic", "lr": 0.05}
        | {"decay_steps": 100, "burn_in": 3, "temperatures": 30, "chains": 4, "max_error": 0.5}
    },
    "vae": {
        image: {
            "latent_dim": 2,
            "convolutional": False,
            "width": 16,
            "depth": 1,
            "likelihood": likelihood,
            "binarisation": "threshold",
            "beta": 1.0,
            "lr": 1e-3,
        }
        for image, likelihood in ((IMAGES, "logistic"), (POINTS, "gaussian"))
    },
    **{
        name: {
            image: {"latent_dim": 4, "width": width, "depth": depth, "dropout": 0.2}
            | {"lr": 1e-4, "discriminator_lr": 1e-4, "beta1": 0.5}
            for image, width, depth in ((IMAGES, 2, None), (POINTS, 8, 2))
        }
        for name in ("ali", "bigan")
    },
    "dcgan": {IMAGES: {"latent_dim": 4, "width": 4, "k": 1, "lr": 2e-4, "beta1": 0.5}},
    "gan": {
        image: {
            "latent_dim": 4,
            "width": 16,
            "depth": 2,
            "loss": "minimax",
            "dropout": 0.5,
            "k": 2,
            "lr": 2e-4,
            "beta1": 0.5,
        }
        for image in (IMAGES, POINTS)
    },
    "lsgan": {
        image: {"latent_dim": 4, "width": 4, "depth": depth, "norm": norm, "k": 1}
        | {"a": 0.0, "b": 1.0, "c": 1.0, "lr": 2e-4, "beta1": 0.5}
        for image, depth, norm in ((IMAGES, None, "batch"), (POINTS, 2, "none"))
    },
    "wgan": {
        image: {"latent_dim": 4, "width": 4, "depth": depth, "norm": norm}
        | {"n_critic": 2, "critic_warmup": False, "clip": 0.01, "lr": 5e-5}
        for image, depth, norm in ((IMAGES, None, "batch"), (POINTS, 2, "none"))
    },
    "wgan_gp": {
        image: {"latent_dim": 4, "width": 4, "depth": depth, "norm": "layer", "n_critic": 2}
        | {"penalty_weight": 10.0, "lr": 1e-4, "beta1": 0.0, "beta2": 0.9}
        for image, depth in ((IMAGES, None), (POINTS, 2))
    },
}
"""Family -> shape of its samples (each form it has) -> the `model` section."""


def small(family: str, image: ImageShape | None = None) -> tuple[dict[str, Any], ImageShape]:
    """Settings of a family and the shape they are for: its first form, unless one is asked for."""
    assert family in SMALL, f"tests/families/small.py: add settings of {family!r}, for the tests of all families"
    image = image or next(iter(SMALL[family]))
    return dict(SMALL[family][image]), image


def forms() -> list[tuple[str, ImageShape]]:
    """Every family in every form it has."""
    return [(family, image) for family, shapes in SMALL.items() for image in shapes]


CLASSES = 8
"""Of the data that small models are built for."""
ROWS = 6
"""Of a batch that small models are given."""


def draw_some(family: Family, noise: Noise) -> Tensor:
    """Samples; a conditional family is told the classes in turn."""
    labels = torch.arange(noise.total)[noise.take] % CLASSES
    return draw(family, noise, Condition(labels) if isinstance(family, Conditional) else None)


def build(family: str, image: ImageShape | None = None, **changes: Any) -> Family:
    """A small model, with some settings changed, that remembers `ROWS` rows where it remembers any."""
    settings, image = small(family, image)
    built = load_family(family, settings | changes, DataSpec(image, CLASSES))
    for memory in memories(built):
        memory.make_room(ROWS)
    return built


def mixes_samples(family: str, image: ImageShape) -> bool:
    """Whether samples of a batch depend on one another: batch norm somewhere."""
    return any(isinstance(module, _BatchNorm) for module in build(family, image).modules())
