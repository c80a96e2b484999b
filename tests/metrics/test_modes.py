"""Coverage of modes and of classes, by hand and of the toy mixtures' own points."""

import math
from pathlib import Path

import pytest
import torch

from gen.data.sources import points
from gen.errors import InputError
from gen.metrics.modes import class_coverage, mode_coverage

CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_by_hand() -> None:
    """Within 3 sigma = 1.5 of the first mode twice, of the second once (on the edge), of the third never."""
    seen = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [10.0, -1.5], [0.0, 8.0], [5.0, 5.0]])
    found = mode_coverage(seen, CENTRES, sigma=0.5)
    assert (found.covered, found.high_quality, found.counts) == (2, pytest.approx(3 / 5), [2, 1, 0])
    of_each, of_none = (1 - math.exp(-4.5)) / 3, math.exp(-4.5)
    gaps = (2 / 5 - of_each, of_each - 1 / 5, of_each, 2 / 5 - of_none)
    assert found.variation == pytest.approx(sum(gaps) / 2)


def test_nothing_near() -> None:
    found = mode_coverage(torch.full((7, 2), 100.0), CENTRES, sigma=0.5)
    assert found == (0, 0.0, [0, 0, 0], pytest.approx(1 - math.exp(-4.5)))


@pytest.mark.parametrize("shape", ["ring8", "grid25", "mixture9", "mixture25"])
def test_a_mixture_s_own_points(shape: str) -> None:
    """All modes, and 1 - exp(-9/2) of the points, within four standard errors."""
    rows = 20_000
    config = points.Config.model_validate({"shape": shape, "rows": rows, "validation": 0, "test": 0, "seed": 0})
    modes = points.modes(config)
    assert modes is not None
    drawn = torch.from_numpy(next(points.read(Path("unused"), config)).images).flatten(1)
    found = mode_coverage(drawn, torch.from_numpy(modes.centres), modes.sigma)
    share = 1 - math.exp(-4.5)
    assert found.covered == len(modes.centres)
    assert found.high_quality == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / rows))
    assert sum(found.counts) == round(found.high_quality * rows)
    assert found.variation < 2 * math.sqrt(len(found.counts) / rows)


def test_units_do_not_matter() -> None:
    seen = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    whole, scaled = mode_coverage(seen, CENTRES, sigma=0.5), mode_coverage(seen / 4, CENTRES / 4, sigma=0.125)
    assert whole == scaled
    assert 0 < whole.high_quality < 1


def test_classes() -> None:
    """|2/4 - 1/4| + |2/4 - 1/4| + 1/4 + 1/4, halved."""
    assert class_coverage([2, 2, 0, 0]) == (2, pytest.approx(0.5))
    assert class_coverage([3, 3, 3]) == (3, pytest.approx(0))
    assert class_coverage([7, 0], reference=[0, 0.2]) == (1, pytest.approx(1))
    assert class_coverage([6, 2], reference=[30, 10]) == (2, pytest.approx(0))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="points: 0 samples"):
        mode_coverage(torch.empty(0, 2), CENTRES, 0.5)
    with pytest.raises(InputError, match="points: row 1 is not finite"):
        mode_coverage(torch.tensor([[0.0, 0.0], [0.0, float("nan")]]), CENTRES, 0.5)
    with pytest.raises(InputError, match="points: width 3, the centres have 2"):
        mode_coverage(torch.zeros(4, 3), CENTRES, 0.5)
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="sigma"):
            mode_coverage(torch.zeros(4, 2), CENTRES, sigma)
    for counts, reference in (([], None), ([0, 0], None), ([2, -1], None), ([1, 2], [1.0]), ([1, 2], [0.0, 0.0])):
        with pytest.raises(InputError):
            class_coverage(counts, reference)
