"""Settings of every family that train in milliseconds, for tests of what holds for all families."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from gen.conditions import draw, told
from gen.families import load_family
from gen.family import Batch, Column, DataSpec, Family, ImageShape, Noise
from gen.memory import memories
from gen.nets.equalised import MinibatchDeviation

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
    "cycle_gan": {
        IMAGES: {"width": 2, "blocks": 1, "patch": 16, "cycle_weight": 10.0, "identity_weight": 0.5, "pool": 2}
        | {"jitter": 2, "mirror": True, "lr": 2e-4, "decay_steps": 20, "beta1": 0.5}
    },
    "pixel_cnn": {
        IMAGES: {"gated": False, "base_channels": 4, "depth": 2, "kernel": 3, "first_kernel": 3, "head_channels": 4}
        | {"levels": 2, "binarisation": "stochastic", "lr": 1e-3, "max_norm": 1.0}
    },
    "pixel_rnn": {
        IMAGES: {"recurrence": "row", "base_channels": 4, "depth": 2, "first_kernel": 3, "head_channels": 4}
        | {"levels": 2, "binarisation": "stochastic", "lr": 1e-3, "max_norm": 1.0}
    },
    "pix2pix": {
        IMAGES: {"width": 4, "patch": 16, "conditional": True, "adversarial_weight": 1.0, "l1_weight": 100.0}
        | {"dropout": 0.5, "jitter": 2, "mirror": True, "lr": 2e-4, "beta1": 0.5}
    },
    "progressive_gan": {
        IMAGES: {"latent_dim": 4, "maps": (4, 4, 2), "images_to_fade": 24, "images_to_stabilise": 4, "n_critic": 1}
        | {"penalty_weight": 10.0, "drift_weight": 1e-3, "lr": 1e-3, "beta1": 0.0, "beta2": 0.99}
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


def data_of(image: ImageShape) -> DataSpec:
    """What small models are built for: classes and, of images, pairs."""
    pairs = {"input": Column(dtype="uint8", shape=image, image=True)} if image.height > 1 else {}
    return DataSpec(image, CLASSES, pairs)


def some(image: ImageShape, rows: int, dtype: torch.dtype = torch.float32) -> Batch:
    """The classes in turn, and noise for pictures."""
    images, given = torch.rand(2, rows, *image, generator=torch.Generator().manual_seed(0)).to(dtype) * 2 - 1
    labels = torch.arange(rows) % CLASSES
    return Batch(images, labels, dict.fromkeys(data_of(image).extras, given), {"input": Batch(given, labels)})


def draw_some(family: Family, image: ImageShape, noise: Noise) -> Tensor:
    """Samples; a conditional family is told what stands in `some`."""
    return draw(family, noise, told(family, some(image, noise.total, noise.dtype).rows(noise.take)))


def build(family: str, image: ImageShape | None = None, **changes: Any) -> Family:
    """A small model, with some settings changed, that remembers `ROWS` rows where it remembers any."""
    settings, image = small(family, image)
    built = load_family(family, settings | changes, data_of(image))
    for memory in memories(built):
        memory.make_room(ROWS)
    return built


def grows(family: Family) -> bool:
    """Whether its networks grow: some parameters are of a size that is still to come, or that has been."""
    return "images_seen" in dict(family.named_buffers())


def grown(family: Family) -> Family:
    """The same after its growth, if it grows."""
    if grows(family):
        dict(family.named_buffers())["images_seen"].fill_(10**9)
    return family


def mixes_microbatches(family: str, image: ImageShape) -> bool:
    """Whether samples of a microbatch depend on one another, though those of workers may not: some deviation, too."""
    deviations = any(isinstance(module, MinibatchDeviation) for module in build(family, image).modules())
    return deviations or mixes_samples(family, image)


def mixes_samples(family: str, image: ImageShape) -> bool:
    """Whether samples of a batch depend on one another: batch norm somewhere."""
    return any(isinstance(module, _BatchNorm) for module in build(family, image).modules())
