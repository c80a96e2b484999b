"""Noise: a function of its key and the row, drawn by the chunk."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen.family import CHUNK, Noise

TOTAL = 3 * CHUNK + 10


@given(start=st.integers(0, TOTAL), length=st.integers(0, TOTAL), step=st.integers(1, 300))
def test_a_row_is_the_same_whoever_draws_it(start: int, length: int, step: int) -> None:
    take = slice(start, min(start + length, TOTAL), step)
    whole, part = Noise("key", rows=TOTAL), Noise("key", rows=TOTAL, take=take)
    for draw in range(2):  # draws follow one another
        everything = (whole.normal(2), whole.uniform(1, low=-1.0), whole.bernoulli(3, probability=0.3))
        some = (part.normal(2), part.uniform(1, low=-1.0), part.bernoulli(3, probability=0.3))
        for all_rows, rows in zip(everything, some, strict=True):
            assert torch.equal(rows, all_rows[take]), draw
    assert part.rows == len(range(*take.indices(TOTAL)))


def test_a_few_rows_take_memory_for_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million rows of 128 x 128 pixels, 10 are drawn with the chunk they lie in."""
    made = []
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, **how: made.append(shape[0]) or empty(*shape, **how))
    assert Noise("key", rows=1_000_000, take=slice(500_000, 500_010)).normal(3, 16, 16).shape == (10, 3, 16, 16)
    assert sum(made) == CHUNK


def test_it_is_what_it_claims_to_be() -> None:
    noise = Noise("key", rows=100_000)
    normal, uniform, coin = noise.normal(), noise.uniform(low=2.0, high=4.0), noise.bernoulli(probability=0.25)
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.var()) - 1) < 0.02
    assert 2 <= float(uniform.min()) <= float(uniform.max()) < 4
    assert abs(float(uniform.mean()) - 3) < 0.01
    assert abs(float(coin.mean()) - 0.25) < 0.01
    assert len({float(one) for one in normal}) > 99_000, "no chunk repeats another"
    assert not torch.equal(normal[:100], Noise("other", rows=100_000).normal()[:100])
