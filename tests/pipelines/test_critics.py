"""The stage critics@<group> on two small WGANs: one clipped to nothing, one with the penalty."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gen import export
from gen.config.params import Run
from gen.data.dataset import Dataset
from gen.errors import InputError
from gen.family import DataSpec
from gen.training.train import train
from pipelines.reports.model_folder import write_curves
from pipelines.stages.critics import look
from tests.families.small import POINTS
from tests.training.test_loop import Watcher
from tests.training.tiny import logging, prepared, run_of


def trained(run: Run, name: str, dataset: Dataset) -> None:
    """A model as the stage train@ leaves it, as far as this stage reads it."""
    watcher = Watcher()
    family = train(run, dataset, logging=logging(), callback=watcher)
    folder = Path("models/toys") / name
    export.save(folder / "last", family, run.family, run.model, DataSpec(dataset.shape))
    write_curves(folder / "curves", [{"step": step, **values} for step, values in watcher.message])


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(tmp_path)
    return prepared(tmp_path / "data", "ring8")


def test_gradients_surfaces_and_quotients(ring: Dataset, tmp_path: Path) -> None:
    runs = {
        "clipped": run_of("wgan", POINTS, steps=50, depth=3, norm="none", clip=1e-4),
        "penalised": run_of("wgan_gp", POINTS, steps=50, depth=3),
    }
    for name, run in runs.items():
        trained(run, name, ring)
    out = tmp_path / "out"
    out.mkdir()
    table = look("toys", runs, out)
    assert list(table.columns) == ["clipped", "penalised"]
    assert table["clipped"].iloc[0] < 1e-3 * table["clipped"].iloc[-1], "clipped to nothing, gradients vanish"
    assert 0.01 < table["penalised"].iloc[0] / table["penalised"].iloc[-1] < 100
    assert pd.read_csv(out / "gradients.csv", index_col="layer").shape == table.shape
    numbers = json.loads((out / "metrics.json").read_text())
    assert numbers["clipped"]["lipschitz_quotient"] < numbers["penalised"]["lipschitz_quotient"]
    for name in ("gradients", "lipschitz", "surfaces"):
        assert np.asarray(Image.open(out / "figures" / f"{name}.png").convert("L")).std() > 1


def test_a_group_without_critics_is_one_line(ring: Dataset, tmp_path: Path) -> None:
    run = run_of("gan", POINTS, steps=2)
    trained(run, "ring", ring)
    with pytest.raises(InputError, match="group 'toys': no run has a critic; wgan and wgan_gp have"):
        look("toys", {"ring": run}, tmp_path)
