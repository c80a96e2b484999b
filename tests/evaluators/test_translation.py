"""Distances of images and targets against values computed by hand."""

import math

import pytest
import torch

from gen.evaluators.translation import distances


def test_distances_by_hand() -> None:
    target = torch.zeros(2, 1, 16, 16)
    made = torch.stack([torch.full((1, 16, 16), 0.5), torch.full((1, 16, 16), -1.0)])
    found = distances([(made, target)])
    assert found["l1"] == pytest.approx(0.75)
    assert found["psnr"] == pytest.approx((10 * math.log10(4 / 0.25) + 10 * math.log10(4)) / 2, abs=1e-5)
    constant = [(2 * m * 0 + 0.02**2) / (m**2 + 0.02**2) for m in (0.5, -1.0)]  # their variances are 0
    assert found["ssim"] == pytest.approx(sum(constant) / 2, abs=1e-4)
    assert found == pytest.approx(distances([(made[:1], target[:1]), (made[1:], target[1:])]))


def test_equal_images_and_small_ones() -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = distances([(images, images)])
    assert found["ssim"] == pytest.approx(1)
    assert found["psnr"] == pytest.approx(20 * math.log10(2 * 255))
    assert set(distances([(images[..., :8, :8], images[..., :8, :8])])) == {"l1", "psnr"}
