"""What is particular to the progressive GAN: how it grows, and what its networks are made of."""

from math import sqrt
from pathlib import Path

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from gen import export
from gen.config.consistency import check_grown
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.families import load_family
from gen.families.progressive_gan import Model, Stage, stage_of
from gen.family import Batch, DataSpec, ImageShape, Noise
from gen.nets.equalised import Convolution, MinibatchDeviation, PixelNorm
from gen.nets.progressive import Discriminator, Generator, double, shrunk
from gen.training.loop import Loop, data_spec, initial_family
from gen.training.train import train
from tests.families.small import IMAGES, small
from tests.training.tiny import run_of


def built(images_seen: int = 0, **changes: object) -> Model:
    """The small model, which fades over 24 images after 4, up to 16x16."""
    settings, image = small("progressive_gan")
    model = load_family("progressive_gan", settings | changes, DataSpec(image))
    assert isinstance(model, Model)
    model.images_seen.fill_(images_seen)
    return model


@pytest.mark.parametrize(
    ("images", "stage"),
    [
        (0, Stage(0, 1.0)),
        (600, Stage(0, 1.0)),
        (800, Stage(1, 0.25)),
        (1400, Stage(1, 1.0)),  # 600 + 800: the next size begins to be stable
        (2000, Stage(1, 1.0)),
        (2200, Stage(2, 0.25)),
        (2799, Stage(2, 799 / 800)),
        (2800, Stage(2, 1.0)),
        (10**12, Stage(2, 1.0)),
    ],
)
def test_the_stage_is_a_function_of_the_images_seen(images: int, stage: Stage) -> None:
    assert stage_of(images, to_fade=800, to_stabilise=600, levels=2) == stage


def test_it_grows_by_the_images_of_each_step(datasets: dict[str, Dataset]) -> None:
    run = run_of("progressive_gan", n_critic=2, images_to_fade=48, images_to_stabilise=16)
    loop = Loop(run, initial_family(run, datasets["digits"]), datasets["digits"])
    losses = [loop.step() for _ in range(9)]
    assert [int(each["resolution"]) for each in losses] == [4, 4, 8, 8, 8, 8, 16, 16, 16]
    assert [round(float(each["alpha"]), 4) for each in losses] == [1, 1, 0.3333, 0.6667, 1, 1, 0.3333, 0.6667, 1]
    assert int(dict(loop.family.named_buffers())["images_seen"]) == 9 * 2 * 8


def test_a_schedule_that_never_reaches_its_size_is_one_line(datasets: dict[str, Dataset]) -> None:
    """Two blocks take 2 x (48 + 16) images, at 2 x 8 a step."""
    run = run_of("progressive_gan", n_critic=2, images_to_fade=48, images_to_stabilise=16)
    model = initial_family(run, datasets["digits"])
    check_grown(model, run.model_copy(update={"steps": 8}), "runs.one")
    with pytest.raises(InputError, match=r"^runs\.one\.steps: 7; its images reach their full size at step 8: give "):
        check_grown(model, run.model_copy(update={"steps": 7}), "runs.one")
    check_grown(model, run.model_copy(update={"steps": 7, "warm_start": "digits/grown"}), "runs.one")


@pytest.mark.parametrize("level", [1, 2])
def test_at_alpha_0_networks_are_what_they_were_and_at_1_what_they_become(level: int) -> None:
    generator, discriminator = Generator(4, (8, 6, 4), 3), Discriminator((8, 6, 4), 3)
    z, none, whole = Noise("z", rows=8).normal(4), torch.tensor(0.0), torch.tensor(1.0)
    assert torch.equal(generator(z, level, none), double(generator(z, level - 1)))
    assert torch.equal(generator(z, level, whole), generator(z, level))
    images = Noise("x", rows=8).normal(3, 4 << level, 4 << level)
    before = discriminator(avg_pool2d(images, 2), level - 1)
    assert torch.equal(discriminator(images, level, none), before)
    assert torch.equal(discriminator(images, level, whole), discriminator(images, level))
    half = (double(generator(z, level - 1)) + generator(z, level)) / 2
    torch.testing.assert_close(generator(z, level, torch.tensor(0.5)), half)


def test_real_images_are_blurred_as_generated_ones_are() -> None:
    images = torch.arange(64.0).view(1, 1, 8, 8)
    assert shrunk(images, 0)[0, 0, 0, 0] == images[0, 0, :2, :2].mean()
    assert torch.equal(shrunk(images, 1), images)
    faded = shrunk(images, 1, torch.tensor(0.25))
    assert faded[0, 0, 0, 0] == 0.75 * (0 + 1 + 8 + 9) / 4


