"""What a sweep's points may be called: which the first is not told apart from, and where it stands at an edge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gen.score_floor import Floor
from pipelines.sweep_table import Table
from pipelines.tables import mean_sd

ERRORS = 2.0
"""Standard errors of a difference that a lead has to exceed."""


@dataclass(frozen=True)
class Verdict:
    """What is known of the first point besides its place."""

    floor: Floor | None = None
    """Of the sweep's metric."""
    anew: Sequence[float] = ()
    """The metric of its models against the test split, taken once more."""

    def numbers(self) -> dict[str, float]:
        """By name, for MLflow and `dvc metrics`."""
        found = spread("best/test", *mean_sd(self.anew)) if self.anew else {}
        if self.floor is not None:
            found |= spread("floor", self.floor.mean, math.nan if self.floor.sd is None else self.floor.sd)
        return found


def spread(name: str, mean: float, sd: float) -> dict[str, float]:
    """`name_mean` and `name_sd`, which is left out where there is none."""
    return {f"{name}_mean": mean} | ({f"{name}_sd": sd} if math.isfinite(sd) else {})


def not_told_apart(points: pd.DataFrame, floor: Floor | None) -> list[int]:
    """The points, as far trained as the first one, over which it has no lead that its metric could show.

    A lead is none within two standard errors of the difference of two means, where a point's sd is over its seeds, but
    never below that of the floor; nor where both are within the floor's mean and sd. With one seed and no floor nothing
    is known of the noise, and nothing told apart.
    """
    first = points.iloc[0]
    fair = (points["short"] == first["short"]) & (points["steps"] == first["steps"]) & points["mean"].notna()
    least = 0.0 if floor is None or floor.sd is None else floor.sd

    def error(point: "pd.Series[Any]") -> float:
        """The standard error of its mean."""
        sd = float(point["sd"])
        if math.isnan(sd) and floor is None:
            return math.inf
        return max(least, 0.0 if math.isnan(sd) else sd) / math.sqrt(point["seeds"])

    found = []
    for _, other in points[fair].iloc[1:].iterrows():
        lead = abs(float(other["mean"]) - float(first["mean"]))
        level = floor is not None and all(abs(float(one["mean"]) - floor.mean) <= least for one in (first, other))
        if level or lead <= ERRORS * math.hypot(error(first), error(other)):
            found.append(int(other["point"]))
    return found


def edges(table: Table, point: int) -> list[str]:
    """Where a point is at the end of what was tried, beyond which better ones may lie."""
    ends = {path: axis.edge(table.values(point)[path]) for path, axis in table.sweep.space.items()}
    return [f"{path}={table.values(point)[path]} is the {end} tried" for path, end in ends.items() if end]
