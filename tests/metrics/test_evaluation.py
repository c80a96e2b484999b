"""What is measured of a model where some number does not exist."""

from pathlib import Path

import pytest
import torch

from gen.metrics import evaluation
from gen.metrics.extractors import CoordinateExtractor, Extracted
from gen.metrics.moments import gather, moments
from gen.metrics.reference import Reference


@pytest.mark.parametrize(("new", "told"), [(30, True), (10, False)])
def test_memorisation_is_told_where_most_test_images_are_new(
    new: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, fresh, samples = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    test = torch.cat([train[new:], fresh[:new]])
    splits = {"train": train, "test": test}
    monkeypatch.setattr(Reference, "features", lambda reference, split: splits[split])
    described = {"extractor": "coordinates"}
    reference = Reference(Path(), described, CoordinateExtractor(), {"test": moments(gather(test))})
    found = [evaluation.measure(Extracted(rows, rows.new_zeros(40, 0)), reference, 0)[0] for rows in (samples, train)]
    for numbers in found:
        assert ("memorisation_coordinates" in numbers) == told
    measured = evaluation.over_seeds(found)
    assert {"fid_coordinates", "kid_coordinates", "recall_coordinates"} < measured.keys()