def test_weights_are_scaled_when_they_are_used() -> None:
    """N(0, 1) times sqrt(2 / inputs): the variance of what goes in is doubled, for the ReLU that follows."""
    layer = Convolution(16, 400, 3, padding=1)
    assert layer.scale == pytest.approx(sqrt(2 / (16 * 9)))
    assert float(layer.weight.detach().std()) == pytest.approx(1, rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()
    x = Noise("x", rows=4).normal(16, 8, 8)
    assert float(layer(x)[..., 1:-1, 1:-1].detach().var()) == pytest.approx(2, rel=0.1)
    last = Convolution(2, 1, 1, gain=1.0)
    last.weight.data = torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)
    assert float(last(torch.ones(1, 2, 1, 1)).detach()) == pytest.approx(8 / sqrt(2))


def test_the_first_layer_has_the_published_scale() -> None:
    """It is fully connected, with gain sqrt(2) / 4, in the published code."""
    first = next(module for module in Generator(512, (16,), 1).modules() if isinstance(module, Convolution))
    assert first.scale == pytest.approx(sqrt(2) / 4 / sqrt(512))


def test_pixel_norm_moves_each_vector_to_the_sphere() -> None:
    x = torch.tensor([[3.0, 4.0], [-30.0, 40.0]])
    torch.testing.assert_close(PixelNorm()(x), torch.tensor([[0.6, 0.8], [-0.6, 0.8]]) * sqrt(2))
    model, z = built(), Noise("z", rows=4).normal(4)
    torch.testing.assert_close(model.decode(5 * z), model.decode(z))


def test_minibatch_deviation_by_hand() -> None:
    """Rows 0, 2, 4, 6 are a group, and 1, 3, 5, 7; both pixels' deviations are averaged."""
    x = torch.zeros(8, 1, 1, 2)
    x[0::2, 0, 0, 0] = torch.tensor([1.0, 1.0, 3.0, 3.0])  # deviation 1
    x[0::2, 0, 0, 1] = torch.tensor([0.0, 0.0, 6.0, 6.0])  # deviation 3
    x[1::2] = 5.0
    found = MinibatchDeviation()(x)
    assert torch.equal(found[:, :1], x)
    torch.testing.assert_close(found[:, 1, 0], torch.tensor([2.0, 1e-4]).repeat(4)[:, None].expand(8, 2))
    for rank in range(2):
        assert torch.equal(MinibatchDeviation()(x[rank::2]), found[rank::2]), "two workers have the groups of one"
    pair = MinibatchDeviation()(x[:6:3])  # rows 0 and 3: (1, 5) and (0, 5)
    torch.testing.assert_close(pair[:, 1, 0, 0], torch.full((2,), (2 + 2.5) / 2))


def test_losses_by_hand() -> None:
    """A discriminator that is a constant has no slope: -D and the drift are left, and a penalty of 1."""
    model = built(images_seen=10**6, drift_weight=0.5)
    for param in model.discriminator.parameters():
        param.data.zero_()
    last = [each for each in model.discriminator.modules() if isinstance(each, Convolution) and each.out_channels == 1]
    assert last[0].bias is not None
    last[0].bias.data.fill_(3.0)
    batch = Batch(Noise("x", rows=8).uniform(*IMAGES, low=-1.0), torch.zeros(8, dtype=torch.int64))
    seen = model.discriminator_loss(batch, Noise("z", rows=8))
    expected = {"discriminator": 10 + 0.5 * 9, "wasserstein": 0, "penalty": 1, "resolution": 16, "alpha": 1}
    assert {name: value.item() for name, value in seen.items()} == pytest.approx(expected)
    assert model.generator_loss(batch, Noise("z", rows=8))["generator"].item() == pytest.approx(-3)


def test_a_model_exported_while_it_grows_samples_as_it_did(datasets: dict[str, Dataset], tmp_path: Path) -> None:
    run, data = run_of("progressive_gan", steps=2), datasets["digits"]
    family = train(run, data)
    assert isinstance(family, Model)
    assert family.stage() == Stage(1, 0.5)
    export.save(tmp_path, family, run.family, run.model, data_spec(run, data))
    loaded = export.load(tmp_path)
    assert isinstance(loaded, Model)
    assert loaded.stage() == Stage(1, 0.5)
    with torch.no_grad():
        images = loaded.sample(Noise("sample", rows=5))
        assert torch.equal(images, family.sample(Noise("sample", rows=5)))
    assert images.shape == (5, *IMAGES)
    assert torch.equal(images, interpolate(images[:, :, ::2, ::2], scale_factor=2)), "8x8, enlarged"


@pytest.mark.parametrize(
    ("side", "maps", "message"),
    [
        (
            24,
            (4, 4, 4, 4),
            r"^image of 24x24: networks that grow make squares of 8, 16, 32, 64, 128 pixels; choose one",
        ),
        (4, (4, 4, 4, 4), r"^image of 4x4: networks that grow make"),
        (32, (4, 4, 4), r"^model.maps: \[4, 4, 4\]; images of 32x32 need 4 positive numbers, from 4x4 on$"),
        (16, (4, 0, 4), r"^model.maps: \[4, 0, 4\]; images of 16x16 need 3 positive numbers"),
    ],
)
def test_sizes_that_cannot_be_grown_to_are_one_line(side: int, maps: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_family("progressive_gan", {"maps": maps}, DataSpec(ImageShape(3, side, side)))
