"""Layers of spectral norm and the networks of BigGAN: singular values, attention, projection, sizes."""

import pytest
import torch
from torch import Tensor, nn

from gen.errors import InputError
from gen.family import ImageShape
from gen.nets import big_gan, spectral
from gen.nets.big_gan import Attention, Discriminator, Generator
from gen.shapes import shapes_only

SMALL = {"latent_dim": 12, "classes": 3, "embedding_dim": 4, "width": 2}
ROWS = 2


def layers() -> list[spectral.Normalised]:
    """One of each kind, wider than high and higher than wide."""
    return [
        spectral.Convolution(2, 5),
        spectral.Convolution(1, 12),
        spectral.Linear(7, 3),
        spectral.Linear(3, 7, bias=False),
        spectral.Embedding(10, 4),
    ]


def largest(weight: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(weight.flatten(1), ord=2)


def test_weights_start_with_singular_values_of_1_and_are_used_as_they_are() -> None:
    for layer in layers():
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        torch.testing.assert_close(values, torch.ones_like(values))
        torch.testing.assert_close(layer.normalised(), layer.weight, rtol=1e-5, atol=1e-6)


def test_the_largest_singular_value_becomes_1() -> None:
    for layer in layers():
        layer.double()
        with torch.no_grad():
            layer.weight.normal_().mul_(3)
        assert abs(largest(layer.normalised()) - 1) > 1e-3, "one u is not yet that of other weights"
        for _ in range(500):
            spectral.power_iteration(layer)
        assert largest(layer.normalised()).item() == pytest.approx(1, abs=1e-6)


def test_a_pass_uses_the_normalised_weights_and_leaves_u() -> None:
    convolution, _, linear, _, embedding = (layer.double() for layer in layers())
    for each in (convolution, linear, embedding):
        with torch.no_grad():
            each.weight.mul_(5)
    maps, x, y = torch.randn(ROWS, 2, 4, 4).double(), torch.randn(ROWS, 7).double(), torch.tensor([9, 0])
    before = convolution.u.clone()
    found = nn.functional.conv2d(maps, convolution.weight / 5, padding=1)
    torch.testing.assert_close(convolution(maps), found)
    torch.testing.assert_close(linear(x), x @ linear.weight.T / 5)
    torch.testing.assert_close(embedding(y), embedding.weight[[9, 0]] / 5)
    assert torch.equal(convolution.u, before)


def test_the_gradient_is_that_of_the_weights_divided_by_their_norm() -> None:
    """Equation 12 of the paper, by autograd through torch's own largest singular value."""
    layer = spectral.Linear(4, 3, bias=False).double()
    with torch.no_grad():
        layer.weight.normal_()
    for _ in range(500):
        layer.iterate()
    target = torch.randn(3, 4).double()
    (mine,) = torch.autograd.grad((layer.normalised() * target).sum(), layer.weight)
    (exact,) = torch.autograd.grad((layer.weight / largest(layer.weight) * target).sum(), layer.weight)
    torch.testing.assert_close(mine, exact)


def test_attention_starts_as_the_identity_and_then_sees_every_pixel() -> None:
    attention, maps = Attention(8), torch.randn(ROWS, 8, 4, 4)
    assert torch.equal(attention(maps), maps)
    with torch.no_grad():
        attention.gamma.fill_(1)
        other = maps.clone()
        other[0, :, 3, 3] += 10
        changed = (attention(other) - attention(maps))[:, :, 0, 0].abs().sum(dim=1)
    assert changed[0] > 0
    assert changed[1] == 0


def test_attention_by_hand() -> None:
    """The weights that a pixel gives to the pooled ones sum to 1, so equal maps are seen as they are."""
    attention = Attention(8).double()
    pixel = torch.randn(8).double()
    with torch.no_grad():
        attention.gamma.fill_(0.5)
        seen = attention.output.normalised()[:, :, 0, 0] @ (attention.value.normalised()[:, :, 0, 0] @ pixel)
        found = attention(pixel[None, :, None, None].expand(1, 8, 4, 4))
    torch.testing.assert_close(found, (pixel + 0.5 * seen)[None, :, None, None].expand(1, 8, 4, 4))


def test_scores_are_a_linear_function_of_features_and_their_projection_on_the_class() -> None:
    network = Discriminator(ImageShape(1, 16, 16), classes=3, width=2, attention=8).double()
    images, y = torch.randn(3, 1, 16, 16).double(), torch.tensor([2, 0, 2])
    h = network.features(images)
    for row, label in enumerate(y):
        linear = network.output.weight[0] @ h[row] / network.output.weight.norm()
        projected = network.embedding.weight[label] @ h[row]  # it starts with singular values of 1
        assert network(images, y)[row].item() == pytest.approx((linear + projected).item())


def test_networks_of_imagenet_have_as_many_weights_as_the_published_ones() -> None:
    """70,433,988 and 87,982,370, of which the published generator has some in biases that its batch norms take away."""
    image = ImageShape(3, 128, 128)
    with shapes_only():
        generator = Generator(image, latent_dim=120, classes=1000, embedding_dim=128, width=96, attention=64)
        discriminator = Discriminator(image, classes=1000, width=96, attention=64)
    needless = 3 * 96 * (16 + 8 + 4 + 2 + 1)
    assert sum(param.numel() for param in generator.parameters()) == 70_433_988 - needless
    assert sum(param.numel() for param in discriminator.parameters()) == 87_982_370


@pytest.mark.parametrize("side", big_gan.UP)
def test_networks_of_every_size(side: int) -> None:
    image = ImageShape(3, side, side)
    attention = side // 2
    generator = Generator(image, **SMALL, attention=attention)
    discriminator = Discriminator(image, classes=3, width=2, attention=attention)
    for network in (generator, discriminator):
        assert sum(isinstance(layer, Attention) for layer in network.modules()) == 1
    y = torch.arange(ROWS)
    images = generator(torch.randn(ROWS, 12), y)
    assert images.shape == (ROWS, *image)
    assert images.abs().max() <= 1
    seen: list[int] = []
    for block in (*generator.blocks, *discriminator.blocks):
        block.register_forward_hook(lambda _, __, maps: seen.append(maps.shape[-1]))
    assert discriminator(generator(torch.randn(ROWS, 12), y), y).shape == (ROWS,)
    assert seen == [*big_gan.sides_up(image), *big_gan.sides_down(image)]


def test_each_part_of_z_goes_where_it_belongs() -> None:
    """A change of the last part leaves what the blocks before make, and a change of the first does not."""
    generator = Generator(ImageShape(1, 16, 16), **SMALL, attention=None).train(False)
    assert generator.parts == [4, 4, 4]
    assert Generator(ImageShape(1, 16, 16), **SMALL | {"latent_dim": 8}, attention=None).parts == [2, 3, 3]
    made: list[Tensor] = []
    generator.blocks[0].register_forward_hook(lambda _, __, maps: made.append(maps))
    z, y = torch.randn(1, 12), torch.tensor([1])
    for changed in ((), (0,), (5,), (11,)):
        other = z.clone()
        other[:, list(changed)] += 1
        images = generator(other, y)
        made.append(images)
    same = [torch.equal(made[0], maps) for maps in made[2::2]]
    assert same == [False, False, True]
    assert not any(torch.equal(made[1], images) for images in made[3::2])


@pytest.mark.parametrize(
    ("image", "changes", "message"),
    [
        (ImageShape(1, 28, 28), {}, "image of 28x28: the networks of BigGAN make squares of 16, 32, 64, 128 pixels"),
        (ImageShape(2, 1, 1), {}, "image of 1x1: the networks of BigGAN make squares of 16, 32, 64, 128 pixels"),
        (ImageShape(1, 32, 16), {}, "image of 32x16: the networks of BigGAN make squares of 16, 32, 64, 128 pixels"),
        (
            ImageShape(1, 32, 32),
            {"attention": 4},
            "model.attention: 4; for images of 32x32 give the side of maps that ",
        ),
        (ImageShape(1, 16, 16), {"latent_dim": 2}, "model.latent_dim: 2; the first layer and each block see a part"),
    ],
)
def test_what_there_is_no_network_for(image: ImageShape, changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        Generator(image, **SMALL | {"attention": None} | changes)  # type: ignore[arg-type]
