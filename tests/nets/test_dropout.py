"""Dropout by its definition, and by rows of the noise."""

import pytest
import torch

from gen.family import Noise
from gen.nets.dropout import Dropout, Layers

ROWS = 64


def test_drops_the_share_and_scales_the_rest() -> None:
    x = torch.full((ROWS, 1000), 3.0, dtype=torch.float64)
    made = Dropout(0.2)(x, Noise("masks", rows=ROWS, dtype=torch.float64))
    assert set(made.unique().tolist()) == {0.0, 3.0 / 0.8}
    dropped = float((made == 0).double().mean())
    assert dropped == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / x.numel()) ** 0.5)  # five standard deviations
    assert made.mean().item() == pytest.approx(3.0, rel=0.02)


def test_a_row_is_dropped_alike_wherever_it_is_computed() -> None:
    layers = Layers(Dropout(0.3), torch.nn.Identity(), Dropout(0.5))
    x = Noise("x", rows=ROWS).normal(3, 5)
    whole = layers(x, Noise("masks", rows=ROWS))
    for take in (slice(0, ROWS, 2), slice(1, ROWS, 2), slice(8, 16)):
        assert torch.equal(layers(x[take], Noise("masks", rows=ROWS, take=take)), whole[take])


def test_real_and_generated_rows_have_masks_of_their_own() -> None:
    x = torch.ones(2 * ROWS, 20)
    whole = Dropout(0.5)(x, Noise("masks", rows=ROWS))
    take = slice(1, None, 2)
    real, fake = whole.chunk(2)
    part = Dropout(0.5)(torch.ones(ROWS, 20), Noise("masks", rows=ROWS, take=take))
    assert not torch.equal(real, fake)
    assert torch.equal(part, torch.cat([real[take], fake[take]]))


def test_nothing_is_dropped_in_evaluation_nor_drawn_past_the_noise() -> None:
    dropout, x = Dropout(0.5), torch.ones(ROWS, 3)
    before = torch.random.get_rng_state()
    dropout(x, Noise("masks", rows=ROWS))
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(ValueError, match="dropout of 64 rows by no noise; give the networks the noise"):
        dropout(x)
    with pytest.raises(ValueError, match="dropout of 64 rows by noise of 3 rows"):
        dropout(x, Noise("masks", rows=3))
    assert dropout.train(False)(x) is x
