"""The figure of likelihoods."""

import io

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from PIL import Image

from gen.figures.likelihoods import BINS, likelihoods


def test_all_kinds_of_images_share_one_axis_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, tuple[float, float], str]] = []
    hist = Axes.hist

    def counted(axes: Axes, values: list[float], edges: list[float], **look: object) -> object:
        found = hist(axes, values, edges, **look)  # type: ignore[arg-type]
        drawn.append((int(sum(found[0])), (edges[0], edges[-1]), str(look["label"])))  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(Axes, "hist", counted)
    inverted = torch.tensor([-200.0] * 28 + [-1e24, -400])
    log_p = {"test images": -50 + torch.arange(100.0).double() / 5, "inverted": inverted.double()}
    picture = np.asarray(Image.open(io.BytesIO(likelihoods(log_p, "bound"))).convert("L"))
    assert [count for count, _, _ in drawn] == [100, 30], "the largest value, too"
    assert drawn[0][1] == drawn[1][1] == (pytest.approx(-50 - 10 * 20.8), pytest.approx(-30.2, abs=1e-3))
    assert [label for _, _, label in drawn] == ["test images, median -40.2", "inverted, median -200, 2 below"]
    assert picture.std() > 1


def test_equal_likelihoods_have_a_histogram() -> None:
    assert likelihoods({"test images": torch.zeros(BINS).double()}, "exact")
