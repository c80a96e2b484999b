"""Toy points in the plane, drawn from a seed: Gaussians on a ring or grid, and the Swiss roll.

| shape | what | after |
|---|---|---|
| ring8 | 8 Gaussians on a circle of radius 2, sigma 0.02 | published code of WGAN-GP (Gulrajani 2017) |
| grid25 | 25 Gaussians at {-4, -2, 0, 2, 4}^2, sigma 0.05 | published code of WGAN-GP |
| swissroll | the Swiss roll of scikit-learn, noise 0.25, two of its coordinates over 7.5 | published code of WGAN-GP |
| mixture25 | the 25 of grid25 | published code of ALI (Dumoulin 2016), which differs from its figure |
| mixture9 | 9 Gaussians at {-2, 0, 2}^2, sigma 0.05 | ALI's figure 7 has nine modes; spacing and sigma of its code |

That WGAN-GP code divides ring and grid by a constant near their standard deviation; here the coordinates are kept, and
the loader divides by the scale of `describe`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from pydantic import Field

from gen.data.source import SPLITS, Chunk, Description, Published
from gen.settings import Settings

REACH = 8.0
"""Sigmas that no draw exceeds (probability 1e-15); the scale leaves room for them."""

ROWS = 100_000
"""Points drawn at a time."""

ROLL_NOISE, ROLL_UNIT = 0.25, 7.5


class Config(Settings):
    """The data set's section of params.yaml."""

    shape: Literal["ring8", "grid25", "swissroll", "mixture9", "mixture25"]
    """Which points."""
    rows: int = Field(gt=0, le=10_000_000)
    """Points of the train split."""
    validation: int = Field(ge=0, le=10_000_000)
    """Points of the validation split."""
    test: int = Field(ge=0, le=10_000_000)
    """Points of the test split."""
    seed: int = Field(ge=0, lt=2**32)
    """Seed of the draw."""


class Modes(NamedTuple):
    """The Gaussians of a mixture, all with the same weight and sigma."""

    centres: Float[ndarray, "k 2"]
    sigma: float


def modes(config: Config) -> Modes | None:
    """Centres and sigma in raw coordinates, in the order of the labels; None for the Swiss roll, which has none."""
    if config.shape == "swissroll":
        return None
    if config.shape == "ring8":
        angle = np.arange(8) * (np.pi / 4)
        return Modes(2 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.02)
    steps = np.arange(-2.0, 3.0, 2.0) if config.shape == "mixture9" else np.arange(-4.0, 5.0, 2.0)
    return Modes(np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2), 0.05)


def files(config: Config) -> Sequence[Published]:
    """None: the points are drawn."""
    return ()


def read(raw: Path, config: Config) -> Iterator[Chunk]:
    """Train, validation and test points as float32 2x1x1 in raw coordinates; the label is the mode."""
    for number, (split, rows) in enumerate(zip(SPLITS, (config.rows, config.validation, config.test), strict=True)):
        random = np.random.RandomState([config.seed, number])  # the generator whose stream numpy promises to keep
        for start in range(0, rows, ROWS):
            ids = [str(row) for row in range(start, min(start + ROWS, rows))]
            points, labels = _draw(config, len(ids), random)
            yield Chunk(split, points.reshape(-1, 2, 1, 1), labels, ids)


def describe(config: Config) -> Description:
    """2x1x1, one class for each mode, and the scale that no point exceeds."""
    found = modes(config)
    if found is None:
        return Description((2, 1, 1), "float32", (), (4.5 * np.pi + REACH * ROLL_NOISE) / ROLL_UNIT)
    scale = float(np.abs(found.centres).max() + REACH * found.sigma)
    names = tuple(f"({x:.2f}, {y:.2f})" for x, y in found.centres)
    settings = {"centres": found.centres.tolist(), "sigma": found.sigma}
    return Description((2, 1, 1), "float32", names, scale, settings=settings)


def _draw(
    config: Config, rows: int, random: np.random.RandomState
) -> tuple[Float32[ndarray, "rows 2"], Int64[ndarray, " rows"]]:
    """The next points, and the mode of each."""
    found = modes(config)
    if found is None:
        from sklearn.datasets import make_swiss_roll  # as in digits.py

        roll = make_swiss_roll(rows, noise=ROLL_NOISE, random_state=random)[0]
        return (roll[:, [0, 2]] / ROLL_UNIT).astype(np.float32), np.zeros(rows, np.int64)
    labels = random.randint(len(found.centres), size=rows, dtype=np.int64)
    return (found.centres[labels] + found.sigma * random.randn(rows, 2)).astype(np.float32), labels
