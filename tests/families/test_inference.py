"""What is particular to ALI and BiGAN: table 3, one forward for two moves, an encoder."""

import math

import pytest
import torch
from torch import nn

from gen.abilities import Features, Inference
from gen.errors import InputError
from gen.families import load_family
from gen.family import Batch, DataSpec, ImageShape, Noise
from gen.nets import inference
from gen.nets.dropout import Dropout
from tests.families.small import IMAGES, POINTS, build, small

SVHN = ImageShape(3, 32, 32)
PAPER = {
    "latent_dim": 256,
    "width": 32,
    "depth": None,
    "dropout": 0.2,
    "lr": 1e-4,
    "discriminator_lr": 1e-4,
    "beta1": 0.5,
}
both = pytest.mark.parametrize("name", ["ali", "bigan"])


def table(network: nn.Module) -> list[tuple[int, int, int]]:
    """Kernel, stride and maps of each convolution."""
    kinds = nn.Conv2d | nn.ConvTranspose2d
    found = [layer for layer in network.modules() if isinstance(layer, kinds)]
    return [(layer.kernel_size[0], layer.stride[0], layer.out_channels) for layer in found]


def test_table_3() -> None:
    family = load_family("ali", PAPER, DataSpec(SVHN))
    assert isinstance(family, nn.Module)
    down = [(5, 1, 32), (4, 2, 64), (4, 1, 128), (4, 2, 256), (4, 1, 512)]
    up = [(4, 1, 256), (4, 2, 128), (4, 1, 64), (4, 2, 32), (5, 1, 32), (1, 1, 32), (1, 1, 3)]
    assert table(family.encoder) == [*down, (1, 1, 512), (1, 1, 512)]
    assert table(family.decoder) == up
    assert table(family.discriminator.of_x) == down
    joint = [layer for layer in family.discriminator.modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in joint] == [512, 512, 1024, 1024, 1]
    assert [layer.bias is not None for layer in joint] == [False, False, True, True, True]
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in part.modules()) for part in family.children()]
    assert norms == [6, 6, 4]
    drops = [m.share for m in family.discriminator.modules() if isinstance(m, Dropout)]
    assert drops == [0.2] * (5 + 2 + 3)
    assert not any(isinstance(m, nn.Dropout) for m in [*family.encoder.modules(), *family.decoder.modules()])
    deviations = [float(p.detach().std()) for p in family.parameters() if p.ndim > 1 and p.numel() > 10_000]
    assert deviations == pytest.approx([0.01] * len(deviations), rel=0.05)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_every_size_goes_to_one_pixel_and_back(side: int) -> None:
    image = ImageShape(3, side, side)
    z = inference.Encoder(image, 2, 7)(torch.zeros(2, *image))
    assert z.shape == (2, 7)
    assert inference.Decoder(image, 2, 7)(z).shape == (2, *image)
    discriminator = inference.JointDiscriminator(image, 2, 7, 0.2)
    assert discriminator(torch.zeros(2, *image), z, Noise("masks", rows=2)).shape == (2,)


def test_features_are_the_papers_5376_numbers() -> None:
    family = load_family("ali", PAPER, DataSpec(SVHN)).train(False)
    assert isinstance(family, Features)
    assert isinstance(family, Inference)
    images = Noise("x", rows=3).uniform(*SVHN, low=-1.0)
    features = family.features(images)
    assert features.shape == (3, 256 * 4 * 4 + 512 + 512 + 256)
    torch.testing.assert_close(features[:, -256:], family.encode(images))
    assert bool((features[:, :4096] < 0).any())  # before the LeakyReLU, whose slope would hide it


@both
def test_losses_by_hand(name: str) -> None:
    """With logits of 2 for the encoder's pairs and -1 for the decoder's; swapped labels would swap the losses."""
    family = build(name, POINTS, dropout=0.0).train(False)
    assert isinstance(family, nn.Module)
    batch = Batch(Noise("x", rows=8).uniform(*POINTS), torch.zeros(8, dtype=torch.int64))
    (update,) = family.updates()
    assert isinstance(family, Inference)
    decode = family.decode

    class Sure(nn.Module):
        """Of a pair whose image is decoded from its z, -1; of another, 2."""

        def forward(self, images: torch.Tensor, z: torch.Tensor, noise: Noise) -> torch.Tensor:
            return torch.where(torch.isclose(images, decode(z)).flatten(1).all(1), -1.0, 2.0)

    family.discriminator = Sure()
    message = update.loss(batch, Noise("z", rows=8))
    softplus = {x: math.log1p(math.exp(x)) for x in (-2, -1, 1, 2)}
    assert message["discriminator"].item() == pytest.approx(softplus[-2] + softplus[-1], rel=1e-6)
    assert message["generator"].item() == pytest.approx(softplus[2] + softplus[1], rel=1e-6)
    assert set(update.optimizer_steps) == {"discriminator", "generator"}
    assert [move.ema for move in update.optimizer_steps.values()] == [False, True]


def test_only_ali_draws_noise_for_its_encodings() -> None:
    """The same prior and another stream after it: ALI's losses change, BiGAN's do not."""

    class Counting(Noise):
        draws = 0  # but for dropout's

        def normal(self, *shape: int) -> torch.Tensor:
            self.draws += 1
            return super().normal(*shape)

    drawn = {}
    for name in ("ali", "bigan"):
        noise = Counting("z", rows=4)
        batch = Batch(torch.zeros(4, *POINTS), torch.zeros(4, dtype=torch.int64))
        build(name, POINTS).updates()[0].loss(batch, noise)
        drawn[name] = noise.draws
    assert drawn == {"ali": 2, "bigan": 1}


@both
def test_other_sizes_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^image of 28x28: .* 16, 32, 64 pixels"):
        load_family(name, small(name, IMAGES)[0], DataSpec(ImageShape(1, 28, 28)))


@pytest.mark.slow
@both
def test_learns_to_invert_itself(name: str) -> None:
    """On one Gaussian in the plane: reconstructions come to be nearer to the points than their mean is, to stay so."""
    torch.manual_seed(0)
    family = build(name, POINTS, width=64, dropout=0.0, lr=2e-4, discriminator_lr=2e-3, latent_dim=2).train()
    assert isinstance(family, Inference)
    (update,) = family.updates()
    optimizers = {key: move.optimizer(move.params) for key, move in update.optimizer_steps.items()}
    held = Batch(0.3 * Noise("held", rows=500).normal(2)[:, :, None, None], torch.zeros(500, dtype=torch.int64)).images

    def error() -> float:
        family.train(False)
        with torch.no_grad():
            lost = (family.decode(family.encode(held)) - held).square().mean()
        family.train()
        return float(lost / held.square().mean())

    errors = []
    for step in range(1500):
        points = 0.3 * Noise("data", step, rows=128).normal(2)[:, :, None, None]
        message = update.loss(Batch(points, torch.zeros(128, dtype=torch.int64)), Noise("z", step, rows=128))
        gradients = {
            key: torch.autograd.grad(message[key], list(move.params), retain_graph=True)
            for key, move in update.optimizer_steps.items()
        }
        for key, move in update.optimizer_steps.items():
            for param, gradient in zip(move.params, gradients[key], strict=True):
                param.grad = gradient
            optimizers[key].step()
        if step >= 1000 and step % 100 == 99:
            errors.append(error())
    assert sum(errors) / len(errors) < 0.95
