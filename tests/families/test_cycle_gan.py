"""CycleGAN: the paper's networks, losses computed by hand, and a pool that shows what it says."""

from typing import Any

import pytest
import torch

from gen.conditions import shown
from gen.errors import InputError
from gen.families import load_family
from gen.families.cycle_gan import Pool
from gen.family import Batch, Condition, DataSpec, ImageShape, Noise
from gen.nets.residual_translation import ResidualGenerator
from gen.nets.translation import PatchDiscriminator
from tests.families.small import IMAGES, POINTS, ROWS, build, data_of, some

LARGE = ImageShape(3, 256, 256)


def test_the_published_networks_have_so_many_weights() -> None:
    """As the published code counts them: 11.378 million of a generator with nine blocks, 2.765 of a discriminator.

    But for the biases before a norm, which it has and which change nothing.
    """
    with torch.device("meta"):
        generator = ResidualGenerator(64, 9, LARGE)
        judge = PatchDiscriminator(3, 64, 70, LARGE, affine=False)
    assert sum(each.numel() for each in generator.parameters()) == 11_378_179 - (64 + 128 + 256 + 18 * 256 + 128 + 64)
    assert sum(each.numel() for each in judge.parameters()) == 2_764_737 - (128 + 256 + 512)


def test_blocks_follow_the_size() -> None:
    with torch.device("meta"):
        for side, blocks in ((128, 6), (256, 9)):
            family: Any = load_family("cycle_gan", {"width": 2, "pool": 1}, DataSpec(ImageShape(3, side, side)))
            found = [each for each in family.generator_y.layers if type(each).__name__ == "ResidualBlock"]
            assert len(found) == blocks


def test_the_losses_by_hand() -> None:
    family: Any = build("cycle_gan", jitter=0, mirror=False, identity_weight=0.5).double()
    batch = some(IMAGES, ROWS, torch.float64)
    noise = Noise("z", rows=ROWS, dtype=torch.float64)
    x, y = batch.others["input"].images, batch.images
    with torch.no_grad():
        made_y, made_x = family.generator_y(x), family.generator_x(y)
        judged_y, judged_x = family.discriminator_y, family.discriminator_x
        cycle = (family.generator_x(made_y) - x).abs().mean() + (family.generator_y(made_x) - y).abs().mean()
        identity = (family.generator_y(y) - y).abs().mean() + (family.generator_x(x) - x).abs().mean()
        fooled = ((judged_y(made_y) - 1) ** 2).mean() + ((judged_x(made_x) - 1) ** 2).mean()
        found = family.generators_loss(batch, noise)
        torch.testing.assert_close(found["generators"], fooled + 10 * cycle + 5 * identity)
        expected = [
            (((judge(real) - 1) ** 2).mean() + (judge(fake) ** 2).mean()) / 2
            for judge, real, fake in ((judged_y, y, made_y), (judged_x, x, made_x))
        ]
        found = family.discriminators_loss(batch, noise)
        torch.testing.assert_close(found["discriminators"], sum(expected))


def test_the_rate_falls_in_the_second_half() -> None:
    family: Any = build("cycle_gan", decay_steps=100)
    assert [family.schedule(step) for step in (0, 50, 75, 100, 120)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert build("cycle_gan", decay_steps=None).schedule(10**6) == 1.0  # type: ignore[attr-defined]


def test_a_pool_shows_what_is_new_until_it_is_full_and_then_half_of_the_time_what_is_old() -> None:
    rows, slots = 400, 3
    pool = Pool(slots, (1, 1, 1))
    pool.images.make_room(rows)
    pool.filled.make_room(rows)
    for step in range(slots):
        made = torch.full((rows, 1, 1, 1), float(step))
        assert torch.equal(pool.exchange(made, Noise("p", step, rows=rows)), made)
    shown_now = pool.exchange(torch.full((rows, 1, 1, 1), 9.0), Noise("p", 9, rows=rows)).flatten()
    counts = [int((shown_now == value).sum()) for value in (0, 1, 2, 9)]
    assert sum(counts) == rows
    assert 160 < counts[3] < 240
    assert all(40 < count < 95 for count in counts[:3])
    kept = pool.images.values.reshape(rows, slots)
    for row in range(rows):
        left = {0.0, 1.0, 2.0} - {float(shown_now[row])}
        assert set(kept[row].tolist()) == (left | {9.0} if shown_now[row] != 9 else {0.0, 1.0, 2.0})


def test_a_grid_has_both_cycles() -> None:
    family: Any = build("cycle_gan").train(False)

    def held_out(rows: int) -> Batch:
        return some(IMAGES, rows)

    found = shown(family, data_of(IMAGES), held_out)
    batch = held_out(found.rows)
    with torch.no_grad():
        made = family.sample(Noise("z", rows=found.rows), found.condition)
        row = found.pictures(family, made).split(16, dim=3)
        x, y = batch.others["input"].images, batch.images
        there, back = family.translate, family.translate_back
        for one, other in zip(row, (x, there(x), back(there(x)), y, back(y), there(back(y))), strict=True):
            torch.testing.assert_close(one, other)


def test_nothing_is_random_in_a_translation() -> None:
    family: Any = build("cycle_gan").train(False)
    condition = Condition(extras={"input": some(IMAGES, 3).others["input"].images})
    with torch.no_grad():
        assert torch.equal(*(family.sample(Noise(key, rows=3), condition) for key in ("a", "b")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (data_of(POINTS), "cycle_gan translates images, and these are points; choose another data set"),
        (DataSpec(ImageShape(1, 18, 18)), "image of 18x18: it takes sides of 8 pixels or more that 4 divides; choose"),
        (DataSpec(ImageShape(1, 16, 16)), "patch: 70; images of 16x16 pixels are too small, it takes 32 or more: "),
    ],
)
def test_what_does_not_fit_is_one_line(data: DataSpec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_family("cycle_gan", {}, data)
