"""pix2pix: patches of the sizes that it says, a loss computed by hand, jitter that treats both pictures alike."""

import math
from typing import Any

import pytest
import torch

from gen.errors import InputError
from gen.families import load_family
from gen.family import Batch, Condition, DataSpec, ImageShape, Noise
from gen.nets.translation import PatchDiscriminator, UNet, jittered
from tests.families.small import IMAGES, POINTS, build, data_of, some

LARGE = ImageShape(3, 256, 256)


@pytest.mark.parametrize("patch", [1, 16, 34, 70])
def test_a_number_of_the_patchgan_sees_a_patch(patch: Any) -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(1, 2, patch, ImageShape(1, 128, 128)).double().train(False)
    for module in network.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):  # whose mean and deviation are of the whole image
            module.forward = lambda x: x  # type: ignore[method-assign]
    image = torch.rand(1, 1, 128, 128, dtype=torch.float64, requires_grad=True)
    numbers = network(image)
    side = math.isqrt(numbers.shape[1])
    middle = side // 2 * side + side // 2
    (seen,) = torch.autograd.grad(numbers[0, middle], image)
    rows, columns = (seen[0, 0] != 0).any(dim=1), (seen[0, 0] != 0).any(dim=0)
    assert (int(rows.sum()), int(columns.sum())) == (patch, patch)


def test_one_number_of_the_whole_image() -> None:
    network = PatchDiscriminator(3, 2, "image", ImageShape(3, 32, 32))
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 1)


def test_the_papers_networks() -> None:
    """Appendix 6.1: C64-C128-C256-C512 x 5, and up again; 54 million weights and 2.8 million, as published."""
    network = UNet(3, 64, LARGE, 0.5)
    widths = [layer[-2 if 0 < n < 7 else -1].out_channels for n, layer in enumerate(network.down)]  # type: ignore[index]
    assert widths == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [layer[1].out_channels for layer in network.up] == [512, 512, 512, 512, 256, 128, 64]  # type: ignore[index]
    assert round(sum(each.numel() for each in network.parameters()) / 1e6, 1) == 54.4
    judge = PatchDiscriminator(6, 64, 70, LARGE)
    assert round(sum(each.numel() for each in judge.parameters()) / 1e6, 1) == 2.8


def test_the_loss_by_hand() -> None:
    family: Any = build("pix2pix", jitter=0, mirror=False, dropout=0.0).train()
    batch = some(IMAGES, 2)
    noise = Noise("z", rows=2)
    with torch.no_grad():
        x, y = batch.extras["input"], batch.images
        made = family.generator(x, noise)
        real = family.discriminator(torch.cat([x, y], 1)).flatten()
        fake = family.discriminator(torch.cat([x, made], 1)).flatten()
        expected = -(real.sigmoid().log().mean() + (1 - fake.sigmoid()).log().mean()) / 2
        torch.testing.assert_close(family.discriminator_loss(batch, noise)["discriminator"], expected)
        expected = -fake.sigmoid().log().mean() + 100 * (made - y).abs().mean()
        torch.testing.assert_close(family.generator_loss(batch, noise)["generator"], expected)


def test_terms_can_be_switched_off() -> None:
    alone: Any = build("pix2pix", adversarial_weight=0.0, jitter=0, mirror=False, dropout=0.0)
    assert [update.name for update in alone.updates()] == ["generator"]
    assert not hasattr(alone, "discriminator")
    losses = alone.generator_loss(some(IMAGES, 2), Noise("z", rows=2))
    torch.testing.assert_close(losses["generator"].detach(), 100 * losses["l1"])
    blind: Any = build("pix2pix", conditional=False)
    assert blind.discriminator.layers[0].in_channels == 1


def test_dropout_is_the_noise_of_samples() -> None:
    family: Any = build("pix2pix").train(False)
    condition = Condition(extras={"input": some(IMAGES, 3).extras["input"]})
    with torch.no_grad():
        one, again, other = (family.sample(Noise(key, rows=3), condition) for key in ("a", "a", "b"))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        sure: Any = build("pix2pix", dropout=0.0).train(False)
        assert torch.equal(*(sure.sample(Noise(key, rows=3), condition) for key in ("a", "b")))


def test_jitter_treats_both_pictures_alike_and_cuts_where_it_says() -> None:
    ramp = torch.arange(16.0).expand(1, 1, 16, 16).repeat(64, 1, 1, 1)
    both = torch.cat([ramp, 2 * ramp], dim=1)
    moved = jittered(both, Noise("j", rows=64), 0, mirror=True)
    torch.testing.assert_close(moved[:, 1], 2 * moved[:, 0])
    turned = moved[:, 0, 0, 0] > 1
    assert 20 < int(turned.sum()) < 44
    torch.testing.assert_close(moved[~turned], both[~turned])
    torch.testing.assert_close(moved[turned], both[turned].flip(3))
    larger = torch.nn.functional.interpolate(ramp[:1], size=20, mode="bilinear")
    cut = jittered(ramp, Noise("j", rows=64), 4, mirror=False)
    places = set()
    for image in cut:
        (place,) = [left for left in range(5) if torch.allclose(larger[0, 0, 0, left : left + 16], image[0, 8])]
        places.add(place)
    assert places == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("changes", "data", "message"),
    [
        ({}, DataSpec(IMAGES), "pix2pix translates images, and the data set has no pairs; "),
        ({}, data_of(POINTS), "pix2pix translates images, and the data set has no pairs; "),
        ({"patch": 34}, data_of(ImageShape(1, 8, 8)), "patch: 34; images of 8x8 pixels are too small, it takes 16 or"),
        ({}, data_of(ImageShape(1, 28, 28)), "image of 28x28: translation is for squares of 8, 16, "),
        ({"adversarial_weight": 0, "l1_weight": 0}, data_of(IMAGES), "adversarial_weight and l1_weight: both 0; "),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], data: DataSpec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_family("pix2pix", {"patch": 16} | changes, data)


def test_pictures_stand_between_what_was_given_and_the_target() -> None:
    from gen.conditions import shown

    def held_out(rows: int) -> Batch:
        return some(IMAGES, rows)

    family = build("pix2pix")
    some_shown = shown(family, data_of(IMAGES), held_out)
    samples = torch.zeros(some_shown.rows, *IMAGES)
    pictures = some_shown.pictures(family, samples)
    batch = held_out(some_shown.rows)
    given, made, target = pictures.split(16, dim=3)
    assert torch.equal(given, batch.extras["input"])
    assert torch.equal(made, samples)
    assert torch.equal(target, batch.images)
