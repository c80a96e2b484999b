"""What holds for every family, in every form it has. Two more contracts need the loop: see tests/training."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gen.abilities import (
    Completes,
    Conditional,
    ConditionalLatent,
    Cyclic,
    Density,
    Discrete,
    HeldOutLoss,
    Inference,
    Latent,
    Samples,
)
from gen.conditions import draw, told
from gen.errors import InputError
from gen.families import check_family, family_names, load_family
from gen.family import Batch, Condition, Family, ImageShape, Noise, Update
from tests.families.small import ROWS, SMALL, build, data_of, draw_some, forms, grown, grows, small, some

every_form = pytest.mark.parametrize(
    ("name", "image"), forms(), ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else value
)
every_family = pytest.mark.parametrize("name", family_names())


@every_family
def test_has_small_settings(name: str) -> None:
    settings, _ = small(name)
    assert check_family(name, settings, "model").model_dump() == settings


def test_no_settings_without_family() -> None:
    assert set(SMALL) <= set(family_names())


@every_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples(name: str, image: ImageShape, dtype: torch.dtype) -> None:
    family = sampling(name, image).to(dtype=dtype).train(False)
    with torch.no_grad():
        samples = draw_some(family, image, Noise("sample", rows=ROWS, dtype=dtype))
        again = draw_some(family, image, Noise("sample", rows=ROWS, dtype=dtype))
        others = draw_some(family, image, Noise("other", rows=ROWS, dtype=dtype))
    assert samples.shape == (ROWS, *image)
    assert samples.dtype == dtype
    assert samples.isfinite().all()
    if image.height > 1:
        assert samples.abs().max() <= 1
    assert torch.equal(samples, again)
    if dtype == torch.float64 and not isinstance(family, Cyclic):  # weights may start so small that float32 sees none
        assert not torch.equal(samples, others)


@every_form
def test_a_sample_depends_on_its_own_noise_alone(name: str, image: ImageShape) -> None:
    family = sampling(name, image).to(dtype=torch.float64).train(False)
    with torch.no_grad():
        every = draw_some(family, image, Noise("sample", rows=ROWS, dtype=torch.float64))
        some = draw_some(family, image, Noise("sample", rows=ROWS, take=slice(1, None, 2), dtype=torch.float64))
    torch.testing.assert_close(some, every[1::2])


@every_form
def test_decodes_what_it_samples(name: str, image: ImageShape) -> None:
    family = build(name, image).train(False)
    if not isinstance(family, Latent | ConditionalLatent) or not isinstance(family, Samples):
        pytest.skip("no latent vector")
    z = family.prior(Noise("sample", rows=ROWS))
    assert z.shape[0] == ROWS
    with torch.no_grad():
        if isinstance(family, ConditionalLatent):
            images = family.decode_given(z, told(family, some(image, ROWS)) or Condition())
        else:
            images = family.decode(z)
        assert torch.equal(images, draw_some(family, image, Noise("sample", rows=ROWS)))


@every_form
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_losses_are_finite_scalars_of_full_precision(name: str, image: ImageShape, precision: str) -> None:
    family = build(name, image).train()
    for update in family.updates():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            losses = update.loss(batch(image), Noise(update.name, rows=ROWS))
        assert set(update.optimizer_steps) <= set(losses)
        for loss in losses.values():
            assert loss.shape == ()
            assert loss.dtype == torch.float32
            assert loss.isfinite()
        minimised = {name for name, loss in losses.items() if loss.requires_grad}
        assert minimised == set(update.optimizer_steps), "a loss that is only looked at should be detached"


@every_form
def test_every_loss_moves_its_parameters_and_no_others(name: str, image: ImageShape) -> None:
    family = grown(build(name, image).train())
    for update in family.updates():
        before = parameters(family)
        gradients = {
            loss: taken(family, value, update.optimizer_steps[loss].params)
            for loss, value in update.loss(batch(image), Noise(update.name, rows=ROWS)).items()
            if loss in update.optimizer_steps
        }
        assert all(one.isfinite().all() for each in gradients.values() for one in each if one is not None)
        assert all(sum(float(one.abs().sum()) for one in each if one is not None) > 0 for each in gradients.values())
        make(family, update, image)
        moved = {name for name, param in family.named_parameters() if not torch.equal(param, before[name])}
        mine = {id(param) for move in update.optimizer_steps.values() for param in move.params}
        named = {name for name, param in family.named_parameters() if id(param) in mine}
        assert moved <= named
        assert len(moved) > len(named) / 2


@every_form
def test_moves_own_every_parameter_once(name: str, image: ImageShape) -> None:
    family = build(name, image)
    owned = [
        id(param) for update in family.updates() for move in update.optimizer_steps.values() for param in move.params
    ]
    assert sorted(owned) == sorted(id(param) for _, param in family.named_parameters() if param.requires_grad)


@every_form
def test_initial_weights_come_from_the_global_generator(name: str, image: ImageShape) -> None:
    families = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        families.append(parameters(build(name, image)))
    same, other = (all(torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(families))
    assert same
    assert not other


@every_family
def test_unknown_setting_is_named(name: str) -> None:
    settings, image = small(name)
    known = next(iter(settings))
    with pytest.raises(InputError, match=rf"^runs\.x\.model\.{known}s: unknown; did you mean {known}\?$"):
        load_family(name, settings | {f"{known}s": 3}, data_of(image), "runs.x.model")


@every_family
def test_every_setting_is_described_and_has_a_default(name: str) -> None:
    fields = check_family(name, {}, "model").model_json_schema()["properties"]
    assert fields.keys() >= small(name)[0].keys()
    assert all(field.get("description") for field in fields.values())


@every_form
def test_a_condition_is_of_the_rows_that_are_asked_for(name: str, image: ImageShape) -> None:
    """A sample depends on its own condition, and on no other column of the batch."""
    family = build(name, image).to(dtype=torch.float64).train(False)
    noise = partial(Noise, "condition", rows=ROWS, dtype=torch.float64)
    seen = some(image, ROWS, torch.float64)
    if not isinstance(family, Conditional):
        assert told(family, seen) is None
        if isinstance(family, Samples):
            with pytest.raises(InputError, match=f"^{name} is not conditional: leave the condition out$"):
                draw(family, noise(), Condition(seen.labels))
        return
    with pytest.raises(InputError, match=f"^{name} conditions on {', '.join(family.conditions_on)}: give a condition$"):
        draw(family, noise())
    condition = told(family, seen)
    assert condition is not None
    other = condition.rows(torch.tensor([ROWS - 1, *range(1, ROWS)]))  # the first row is told what the last one is
    with torch.no_grad():
        one, two = draw(family, noise(), condition), draw(family, noise(), other)
    assert not torch.equal(one[0], two[0])
    assert torch.equal(one[1:], two[1:])


@every_form
def test_encodes_and_decodes_rows_for_themselves(name: str, image: ImageShape) -> None:
    family = build(name, image).to(dtype=torch.float64).train(False)
    if not isinstance(family, Inference):
        pytest.skip("no encoder")
    images = batch(image).images.double()
    with torch.no_grad():
        z = family.encode(images)
        made = family.decode(z)
        torch.testing.assert_close(family.decode(family.encode(images[1::2])), made[1::2])
    assert z.shape[0] == ROWS
    assert made.shape == images.shape


@every_form
def test_likelihoods_and_losses_of_held_out_rows_are_a_number_for_each(name: str, image: ImageShape) -> None:
    family = build(name, image).to(dtype=torch.float64).train(False)
    if not isinstance(family, Density | HeldOutLoss):
        pytest.skip("neither a density nor a loss of its own")
    seen = batch(image)
    seen = seen._replace(images=seen.images.double())
    rows = slice(1, None, 2)
    noise = partial(Noise, "held out", rows=ROWS, dtype=torch.float64)
    with torch.no_grad():
        if isinstance(family, Density):
            larger = batch(ImageShape(image.channels, image.height + 4, image.width + 4))
            with pytest.raises(
                InputError, match=r"^images: of .x.*x.* \(channels, height, width\); the model was trained"
            ):
                family.log_likelihood(larger, noise())
            nats = family.log_likelihood(seen, noise())
            assert nats.shape == (ROWS,)
            torch.testing.assert_close(family.log_likelihood(seen.rows(rows), noise(take=rows)), nats[rows])
        if isinstance(family, HeldOutLoss):
            losses = family.held_out_loss(seen, noise())
            assert losses.shape == (ROWS,)
            torch.testing.assert_close(family.held_out_loss(seen.rows(rows), noise(take=rows)), losses[rows])


@every_form
def test_levels_are_whole_numbers_and_rows_have_their_own(name: str, image: ImageShape) -> None:
    family = build(name, image).to(dtype=torch.float64).train(False)
    if not isinstance(family, Discrete) or family.levels is None:
        pytest.skip("its density is not of levels")
    images, rows = batch(image).images.double(), slice(1, None, 2)
    noise = partial(Noise, "levels", rows=ROWS, dtype=torch.float64)
    level = family.to_levels(images, noise())
    assert (level.shape, level.dtype) == (images.shape, torch.int64)
    assert int(level.min()) >= 0
    assert int(level.max()) < family.levels
    assert torch.equal(family.to_levels(images[rows], noise(take=rows)), level[rows])


@every_form
def test_completes_images_and_keeps_what_is_known(name: str, image: ImageShape) -> None:
    family = build(name, image).to(dtype=torch.float64).train(False)
    if not isinstance(family, Completes):
        pytest.skip("does not complete images")
    images, known = batch(image).images.double(), torch.zeros(image[1:], dtype=torch.bool)
    known[: image.height // 2] = True
    rows = slice(1, None, 2)
    noise = partial(Noise, "completion", rows=ROWS, dtype=torch.float64)
    with torch.no_grad():
        made = family.complete(images, known, noise())
        torch.testing.assert_close(family.complete(images[rows], known, noise(take=rows)), made[rows])
        other = family.complete(torch.where(known, images, 0.3), known, noise())
    assert torch.equal(made[..., known], images[..., known])
    assert made.abs().max() <= 1
    assert torch.equal(made, other), "pixels that are not known are not looked at"


def sampling(name: str, image: ImageShape) -> Family:
    """A small model of a family that samples."""
    family = build(name, image)
    if not isinstance(family, Samples):
        pytest.skip("does not sample")
    return family


def batch(image: ImageShape) -> Batch:
    return some(image, ROWS)


def parameters(family: Family) -> dict[str, Tensor]:
    return {name: param.detach().clone() for name, param in family.named_parameters()}


def taken(family: Family, loss: Tensor, params: Sequence[nn.Parameter]) -> tuple[Tensor | None, ...]:
    """Gradients; None only for parameters of a size that a family which grows does not have now."""
    return torch.autograd.grad(loss, list(params), retain_graph=True, allow_unused=grows(family))


def make(family: Family, update: Update, image: ImageShape) -> None:
    """Make one update, as the loop does."""
    losses = update.loss(batch(image), Noise("make", rows=ROWS))
    for name, move in update.optimizer_steps.items():
        optimizer = move.optimizer(move.params)
        for param, gradient in zip(move.params, taken(family, losses[name], move.params), strict=True):
            param.grad = gradient
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        update.post_step(losses)
