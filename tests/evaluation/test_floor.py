"""The floor of metrics, of Gaussians whose numbers are known."""

import math
import statistics
from pathlib import Path

import pytest
import torch

from gen.evaluation.floor import floor, floor_images
from gen.evaluation.reference import Reference
from gen.evaluators import of_samples
from gen.extractors import CoordinateExtractor, Extracted
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import Moments, gather, moments

WIDTH = 8


def gaussian(validation: int, seed: int, width: int = WIDTH) -> Reference:
    """Standard normal rows, held against the true moments."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"train": 50, "validation": validation, "test": 50}
    true = Moments(10**9, torch.zeros(width).double(), torch.eye(width).double())
    reference = Reference(Path(), {"extractor": "coordinates", "rows": sizes}, CoordinateExtractor(), {"test": true})
    vars(reference)["_features"] = {split: torch.randn(n, width, generator=generator) for split, n in sizes.items()}
    return reference


def expected(samples: int) -> float:
    """The mean Frechet distance of that many new rows."""
    fresh = torch.randn(300, samples, WIDTH, generator=torch.Generator().manual_seed(1))
    true = gaussian(8, 0).moments["test"]
    return statistics.fmean(frechet_distance(true, moments(gather(rows))).distance for rows in fresh)


@pytest.mark.parametrize(("validation", "samples"), [(80, 40), (60, 40), (80, 160)])
def test_the_frechet_distance_is_that_of_as_many_new_images(validation: int, samples: int) -> None:
    """Also where there are not as many."""
    found = [floor(gaussian(validation, seed), samples, 2)["fid_coordinates"].mean for seed in range(20)]
    error = statistics.stdev(found) / math.sqrt(len(found))
    wanted = expected(samples)
    assert error < wanted / 5
    assert statistics.fmean(found) == pytest.approx(wanted, abs=3 * error)


@pytest.mark.slow
@pytest.mark.parametrize(("validation", "samples"), [(80, 40), (40, 40)])
def test_the_spread_is_that_of_as_many_new_images(validation: int, samples: int) -> None:
    """Of precision, which is a mean; draws from one pool agree more than new images do."""
    found = [floor(gaussian(validation, seed), samples, 4)["precision_coordinates"] for seed in range(20)]
    reference = gaussian(8, 0)
    fresh = torch.randn(100, samples, WIDTH, generator=torch.Generator().manual_seed(1))
    numbers = [of_samples(Extracted(rows, rows.new_zeros(samples, 0)), reference, 0) for rows in fresh]
    spread = statistics.stdev(one["precision_coordinates"] for one in numbers)
    assert math.sqrt(statistics.fmean(one.sd**2 for one in found)) == pytest.approx(spread, rel=0.25)


def test_what_depends_on_the_number_says_of_how_many() -> None:
    reference = gaussian(70, 0)
    assert {one.images for one in floor(reference, 30, 3).values()} == {30}
    found = floor(reference, 100, 3)
    fewer = {name for name, one in found.items() if one.images == floor_images(reference, 100) == 70}
    of_fewer = ("precision", "recall", "kid_subset_sd", "singular_covariance")
    assert fewer == {f"{name}_coordinates" for name in of_fewer}
    assert {one.images for name, one in found.items() if name not in fewer} == {100}
    few = floor(gaussian(60, 0), 100, 3)["fid_coordinates"]
    assert few.images == 60, "half of them are less than four times the features: no line to follow"


def test_it_is_the_same_whenever_asked() -> None:
    assert floor(gaussian(40, 0), 30, 3) == floor(gaussian(40, 0), 30, 3)
    assert floor(gaussian(7, 0), 30, 3) == {}
    assert floor_images(gaussian(7, 0), 30) == 0
