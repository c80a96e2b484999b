"""Metrics against closed forms and on real digits."""

import math

import pytest
import torch

from gen.data.dataset import Dataset
from gen.extractors.classifier import train_classifier
from gen.metrics.sliced_wasserstein import distance, projections


def test_sliced_wasserstein_of_a_shift_in_one_dimension() -> None:
    points = torch.randn(100, 1)
    assert distance(projections(points), projections(points + 3)) == pytest.approx(3, rel=1e-5)
    assert distance(projections(points), projections(points[torch.randperm(100)])) == 0


def test_sliced_wasserstein_of_a_shift_in_many_dimensions() -> None:
    """The mean square of a projection of a vector of length L onto random directions is L^2 / d."""
    points = torch.randn(50, 8, dtype=torch.float64)
    shift = torch.full((8,), 2.0, dtype=torch.float64)
    expected = float(shift.norm()) / math.sqrt(8)
    real, generated = projections(points, 20_000), projections(points + shift, 20_000)
    assert distance(real, generated) == pytest.approx(expected, rel=0.02)


def test_a_classifier_repeats_to_the_bit(datasets: dict[str, Dataset]) -> None:
    first, again = (train_classifier(datasets["digits"], None, steps=5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
