"""What is particular to pixel models: what a pixel depends on, probabilities that sum to 1, the cached sampler."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.pixel_sampling import sample_by_whole_passes
from gen.errors import InputError
from gen.families import load_family
from gen.family import Batch, DataSpec, ImageShape, Noise

GREY, COLOUR = ImageShape(1, 7, 7), ImageShape(3, 4, 4)
SETTINGS = {"base_channels": 18, "depth": 3, "first_kernel": 3, "head_channels": 24}
FORMS = {
    "plain": ("pixel_cnn", {"gated": False}),
    "gated": ("pixel_cnn", {"gated": True}),
    "row": ("pixel_rnn", {"recurrence": "row"}),
    "diagonal": ("pixel_rnn", {"recurrence": "diagonal"}),
}
every_form = pytest.mark.parametrize("form", FORMS)
every_image = pytest.mark.parametrize(("image", "levels"), [(GREY, 2), (COLOUR, 4)], ids=["binary", "colour"])


def built(form: str, image: ImageShape, **changes: Any) -> Any:
    """A model in float64 whose values depend on one another clearly: logits have a spread of 2."""
    family, own = FORMS[form]
    torch.manual_seed(0)
    model = load_family(family, SETTINGS | own | changes, DataSpec(image)).to(dtype=torch.float64).train(False)
    network: Any = model
    network, x = network.pixels.network, Noise("x", rows=64, dtype=torch.float64).uniform(*image, low=-1.0)
    with torch.no_grad():
        logits = network(x)
        network.head.last.weight.mul_(2 / logits.std())
        network.head.last.bias.sub_(logits.mean()).mul_(2 / logits.std())
    return model


def reached(model: Any, image: ImageShape) -> Tensor:
    """Whether each value's logits depend on each value of the image: (values, values), in their order."""
    x = Noise("x", rows=8, dtype=torch.float64).uniform(*image, low=-1.0).requires_grad_()
    logits = model.pixels.log_p(model.pixels.network(x))  # (n, c, levels, h, w)
    values = logits.select(2, 0).permute(0, 2, 3, 1).flatten(1)
    rows = [torch.autograd.grad(values[:, i].sum(), x, retain_graph=True)[0] for i in range(values.shape[1])]
    return torch.stack([(row.permute(0, 2, 3, 1).flatten(1) != 0).any(dim=0) for row in rows])


@every_form
@every_image
def test_a_value_depends_on_those_before_it_alone(form: str, image: ImageShape, levels: int) -> None:
    seen = reached(built(form, image, levels=levels), image)
    assert not bool(seen.triu().any()), "a value depends on itself, or on a later one"
    assert bool(seen[1:].any(dim=1).all()), "else nothing is tested"
    if image == COLOUR:
        own = seen.unflatten(0, (-1, 3)).unflatten(2, (-1, 3))
        pixel = own[torch.arange(16), :, torch.arange(16)]
        assert torch.equal(pixel.all(dim=0), torch.ones(3, 3, dtype=torch.bool).tril(-1)), "R, G, B in this order"


