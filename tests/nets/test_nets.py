"""Networks: DCGAN's five guidelines as structure, initial weights, sizes, and the form that follows from the shape."""

import pytest
import torch
from torch import nn

from gen.errors import InputError
from gen.family import ImageShape, Noise
from gen.nets import convolutional, mlp
from gen.nets.forms import discriminator_for, generator_for

IMAGE = ImageShape(3, 32, 32)


def kinds(network: nn.Module) -> list[type[nn.Module]]:
    return [type(layer) for layer in network.modules() if not list(layer.children())]


def test_generator_follows_the_guidelines() -> None:
    found = kinds(convolutional.Generator(100, 8, IMAGE))
    block = [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
    assert found == [*block * 3, nn.ConvTranspose2d, nn.Tanh]


def test_discriminator_follows_the_guidelines() -> None:
    network = convolutional.Discriminator(8, IMAGE, norm="batch")
    block = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds(network) == [nn.Conv2d, nn.LeakyReLU, *block * 2, nn.Conv2d]
    assert {layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm), ("none", nn.Identity)])
def test_norm_of_maps(norm: str, kind: type[nn.Module]) -> None:
    assert kinds(convolutional.Discriminator(8, IMAGE, norm)).count(kind) == 2


def test_layer_norm_of_maps_is_over_one_whole_sample() -> None:
    network = convolutional.Discriminator(8, IMAGE, norm="layer")
    layer = next(layer for layer in network.modules() if isinstance(layer, nn.GroupNorm))
    maps = 3 + 2 * torch.randn(2, layer.num_channels, 8, 8)
    torch.testing.assert_close(layer(maps), nn.functional.layer_norm(maps, maps.shape[1:]), rtol=1e-4, atol=1e-5)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    networks = [convolutional.Generator(100, 32, IMAGE), convolutional.Discriminator(32, IMAGE, norm="batch")]
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.mean().item() == pytest.approx(0, abs=0.003)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.5)
            assert not layer.bias.any()


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(size: int, channels: int) -> None:
    image = ImageShape(channels, size, size)
    generator = convolutional.Generator(5, 2, image)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, *image)
    assert images.abs().max() <= 1
    assert convolutional.Discriminator(2, image, norm="batch")(images).shape == (2,)


def test_the_paper_s_generator() -> None:
    generator = convolutional.Generator(100, 128, ImageShape(3, 64, 64))
    maps = [layer.out_channels for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert maps == [1024, 512, 256, 128, 3]


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (16, 32), (48, 48), (256, 256)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    image = ImageShape(1, *size)
    for make in (lambda: convolutional.Generator(5, 2, image), lambda: convolutional.Discriminator(2, image, "none")):
        with pytest.raises(InputError, match=f"^image of {size[0]}x{size[1]}: .*16, 32, 64, 128"):
            make()


def test_points_get_mlps_and_their_place_is_not_bounded() -> None:
    points = ImageShape(2, 1, 1)
    generator = generator_for(points, latent_dim=2, width=16, depth=3)
    discriminator = discriminator_for(points, width=16, depth=3, norm="none")
    assert kinds(generator).count(nn.Linear) == kinds(discriminator).count(nn.Linear) == 4
    places = generator(100 * torch.randn(50, 2))
    assert places.shape == (50, 2, 1, 1)
    assert places.abs().max() > 1
    assert discriminator(places).shape == (50,)


def test_an_mlp_s_images_are_bounded() -> None:
    images = mlp.Generator(2, 16, 1, ImageShape(3, 5, 7))(100 * torch.randn(50, 2))
    assert images.shape == (50, 3, 5, 7)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm), ("none", nn.Identity)])
def test_norm_of_units(norm: str, kind: type[nn.Module]) -> None:
    assert kinds(mlp.Discriminator(8, 3, IMAGE, norm)).count(kind) == 2


def test_an_mlp_neither_fades_nor_explodes() -> None:
    torch.manual_seed(0)
    scores = mlp.Discriminator(512, 12, ImageShape(2, 1, 1), norm="none")(torch.randn(512, 2, 1, 1))
    assert 0.1 < scores.std().item() < 10


@pytest.mark.parametrize(("image", "depth"), [(ImageShape(2, 1, 1), None), (ImageShape(1, 16, 16), 3)])
def test_depth_must_fit_the_form(image: ImageShape, depth: int | None) -> None:
    with pytest.raises(InputError, match=r"^model\.depth: "):
        generator_for(image, 2, 4, depth)
    with pytest.raises(InputError, match=r"^model\.depth: "):
        discriminator_for(image, 4, depth, "none")


@pytest.mark.parametrize(
    "network",
    [
        convolutional.Discriminator(2, ImageShape(1, 16, 16), "none"),
        mlp.Discriminator(2, 1, ImageShape(1, 16, 16), "none"),
    ],
)
def test_scores_are_float32_at_least(network: nn.Module) -> None:
    images = torch.zeros(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(images).dtype == torch.float32
    assert network.double()(images.double()).dtype == torch.float64


def test_dropout_is_for_training() -> None:
    network, images = mlp.Discriminator(64, 2, IMAGE, norm="none", dropout=0.5), torch.randn(4, *IMAGE)
    first, second = (network(images, Noise(key, rows=4)) for key in ("first", "second"))
    assert not torch.equal(first, second)
    assert torch.equal(first, network(images, Noise("first", rows=4)))
    network.eval()
    assert torch.equal(network(images), network(images))
