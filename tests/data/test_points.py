from pathlib import Path

import numpy as np
import pytest

from gen.data.source import Chunk
from gen.data.sources import points
from gen.data.sources.points import Config

RAW = Path("unused")
SHAPES = ("ring8", "grid25", "swissroll", "mixture9", "mixture25")


def config(shape: str, rows: int = 20_000, seed: int = 0) -> Config:
    return Config.model_validate({"shape": shape, "rows": rows, "validation": 500, "test": 300, "seed": seed})


def train(settings: Config) -> Chunk:
    return next(points.read(RAW, settings))


@pytest.mark.parametrize(
    ("shape", "number", "sigma"), [("ring8", 8, 0.02), ("grid25", 25, 0.05), ("mixture9", 9, 0.05)]
)
def test_mixtures(shape: str, number: int, sigma: float) -> None:
    """Each label's points have its centre as mean, sigma as deviation, and their fair share."""
    found = points.modes(config(shape))
    assert found is not None
    assert found.centres.shape == (number, 2)
    chunk = train(config(shape))
    coordinates = chunk.images[:, :, 0, 0]
    for label, centre in enumerate(found.centres):
        own = coordinates[chunk.labels == label]
        assert abs(len(own) - 20_000 / number) < 5 * np.sqrt(20_000 / number)
        np.testing.assert_allclose(own.mean(axis=0), centre, atol=5 * sigma / np.sqrt(len(own)))
        np.testing.assert_allclose(own.std(axis=0), sigma, rtol=0.15)


def test_published_centres() -> None:
    ring, grid, nine = (points.modes(config(shape)) for shape in ("ring8", "grid25", "mixture9"))
    assert ring is not None
    assert grid is not None
    assert nine is not None
    np.testing.assert_allclose(np.hypot(*ring.centres.T), 2)
    assert {tuple(centre) for centre in grid.centres} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert {tuple(centre) for centre in nine.centres} == {(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)}


def test_swiss_roll() -> None:
    """Without its noise the roll is (t cos t, t sin t): radius and angle agree up to noise."""
    roll = train(config("swissroll")).images[:, :, 0, 0].astype(np.float64) * 7.5
    radius = np.hypot(*roll.T)
    turns = (radius - np.arctan2(roll[:, 1], roll[:, 0])) / (2 * np.pi)
    off = np.abs(turns - np.round(turns)) * 2 * np.pi
    assert np.median(off) < 0.25
    assert 1.5 * np.pi - 1.5 < radius.min() < radius.max() < 4.5 * np.pi + 1.5
    assert points.modes(config("swissroll")) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_scaled_points_lie_within_one(shape: str) -> None:
    description = points.describe(config(shape))
    reached = np.abs(train(config(shape, 200_000)).images).max() / description.scale
    assert 0.8 < reached <= 1


def test_splits_and_chunks() -> None:
    chunks = list(points.read(RAW, config("ring8", rows=points.ROWS + 1)))
    sizes = [(chunk.split, len(chunk.images)) for chunk in chunks]
    assert sizes == [("train", points.ROWS), ("train", 1), ("validation", 500), ("test", 300)]
    assert not np.array_equal(chunks[2].images[:300], chunks[3].images)
    assert chunks[1].ids == [str(points.ROWS)]


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(train(config("grid25")).images, train(config("grid25")).images)
    assert not np.array_equal(train(config("grid25")).images, train(config("grid25", seed=1)).images)
