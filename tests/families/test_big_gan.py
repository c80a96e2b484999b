"""BigGAN: its losses against numbers worked out by hand, and what it does with z and the class."""

import math

import pytest
import torch
from torch import Tensor, nn

from gen.errors import InputError
from gen.families import load_family
from gen.families.big_gan import Model, hinge, overlap_of, truncated_normal
from gen.family import Batch, Condition, DataSpec, ImageShape, Noise
from gen.nets.spectral import Convolution, Linear, Normalised
from tests.families.small import IMAGES, build, small

ROWS = 4


def model(**changes: object) -> Model:
    built = build("big_gan", **changes)
    assert isinstance(built, Model)
    return built


def batch() -> Batch:
    noise = Noise("batch", rows=ROWS)
    return Batch(noise.uniform(*IMAGES, low=-1.0), torch.tensor([3, 1, 7, 3]))


def test_hinge() -> None:
    real, fake = torch.tensor([2.0, 0.25, -1.0]), torch.tensor([-3.0, 0.5, -0.5])
    # (0 + 3/4 + 2) / 3 and (0 + 3/2 + 1/2) / 3
    assert hinge(real, fake).item() == pytest.approx(2.75 / 3 + 2 / 3)


def test_overlap_is_of_different_rows_of_normalised_layers() -> None:
    linear, convolution = Linear(2, 3), Convolution(1, 2, kernel=1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, -1.0]]))
        convolution.weight.copy_(torch.tensor([2.0, 5.0])[:, None, None, None])
    # Products of rows: 3, -2, 0 and 10, each of them twice; lengths do not count.
    network = nn.ModuleList([linear, convolution, nn.Linear(2, 2), nn.Embedding(3, 2)])
    assert overlap_of(network).item() == pytest.approx(2 * (9 + 4) + 2 * 100)


def test_orthogonal_weights_overlap_by_nothing() -> None:
    layer = Linear(5, 3)
    assert overlap_of(layer).item() == pytest.approx(0, abs=1e-10)
    with torch.no_grad():
        layer.weight.mul_(10)
    assert overlap_of(layer).item() == pytest.approx(0, abs=1e-6)


class Judge(nn.Module):
    """A discriminator that remembers what it is told and answers with a number for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        self.seen.append((x, y))
        return y.float() / 4 - x.flatten(1).mean(dim=1)


def test_generated_images_are_judged_with_the_labels_that_they_were_made_of() -> None:
    family, given, judge = model(orthogonal_weight=0.0).train(False), batch(), Judge()
    family.discriminator = judge  # type: ignore[assignment]
    discriminator, generator = family.updates()
    lost = discriminator.loss(given, Noise("d", rows=ROWS))
    ((images, told),) = judge.seen
    assert torch.equal(told, torch.cat([given.labels, given.labels]))
    made = family.generator(Noise("d", rows=ROWS).normal(7), given.labels).detach()
    assert torch.equal(images, torch.cat([given.images, made]))
    real, fake = (given.labels / 4 - each.flatten(1).mean(dim=1) for each in (given.images, made))
    torch.testing.assert_close(lost["discriminator"], hinge(real, fake))
    torch.testing.assert_close((lost["d_real"], lost["d_fake"]), (real.mean(), fake.mean()))
    torch.testing.assert_close(generator.loss(given, Noise("d", rows=ROWS))["generator"], -fake.mean())


def test_the_generator_is_regularised_with_its_weight() -> None:
    plain, family = model(orthogonal_weight=0.0), model(orthogonal_weight=0.5)
    with torch.no_grad():
        for param in plain.generator.parameters():
            param.add_(0.1)
    family.load_state_dict(plain.state_dict())
    without, within = (each.generator_loss(batch(), Noise("g", rows=ROWS)) for each in (plain, family))
    assert within["overlap"] == without["overlap"] > 0
    torch.testing.assert_close(within["generator"], without["generator"] + 0.5 * within["overlap"])


def test_an_update_makes_one_power_iteration_of_its_own_network() -> None:
    family = model()
    for update, own, other in zip(
        family.updates(),
        (family.discriminator, family.generator),
        (family.generator, family.discriminator),
        strict=True,
    ):
        with torch.no_grad():
            for param in own.parameters():
                param.add_(0.1 * torch.randn_like(param))
        before = {network: us(network) for network in (own, other)}
        losses = update.loss(batch(), Noise("loss", rows=ROWS))
        assert all(torch.equal(u, old) for u, old in zip(us(own), before[own], strict=True)), "a loss leaves them"
        with torch.no_grad():
            update.post_step(losses)
        assert not all(torch.equal(u, old) for u, old in zip(us(own), before[own], strict=True))
        assert all(torch.equal(u, old) for u, old in zip(us(other), before[other], strict=True))
    assert {key for key in family.state_dict() if key.endswith(".u")}, "checkpoints and exported models have them"


def test_a_step_has_n_discriminator_updates_and_one_of_the_generator() -> None:
    updates = model(n_discriminator=3).updates()
    assert [(update.name, update.repeats(0)) for update in updates] == [("discriminator", 3), ("generator", 1)]


def us(network: nn.Module) -> list[Tensor]:
    return [layer.u.clone() for layer in network.modules() if isinstance(layer, Normalised)]


def test_truncation_bounds_z_in_samples_alone() -> None:
    family, noise = model(truncation=0.5), Noise("z", rows=1000)
    z = family.prior(noise)
    assert 0.49 < z.abs().max() <= 0.5
    assert torch.equal(z, family.prior(Noise("z", rows=1000)))
    assert torch.equal(z[1::2], family.prior(Noise("z", rows=1000, take=slice(1, None, 2))))
    assert Noise("z", rows=1000).normal(7).abs().max() > 2
    assert torch.equal(model().prior(Noise("z", rows=1000)), Noise("z", rows=1000).normal(7))
    seen: list[Tensor] = []
    family.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    family.generator_loss(batch(), Noise("z", rows=ROWS))
    family.train(False).sample(Noise("z", rows=ROWS), Condition(batch().labels))
    assert torch.equal(seen[0], Noise("z", rows=ROWS).normal(7))
    assert seen[1].abs().max() <= 0.5


@pytest.mark.parametrize("threshold", [0.04, 1.0, 2.0, 100.0])
def test_a_truncated_normal_has_the_variance_of_the_closed_form(threshold: float) -> None:
    z = truncated_normal(Noise("z", rows=20_000, dtype=torch.float64), 4, threshold)
    density = math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
    assert z.abs().max() <= threshold
    assert z.var().item() == pytest.approx(variance, rel=0.02)
    assert z.mean().item() == pytest.approx(0, abs=0.02 * threshold if threshold < 2 else 0.02)


def test_data_that_it_cannot_be_built_for() -> None:
    settings, _ = small("big_gan")
    with pytest.raises(InputError, match=r"^big_gan conditions on the class, and the data set has none; use dcgan$"):
        load_family("big_gan", settings, DataSpec(IMAGES))
    with pytest.raises(InputError, match=r"^image of 28x28: .* choose one as the run's resolution$"):
        load_family("big_gan", settings, DataSpec(ImageShape(1, 28, 28), classes=8))
