"""Gradients through a critic, and its surface, against what can be worked out by hand."""

import pytest
import torch
from torch import nn

from gen.metrics.critic import gradient_norms, value_surface


def linear(*weights: list[list[float]]) -> nn.Sequential:
    layers = []
    for weight in weights:
        layer = nn.Linear(len(weight[0]), len(weight))
        layer.weight.data = torch.tensor(weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.LeakyReLU(0.5, inplace=True)]
    return nn.Sequential(nn.Flatten(), *layers[:-1], nn.Flatten(0))


def test_gradient_norms_are_products_of_the_layers_after() -> None:
    critic = linear([[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 5.0]], [[1.0, 1.0]])
    images = torch.tensor([[1.0, 1.0], [-1.0, 1.0]])[:, :, None, None]
    # The value is 3 x + 5 y where both are positive; the slope of 0.5 counts twice for a negative one.
    first = ((3**2 + 5**2) ** 0.5 + ((0.25 * 3) ** 2 + 5**2) ** 0.5) / 2
    second = (2**0.5 + (0.25 + 1) ** 0.5) / 2
    assert gradient_norms(critic, images).tolist() == pytest.approx([first, second])
    assert critic(images).tolist() == pytest.approx([8.0, 0.25 * -3 + 5])


def test_the_surface_of_a_plane() -> None:
    surface = value_surface(linear([[1.0, 10.0]]), reach=2.0, side=3)
    assert surface.tolist() == [[-22.0, -20.0, -18.0], [-2.0, 0.0, 2.0], [18.0, 20.0, 22.0]]
