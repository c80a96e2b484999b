"""FID within classes, by hand and of a model that mixes its classes up."""

import pytest
import torch

from gen.evaluators.within_classes import mean_distance
from gen.metrics.frechet import frechet_distance
from gen.metrics.moments import gather, moments


def test_the_mean_over_classes_that_both_have() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(2, 40, 3, generator=generator)
    labels = torch.arange(40) % 2
    apart = [
        frechet_distance(moments(gather(theirs[labels == label])), moments(gather(ours[labels == label])))[0]
        for label in (0, 1)
    ]
    assert mean_distance(ours, labels, theirs, labels) == pytest.approx(sum(apart) / 2)
    lonely = torch.cat([labels, torch.tensor([7])])
    assert mean_distance(ours, labels, torch.cat([theirs, theirs[:1]]), lonely) == pytest.approx(sum(apart) / 2)
    assert mean_distance(ours, labels + 10, theirs, labels) is None


def test_classes_that_are_mixed_up_are_seen_though_all_together_are_alike() -> None:
    features = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(400) % 2
    features[labels == 1] += 5
    right = mean_distance(features, labels, features, labels)
    wrong = mean_distance(features, 1 - labels, features, labels)
    assert right == pytest.approx(0, abs=1e-6)
    assert wrong is not None
    assert wrong > 40
