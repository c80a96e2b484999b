"""Pictures of a model beside its data."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from gen.families import load_family
from gen.family import DataSpec
from gen.figures.panels import point_panels
from tests.families.small import POINTS, SMALL


@pytest.mark.parametrize(("family", "panels"), [("gan", 3), ("ali", 5)])
@pytest.mark.parametrize("mixture", [True, False])
def test_points_get_a_panel_for_all_that_a_family_can_do(family: str, panels: int, mixture: bool) -> None:
    centres = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    labels = torch.arange(60) % 3
    points = centres[labels].reshape(-1, 2, 1, 1)
    model = load_family(family, SMALL[family][POINTS], DataSpec(POINTS)).train(False)
    picture = Image.open(io.BytesIO(point_panels(model, points, labels, centres if mixture else None)))
    assert picture.width / picture.height == pytest.approx(3.2 * panels / 3.4, rel=0.15)
    colours = {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3) if np.ptp(colour) > 100}
    assert bool(colours) == mixture, "colours are modes"
