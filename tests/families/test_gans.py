"""What is particular to each of the five, and that two of them learn."""

import pytest
import torch

from gen.errors import InputError
from gen.families import load_family, wgan
from gen.family import Batch, DataSpec, Family, Noise
from tests.families.small import IMAGES, POINTS, build, small


def losses(family: Family, update: int, batch: Batch | None = None) -> dict[str, float]:
    batch = batch or Batch(Noise("x", rows=8).uniform(*POINTS), torch.zeros(8, dtype=torch.int64))
    message = family.updates()[update].loss(batch, Noise("z", rows=8))
    return {name: loss.item() for name, loss in message.items()}


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, "k") for name in ("gan", "dcgan", "lsgan")]
    + [(name, "n_critic") for name in ("wgan", "wgan_gp", "progressive_gan")],
)
def test_the_opponent_moves_first_and_as_often_as_asked(name: str, setting: str) -> None:
    opponent, generator = build(name, **{setting: 3}).updates()
    assert [opponent.repeats(step) for step in range(3)] == [3, 3, 3]
    assert generator.repeats(0) == 1
    assert [move.ema for move in (*opponent.optimizer_steps.values(), *generator.optimizer_steps.values())] == [
        False,
        True,
    ]


def test_gan_s_two_losses_differ_by_the_mean_logit() -> None:
    """-log D = -log(1 - D) - logit, so non_saturating + (-minimax's sign) ties both to the mean logit."""
    torch.manual_seed(0)
    minimax = build("gan", POINTS, loss="minimax", dropout=0.0)
    torch.manual_seed(0)
    other = build("gan", POINTS, loss="non_saturating", dropout=0.0)
    logits = minimax.discriminator(minimax.decode(minimax.prior(Noise("z", rows=8))))
    difference = losses(other, 1)["generator"] + losses(minimax, 1)["generator"]
    assert difference == pytest.approx(-logits.mean().item(), rel=1e-5)


def test_lsgan_s_targets() -> None:
    family = build("lsgan", POINTS, a=-1.0, b=2.0, c=3.0)
    for param in family.discriminator.parameters():
        param.data.zero_()  # D = 0 everywhere
    assert losses(family, 0)["discriminator"] == pytest.approx((2.0**2 + 1.0**2) / 2)
    assert losses(family, 1)["generator"] == pytest.approx(3.0**2 / 2)


def test_wgan_s_losses_are_plain_means() -> None:
    family = build("wgan", POINTS)
    for param in family.generator.parameters():
        param.data.zero_()  # g = 0 everywhere
    batch = Batch(torch.full((8, *POINTS), 0.5), torch.zeros(8, dtype=torch.int64))
    real, fake = (family.critic(torch.full((1, *POINTS), place)).item() for place in (0.5, 0.0))
    quotient = abs(real - fake) / (0.5 * 2**0.5)
    expected = {"critic": fake - real, "wasserstein": real - fake, "lipschitz_quotient": quotient}
    assert losses(family, 0, batch) == pytest.approx(expected, abs=1e-6)
    assert losses(family, 1, batch) == pytest.approx({"generator": -fake}, abs=1e-6)


def test_wgan_clips_the_critic_alone() -> None:
    family = build("wgan", IMAGES, clip=0.01)
    for param in family.parameters():
        param.data.uniform_(-1, 1)
    critic, _ = family.updates()
    before = {name: param.clone() for name, param in family.named_parameters()}
    with torch.no_grad():
        critic.post_step({})
    for name, param in family.named_parameters():
        expected = before[name].clamp(-0.01, 0.01) if name.startswith("critic") else before[name]
        assert torch.equal(param, expected)


def test_clip_leaves_what_is_inside() -> None:
    weights = [torch.tensor([-2.0, -0.5, 0.25]), torch.tensor([3.0])]
    wgan.clip(weights, 0.5)
    assert [weight.tolist() for weight in weights] == [[-0.5, -0.5, 0.25], [0.5]]


def test_wgan_s_critic_warms_up_as_in_the_published_code() -> None:
    critic, _ = build("wgan", critic_warmup=True, n_critic=5).updates()
    assert [step for step in range(1100) if critic.repeats(step) == 100] == [*range(25), 500, 1000]
    assert {critic.repeats(step) for step in range(25, 500)} == {5}


def test_wgan_gp_s_loss_is_the_sum_of_its_parts() -> None:
    message = losses(build("wgan_gp", POINTS, penalty_weight=7.0), 0)
    assert message["critic"] == pytest.approx(7 * message["penalty"] - message["wasserstein"], rel=1e-5)


def test_wgan_gp_refuses_batch_norm() -> None:
    with pytest.raises(InputError, match=r"^model\.norm: .*'layer' or 'none'; got 'batch'$"):
        build("wgan_gp", norm="batch")


def test_dcgan_refuses_points() -> None:
    with pytest.raises(InputError, match=r"^image of 1x1: "):
        load_family("dcgan", small("dcgan")[0], DataSpec(POINTS))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gan", {"loss": "non_saturating", "k": 1, "lr": 1e-3}),
        ("lsgan", {"width": 32, "lr": 1e-3}),
        ("wgan", {"width": 32, "lr": 1e-3, "clip": 0.1, "n_critic": 1}),
        ("wgan_gp", {"width": 32, "lr": 1e-3, "n_critic": 3, "penalty_weight": 1.0, "norm": "none"}),
    ],
)
def test_learns_where_a_gaussian_is(name: str, settings: dict[str, object]) -> None:
    """One mode at (0.8, -0.6): samples start around the origin and end up on it."""
    torch.manual_seed(0)
    family = build(name, POINTS, **settings).train()
    mode = torch.tensor([0.8, -0.6])
    start = distance(family, mode)
    train(family, mode, steps=300)
    assert start > 0.5
    assert distance(family, mode) < 0.2


def distance(family: Family, mode: torch.Tensor) -> float:
    with torch.no_grad():
        samples = family.sample(Noise("look", rows=500)).flatten(1)
    return (samples.mean(0) - mode).norm().item()


def train(family: Family, mode: torch.Tensor, steps: int, rows: int = 64) -> None:
    """The loop of gen.training.loop, bare."""
    updates = family.updates()
    optimizer_steps = [(update, name, move) for update in updates for name, move in update.optimizer_steps.items()]
    optimizers = {name: move.optimizer(move.params) for _, name, move in optimizer_steps}
    for step in range(steps):
        for update in updates:
            for repetition in range(update.repeats(step)):
                key = (step, update.name, repetition)
                points = mode + 0.05 * Noise("data", *key, rows=rows).normal(2)
                batch = Batch(points[:, :, None, None], torch.zeros(rows, dtype=torch.int64))
                message = update.loss(batch, Noise(*key, rows=rows))
                for name, move in update.optimizer_steps.items():
                    gradients = torch.autograd.grad(message[name], list(move.params))
                    for param, gradient in zip(move.params, gradients, strict=True):
                        param.grad = gradient
                    optimizers[name].step()
                with torch.no_grad():
                    update.post_step(message)
