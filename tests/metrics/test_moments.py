"""Moments of parts against numpy's of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.errors import InputError
from gen.metrics import moments as file
from gen.metrics.moments import Part, gather, merge, moments


def features(rows: int, width: int = 7, offset: float = 0.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64) * 3 + offset


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_mean_and_covariance_are_numpy_s(offset: float) -> None:
    rows = features(500, offset=offset)
    found = moments(gather(rows))
    assert found.samples == 500
    np.testing.assert_allclose(found.mean, rows.numpy().mean(axis=0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(rows.numpy().T), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 300), max_size=4), st.sampled_from([0.0, 100.0, 1e5]))
def test_any_number_of_workers_gather_what_one_does(cuts: list[int], offset: float) -> None:
    rows = features(300, offset=offset).float()
    parts = [gather(part) for part in torch.tensor_split(rows, sorted(cuts))]  # some of them may be empty
    whole, merged = moments(gather(rows)), moments(merge(parts))
    assert merged.samples == 300
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=1e-14)
    scale = float(whole.covariance.abs().max())
    torch.testing.assert_close(merged.covariance, whole.covariance, rtol=0, atol=1e-10 * scale)


def test_chunks_change_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(100, offset=10)
    whole = gather(rows)
    monkeypatch.setattr(file, "CHUNK", 7)
    for a, b in zip(whole[1:], gather(rows)[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_a_constant_feature_has_no_variance_at_all() -> None:
    constants = features(1, width=50)  # some of which would be averaged to a number beside them
    rows = torch.cat([features(293), constants.expand(293, -1)], dim=1)
    for found in (gather(rows), merge([gather(rows[:17]), gather(rows[17:])])):
        assert torch.equal(found.mean[7:], constants[0])
        assert found.scatter[7:].abs().max() == 0
        assert found.scatter[:7, :7].diagonal().min() > 0


def test_float32_features_are_summed_in_float64() -> None:
    rows = features(2000, offset=1000).float()
    np.testing.assert_allclose(moments(gather(rows)).covariance, np.cov(rows.double().numpy().T), rtol=1e-10, atol=1e-9)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(InputError, match="1 samples; a covariance needs at least 2"):
        moments(gather(features(1)))


def test_no_samples() -> None:
    with pytest.raises(InputError, match="no samples in 2 parts"):
        merge([gather(features(0)), gather(features(0))])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_that_are_not_finite_are_named(value: float) -> None:
    rows = features(10)
    rows[4, 1] = rows[8, 0] = value
    with pytest.raises(InputError, match=r"features: row 4 is not finite \(of 2 such rows\)"):
        gather(rows)


def test_parts_of_different_extractors() -> None:
    with pytest.raises(InputError, match=r"widths \[3, 7\]"):
        merge([gather(features(5)), gather(features(5, width=3)), Part(0, torch.zeros(2), torch.zeros(2, 2))])
