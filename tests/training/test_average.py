"""The moving average of weights: what is in it, once."""

import torch
from torch import nn

from gen.data.dataset import Dataset
from gen.training.ema import moving_average
from gen.training.loop import Loop, initial_family
from tests.families.small import POINTS
from tests.training.tiny import run_of

Datasets = dict[str, Dataset]


def test_weights_are_sampled_with_their_average(datasets: Datasets) -> None:
    """Against the definition, step by step."""
    run = run_of("gan", POINTS, ema=0.15)
    family = initial_family(run, datasets["ring8"])
    loop = Loop(run, family, datasets["ring8"])
    weight = loop.average.weights[0]
    expected = weight.detach().clone()
    for decay in (1 / 10, 0.15, 0.15):  # (1 + t) / (10 + t) is 1/10, 2/11, 3/12
        loop.step()
        expected = decay * expected + (1 - decay) * weight.detach()
    own = weight.detach().clone()
    with loop.average.applied():
        torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(weight.detach(), own)


def test_statistics_of_batch_norm_are_averaged_with_their_weights(datasets: Datasets) -> None:
    run = run_of("dcgan")
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    generator = [name for name, _ in loop.family.named_buffers() if name.startswith("generator") and "running" in name]
    buffers = dict(loop.family.named_buffers())
    averaged = {id(weight) for weight in loop.average.weights}
    assert generator
    assert {id(buffers[name]) for name in generator} <= averaged
    assert not {id(b) for name, b in buffers.items() if name.startswith("discriminator")} & averaged


def test_what_two_moves_share_is_averaged_once(datasets: Datasets) -> None:
    run = run_of("gan", POINTS, ema=0.5)
    family = initial_family(run, datasets["ring8"])
    once = moving_average(run, family, family.updates())
    twice = moving_average(run, family, [*family.updates(), *family.updates()])
    assert [id(weight) for weight in twice.weights] == [id(weight) for weight in once.weights]
    live = twice.weights[0].detach().clone()
    twice.averages[0].add_(1.0)
    with twice.applied():
        assert torch.equal(twice.weights[0], live + 1)
    assert torch.equal(twice.weights[0], live), "the live weight is back"


def test_a_layer_that_two_networks_share_is_averaged_once(datasets: Datasets) -> None:
    run = run_of("dcgan", ema=0.5)
    family = initial_family(run, datasets["digits"])
    assert isinstance(family, nn.Module)
    family.again = nn.Sequential(*family.generator.modules())  # type: ignore[operator]
    average = moving_average(run, family, family.updates())
    assert len({id(weight) for weight in average.weights}) == len(average.weights)
