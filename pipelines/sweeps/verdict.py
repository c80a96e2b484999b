"""What a sweep's points may be called: which the first is not told apart from, and where it stands at an edge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from gen.training.score_floor import Floor
from pipelines.reports.lead import Standing, apart
from pipelines.reports.tables import mean_sd
from pipelines.sweeps.table import Table


@dataclass(frozen=True)
class Winner:
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


def not_told_apart(points: pd.DataFrame, floor: Floor | None, mode: str) -> list[int]:
    """The points, as far trained as the first one, over which it has no lead by the rule of comparisons."""
    sign = 1 if mode == "min" else -1
    real = Standing(sign * floor.mean, floor.sd or 0.0) if floor else None
    first = points.iloc[0]
    fair = (points["short"] == first["short"]) & (points["steps"] == first["steps"]) & points["mean"].notna()
    best = Standing(sign * float(first["mean"]), float(first["sd"]))
    return [
        int(other["point"])
        for _, other in points[fair].iloc[1:].iterrows()
        if not apart(best, Standing(sign * float(other["mean"]), float(other["sd"])), real)
    ]


def edges(table: Table, point: int) -> list[str]:
    """Where a point is at the end of what was tried, beyond which better ones may lie."""
    ends = {path: axis.edge(table.values(point)[path]) for path, axis in table.sweep.space.items()}
    return [f"{path}={table.values(point)[path]} is the {end} tried" for path, end in ends.items() if end]
