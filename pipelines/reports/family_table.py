"""What each family of a comparison is and can do, beside what it costs: the table with which overviews of them close.

A cell that says yes or no is an ability that the family's code has (gen/abilities.py); the others were measured.
"""

import time
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gen import export
from gen.abilities import Completes, Conditional, Density, Features, Inference, Latent, Samples
from gen.conditions import draw, spread
from gen.family import Noise
from pipelines.reports.model_folder import Trained
from pipelines.reports.tables import number

DRAWN = 64
"""Samples whose drawing is timed."""
ABILITIES = {
    "samples": Samples,
    "latent vector": Latent,
    "encoder": Inference,
    "features": Features,
    "completes": Completes,
    "condition": Conditional,
}
LIKELIHOODS = ("nats_exact", "nats_bound_importance_weighted", "nats_bound", "nats_estimate")
"""The best of those that a run has is told."""


def family_table(group: str, runs: Sequence[str], models: Mapping[str, Trained], table: pd.DataFrame) -> pd.DataFrame:
    """A row for each run, as text.

    Args:
        group: of the runs.
        runs: in the order of the table.
        models: what they say of themselves.
        table: a row for each run, with the means of its metrics.
    """
    rows = {}
    for run in runs:
        folder = Path("models") / group / run
        model: Any = export.load(folder)
        metrics: "pd.Series[float]" = pd.Series(table.loc[run].to_dict(), dtype=float)
        rows[run] = {
            "family": models[run].family,
            **{name: "yes" if isinstance(model, ability) else "no" for name, ability in ABILITIES.items()},
            "p(x)": model.density if isinstance(model, Density) else "no",
            "-log p(x), nats": likelihood(metrics, getattr(model, "max_error", inf)),
            "independent pixels, nats": value(metrics, "nats_independent_pixels"),
            "linear probe": value(metrics, "linear_probe_accuracy"),
            "parameters": f"{sum(weights.numel() for weights in model.parameters()):,}",
            "samples a second": sampling_speed(model, folder),
            "trained in": "" if models[run].seconds is None else f"{models[run].seconds:,.0f} s",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def likelihood(metrics: "pd.Series[float]", max_error: float) -> str:
    """With its kind; of an estimate with its error, and whether that is more than it may be."""
    for name in LIKELIHOODS:
        if text := value(metrics, name):
            kind = name.removeprefix("nats_").replace("_", " ")
            if error := value(metrics, f"{name}_error"):
                text = f"{text} ± {error}"
                kind += "" if float(metrics[f"{name}_error"]) <= max_error else ", not converged"
            return f"{text} ({kind})"
    return ""


def value(metrics: "pd.Series[float]", name: str) -> str:
    """Three digits, or nothing where there is none."""
    return "" if pd.isna(metrics.get(name)) else number(float(metrics[name]), 0.0)


@torch.inference_mode()
def sampling_speed(model: object, folder: Path) -> str:
    """Samples a second, `DRAWN` at once on the CPU; nothing for a family that does not sample."""
    if not isinstance(model, Samples):
        return ""
    for rows in (1, DRAWN):  # the first one warms up
        condition = spread(export.conditions(folder), rows)
        begin = time.perf_counter()
        draw(model, Noise("speed", rows=rows), condition)
        seconds = time.perf_counter() - begin
    return number(DRAWN / seconds, 0.0)
