"""Validation scores and losses of runs against their steps: what train@ wrote, and a picture of the scores."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gen.config.extractors import ROUNDED
from gen.errors import InputError
from gen.figures.panels import figure_png
from pipelines.reports.lead import ranked_by
from pipelines.reports.results import Number

Curves = Mapping[str, pd.DataFrame]
"""By name; columns step and value."""


def read_curves(model: Path, run: str) -> Curves:
    """What train@ wrote of a training of `run`. Raises InputError when a file is damaged."""
    found = {}
    for path in sorted((model / "curves").glob("*.csv")):
        try:
            table = pd.read_csv(path)
            found[path.stem] = pd.DataFrame(
                {"step": table["step"].astype(int), "value": table[path.stem].astype(float)}
            )
            if not np.isfinite(found[path.stem]["value"]).all():
                raise ValueError("not finite")
        except (ValueError, KeyError):
            raise InputError(f"{path}: damaged; run dvc repro -s -f train@{run}") from None
    return found


def picture(curves: Mapping[str, Curves], floor: Mapping[str, Number]) -> bytes:
    """The score of each run's checkpoints against its steps, above the floor: the score of real data, ± its sd."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    name = ""
    for run, told in curves.items():
        if score := ranked_by(told):
            name = score
            axes.plot(told[name]["step"], told[name]["value"], marker=".", label=run)
    if real := floor.get(name.removesuffix(ROUNDED)):
        axes.axhspan(real.mean - real.sd_draws, real.mean + real.sd_draws, color="grey", alpha=0.3, label="real data")
    axes.set(xlabel="generator steps", ylabel=f"{name.replace('_', ' ')}, validation split", yscale="log")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:  # none where no run was scored
        axes.legend(fontsize=8)
    return figure_png(figure, dpi=100)