@every_form
def test_what_each_form_leaves_unseen(form: str) -> None:
    """With 3x3 kernels a plain stack goes right by one pixel a row (figure 1 of the second paper), a Row LSTM, too."""
    seen = reached(built(form, GREY, depth=7), GREY)
    row, column = (index.flatten() for index in torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij"))
    before = torch.ones(49, 49, dtype=torch.bool).tril(-1)
    aside = column[None] - column[:, None] > row[:, None] - row[None]
    end_of_row_above = (column[None] == 6) & (row[None] == row[:, None] - 1) & (column[:, None] < 5)
    nothing = torch.zeros_like(before)
    unseen = {"plain": aside, "gated": nothing, "row": aside, "diagonal": end_of_row_above}[form]
    assert bool((unseen & before).any()) == (form != "gated")
    assert torch.equal(seen, before & ~unseen)


@every_form
@pytest.mark.parametrize(("levels", "values"), [(2, 9), (3, 6)])
def test_probabilities_of_all_images_sum_to_one(form: str, levels: int, values: int) -> None:
    image = ImageShape(1, 3, 3) if values == 9 else ImageShape(3, 1, 2)
    model = built(form, image, levels=levels)
    every = torch.tensor(list(product(range(levels), repeat=values)), dtype=torch.float64)
    images = (every * (2 / (levels - 1)) - 1).unflatten(1, image)
    batch = Batch(images, torch.zeros(len(images), dtype=torch.int64))
    log_p = model.log_likelihood(batch, Noise("none", rows=len(images))).detach()
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert float(log_p.max() - log_p.min()) > 1, "else nothing is tested"


@every_form
@every_image
def test_the_sampler_draws_what_whole_passes_draw(form: str, image: ImageShape, levels: int) -> None:
    model = built(form, image, levels=levels)
    with torch.no_grad():
        drawn = model.sample(Noise("sample", rows=5, dtype=torch.float64))
        assert torch.equal(drawn, sample_by_whole_passes(model.pixels, Noise("sample", rows=5, dtype=torch.float64)))
        single = model.to(dtype=torch.float32)
        images = drawn.float()
        whole = single.pixels.network(images)
        for row, column, channel, log_p in single.pixels.along(images):
            expected = single.pixels.log_p(whole)[:, channel, :, row, column]
            torch.testing.assert_close(log_p, expected, rtol=1e-5, atol=1e-5)
    assert len(drawn.unique()) == levels


@every_form
def test_samples_have_the_models_probabilities(form: str) -> None:
    """Of each of the 16 images of 2x2 pixels, in 20,000 draws."""
    image, rows = ImageShape(1, 2, 2), 20_000
    model = built(form, image, levels=2)
    with torch.no_grad():
        drawn = model.sample(Noise("sample", rows=rows, dtype=torch.float64))
        every = torch.tensor(list(product((-1.0, 1.0), repeat=4)), dtype=torch.float64).unflatten(1, image)
        batch = Batch(every, torch.zeros(16, dtype=torch.int64))
        p = model.log_likelihood(batch, Noise("none", rows=16)).exp()
    found = (drawn[:, None] == every[None]).flatten(2).all(dim=2).double().mean(dim=0)
    assert bool(((found - p).abs() < 4.5 * (p * (1 - p) / rows).sqrt() + 1e-4).all())


@every_form
def test_completions_are_samples_whose_first_rows_are_known(form: str) -> None:
    model = built(form, GREY, levels=2)
    noise = {"rows": 6, "dtype": torch.float64}
    with torch.no_grad():
        drawn = model.sample(Noise("completion", **noise))
        known = torch.zeros(7, 7, dtype=torch.bool)
        known[:3] = True
        known[3, :2] = True
        assert torch.equal(model.complete(drawn, known, Noise("completion", **noise)), drawn)
        with pytest.raises(InputError, match=r"^known: a known pixel comes after an unknown one; give the first rows"):
            model.complete(drawn, known.flip(0), Noise("completion", **noise))


def test_grey_pixels_become_binary_as_is_said() -> None:
    images = torch.full((1, *GREY), -0.5, dtype=torch.float64).expand(500, *GREY)
    batch = Batch(images, torch.zeros(500, dtype=torch.int64))
    with torch.no_grad():
        for binarisation, white in (("threshold", 0.0), ("stochastic", 0.25)):
            model = built("plain", GREY, levels=2, binarisation=binarisation)
            for param in model.parameters():
                param.zero_()
            model.pixels.network.head.last.bias.fill_(1.0)
            found = float(model.log_likelihood(batch, Noise("b", rows=500, dtype=torch.float64)).mean())
            by_hand = 49 * (
                white * torch.tensor(1.0).sigmoid().log() + (1 - white) * torch.tensor(-1.0).sigmoid().log()
            )
            assert found == pytest.approx(float(by_hand), abs=0.5 if white else 1e-5)
        with pytest.raises(InputError, match=r"^images: a value of 1\.5; a model of discrete pixels"):
            model.log_likelihood(Batch(images + 2, batch.labels), Noise("b", rows=500, dtype=torch.float64))


def test_the_papers_layers() -> None:
    """Table 1 for CIFAR-10: 7x7 with mask A, 15 residual blocks of h = 128, two layers to 256 levels a channel."""
    model: Any = load_family("pixel_cnn", {}, DataSpec(ImageShape(3, 32, 32)))
    network = model.pixels.network
    assert network.first.weight.shape == (256, 3, 4, 7), "the rows below are masked, and left out"
    assert len(network.blocks) == 15
    assert [layer.weight.shape[:2] for layer in network.blocks[0].children()] == [(128, 256), (128, 128), (256, 128)]
    assert network.head.first.weight.shape[0] == 1024
    assert network.head.last.weight.shape[0] == 3 * 256
    with pytest.raises(InputError, match=r"kernel: input should be odd"):
        load_family("pixel_cnn", {"kernel": 4}, DataSpec(GREY))

    model = load_family("pixel_rnn", {}, DataSpec(ImageShape(3, 32, 32)))
    network = model.pixels.network
    assert network.first.weight.shape == (256, 3, 4, 7)
    assert len(network.lstms) == 12
    layer = network.lstms[0]
    assert [each.given.weight.shape[:2] for each in (layer.left, layer.right)] == [(4 * 128, 256)] * 2
    assert layer.left.state.weight.shape == (4 * 128, 128, 2)
    row: Any = load_family("pixel_rnn", {"recurrence": "row"}, DataSpec(ImageShape(3, 32, 32)))
    assert row.pixels.network.lstms[0].state.weight.shape == (4 * 128, 128, 3)
