"""The Inception score where it can be worked out."""

import math

import numpy as np
import pytest
import torch

from gen.errors import InputError
from gen.metrics.inception_score import inception_score


def certain(labels: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes) * 1e4


def test_sure_samples_of_every_class_score_their_number() -> None:
    assert inception_score(certain([0, 1, 2, 3] * 5, 4), splits=5).mean == pytest.approx(4, rel=1e-12)


def test_sure_samples_of_some_classes_score_those() -> None:
    assert inception_score(certain([0, 2] * 10, 4), splits=1).mean == pytest.approx(2, rel=1e-12)


def test_unsure_samples_score_one() -> None:
    found = inception_score(torch.zeros(20, 4))
    assert found.mean == pytest.approx(1, rel=1e-12)
    assert found.sd == pytest.approx(0, abs=1e-12)


def test_by_hand() -> None:
    """p = (3/4, 1/4) and (1/4, 3/4): the marginal is even, and KL = 3/4 ln 3/2 + 1/4 ln 1/2 for both."""
    logits = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log()
    expected = math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert inception_score(logits, splits=1).mean == pytest.approx(expected, rel=1e-6)


def test_parts_are_consecutive_and_leave_nothing_out() -> None:
    """Rows 0 and 1 are of two classes; so are 2 to 4, one and two: 3 / 2^(2/3) of them."""
    found = inception_score(certain([0, 1, 0, 0, 1], 2), splits=2)
    assert found.mean == pytest.approx((2 + 3 / 2 ** (2 / 3)) / 2)
    assert found.sd == pytest.approx((2 - 3 / 2 ** (2 / 3)) / 2)


def test_as_the_published_code() -> None:
    """openai/improved-gan, inception_score/model.py, on a number of rows that ten does not divide."""
    logits = 2 * torch.randn(257, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    preds, scores = logits.softmax(dim=1).numpy(), []
    for i in range(10):
        part = preds[(i * preds.shape[0] // 10) : ((i + 1) * preds.shape[0] // 10), :]
        kl = part * (np.log(part) - np.log(np.expand_dims(np.mean(part, 0), 0)))
        scores.append(np.exp(np.mean(np.sum(kl, 1))))
    found = inception_score(logits)
    assert found.mean == pytest.approx(np.mean(scores), rel=1e-12)
    assert found.sd == pytest.approx(np.std(scores), rel=1e-9)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="3 samples for 10 splits"):
        inception_score(torch.zeros(3, 4))
    with pytest.raises(InputError, match="splits: 0"):
        inception_score(torch.zeros(3, 4), splits=0)
    with pytest.raises(InputError, match="logits: row 1 is not finite"):
        inception_score(torch.tensor([[0.0, 1.0], [0.0, float("-inf")]]), splits=1)
