"""Numbers of latent spaces, on decoders whose numbers are known."""

import math

import pytest
import torch

from gen.evaluation.attribute_transfer import (
    balanced_accuracy,
    changes,
    probabilities,
    train_attribute_classifier,
)
from gen.evaluation.latent_space import middles, unexplained
from gen.family import Noise
from gen.latent.attributes import attribute_vector, balanced_vector


def patches(has: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Images of noise, whose upper half is lighter with the first attribute, whose lower half with the second."""
    images = torch.randn(len(has), 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 0.1 - 0.5
    images[:, :, :4] += has[:, 0].float()[:, None, None, None] / 2
    images[:, :, 4:] += has[:, 1].float()[:, None, None, None] / 2
    return images


def correlated(rows: int, seed: int = 0) -> torch.Tensor:
    """Two attributes, of which the second is had by 80% of those with the first, and by 20% of the others."""
    draws = torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed))
    first = draws[:, 0] < 0.5
    return torch.stack([first, draws[:, 1] < torch.where(first, 0.8, 0.2)], dim=1)


def test_what_a_vector_changes() -> None:
    """A decoder that shows z itself, and a classifier that reads it: changes are known."""

    def probability(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)

    z, vector = torch.zeros(5, 2), torch.tensor([0.25, 0.1])
    assert changes(lambda z: z[:, :, None, None], z, vector, probability) == pytest.approx([0.5, 0.2])


def test_balancing_shrinks_the_leak_that_a_trained_classifier_sees() -> None:
    """The whole measurement where the latent space is the image: biased, the other half is lightened, too."""
    has, held = correlated(2000), correlated(500, seed=1)
    images, shown = patches(has), patches(held, seed=1)
    model = train_attribute_classifier(images, has, steps=150)
    assert min(balanced_accuracy(model, shown, held)) > 0.95
    z = images.flatten(1)

    def decode(z: torch.Tensor) -> torch.Tensor:
        return z.reshape(-1, 1, 8, 8)

    biased, balanced = (
        changes(decode, shown.flatten(1), vector, lambda images: probabilities(model, images))
        for vector in (attribute_vector(z, has[:, 0]), balanced_vector(z, has[:, 0], has[:, 1]))
    )
    assert biased[0] > 0.5
    assert biased[1] > 0.3 * biased[0]
    assert abs(balanced[1]) < 0.1 * balanced[0]


def test_the_middles_of_paths_in_100_dimensions() -> None:
    """A decoder whose contrast is the length of z: straight paths have images of 1/sqrt(2) of the contrast."""

    class Contrast:
        def prior(self, noise: Noise) -> torch.Tensor:
            return noise.normal(100)

        def decode(self, z: torch.Tensor) -> torch.Tensor:
            board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
            return board * z.norm(dim=1)[:, None, None, None] / 20

    found = middles(Contrast(), 0)
    assert found["sharpness_at_middle_lerp"] == pytest.approx(1 / math.sqrt(2), abs=0.02)
    assert found["sharpness_at_middle_slerp"] == pytest.approx(1, abs=0.02)
    assert found["length_at_middle_lerp"] < -3.5
    assert abs(found["length_at_middle_slerp"]) < 0.5


def test_the_mean_image_explains_nothing() -> None:
    images = torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    error = (images - images.mean(dim=0)).square().flatten(1).mean(dim=1)
    assert unexplained(images, error) == pytest.approx(1)
    assert unexplained(images, error / 4) == pytest.approx(0.25)
