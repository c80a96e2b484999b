"""What is known of a sweep's trials, while it runs and afterwards."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gen.config.sweep import Sweep
from pipelines.reports.tables import mean_sd
from pipelines.sweeps.search import Point, Trial

SHORT = ("diverged", "pruned", "failed")
"""How a trial can fall short of its last step."""


@dataclass
class Record:
    """One trial so far."""

    trial: Trial
    sweep: Sweep
    outcome: str = "running"
    """Or finished, pruned (ended early by the scheduler), diverged, failed."""
    reason: str = ""
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    """Numbers by name, for each step that was reported."""

    @property
    def name(self) -> str:
        """Its point and seed."""
        return f"{self.trial.point:04d}_{self.trial.seed}"

    @property
    def reached(self) -> int:
        """Its last step."""
        return max(self.rows, default=0)

    @property
    def gone(self) -> int:
        """How many of its steps need not be made any more."""
        return self.reached if self.outcome == "running" else self.sweep.steps

    @property
    def finite(self) -> bool:
        """Whether every evaluation of the metric is: a gradient may have no finite norm while all weights are."""
        return all(math.isfinite(row.get(self.sweep.metric, 0.0)) for row in self.rows.values())

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and value of its best evaluation.

        None of a trial that diverged or failed, was never evaluated, or has one that is not finite.
        """
        found = {step: row[self.sweep.metric] for step, row in self.rows.items() if self.sweep.metric in row}
        if self.outcome in ("diverged", "failed") or not found or not self.finite:
            return None
        step = (min if self.sweep.mode == "min" else max)(found, key=found.__getitem__)
        return step, found[step]


class Table:
    """The trials of a sweep in the order in which they began, by their identifiers."""

    def __init__(self, sweep: Sweep, first_seed: int = 0) -> None:
        """`first_seed` is the run's own, which a trial's seed is counted from."""
        self.sweep = sweep
        self.first_seed = first_seed
        self.records: dict[str, Record] = {}
        self.told: list[tuple[str, float, float | None]] = []
        """Every evaluation as it came: whose, after how many more seconds of training, and the metric."""

    def begin(self, identifier: str, trial: Trial) -> bool:
        """A trial begins, perhaps again after its process was lost. Returns whether it is the first time."""
        new = identifier not in self.records
        if new:
            self.records[identifier] = Record(trial, self.sweep)
        return new

    def add(self, identifier: str, step: int, values: Mapping[str, float]) -> bool:
        """An evaluation. Returns whether it is new: a trial that begins again tells of its first ones again."""
        record = self.records[identifier]
        if step in record.rows:
            return False
        before = record.rows[record.reached] if record.rows else {}
        seconds = values.get("seconds", 0.0) - before.get("seconds", 0.0)
        self.told.append((identifier, seconds, values.get(self.sweep.metric)))
        record.rows[step] = dict(values)
        return True

    def values(self, point: int) -> Point:
        """The values of a point, as they were chosen."""
        return next(record.trial.values for record in self.records.values() if record.trial.point == point)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(record.outcome != "running" for record in self.records.values())

    @property
    def best(self) -> Record | None:
        """The trial with the best evaluation so far, of those that were not ended early."""
        found = [record for record in self.records.values() if record.best is not None and record.outcome != "pruned"]
        choose = min if self.sweep.mode == "min" else max
        return choose(found, key=lambda record: record.best[1] if record.best else 0.0, default=None)

    @property
    def failed(self) -> list[str]:
        """Why trials could not be trained."""
        return [record.reason for record in self.records.values() if record.outcome == "failed"]

    def results(self) -> pd.DataFrame:
        """A row for each evaluation of each trial."""
        rows = [
            {**self._about(record), "step": step, **values}
            for record in self.records.values()
            for step, values in sorted(record.rows.items())
        ]
        return pd.DataFrame(rows)

    def trials(self) -> pd.DataFrame:
        """A row for each trial, with the best of its metric and the step of it."""
        rows = []
        for record in self.records.values():
            step, value = record.best or (None, None)
            seconds = record.rows[record.reached].get("seconds") if record.rows else None
            ended = {"steps": record.reached, "seconds": seconds, "best_step": step, "best": value}
            rows.append({**self._about(record), **ended})
        return pd.DataFrame(rows).sort_values(["point", "seed"], ignore_index=True)

    def counted(self, point: int) -> list[Record]:
        """The trials that a point's mean is of: those with a value, and of these the whole ones if there are any."""
        valued = [one for one in self.records.values() if one.trial.point == point and one.best is not None]
        return [one for one in valued if one.outcome != "pruned"] or valued

    def points(self) -> pd.DataFrame:
        """A row for each point, the best first: mean and sd over its seeds that count; one has no sd.

        Points all of whose trials were trained to their end come first: of others only what was good is known.
        """
        trials = self.trials()
        rows = []
        for number, group in ((int(group["point"].iloc[0]), group) for _, group in trials.groupby("point")):
            counted = self.counted(number)
            values = [record.best[1] for record in counted if record.best is not None]
            mean, sd = mean_sd(values) if values else (None, math.nan)
            outcomes = {what: int((group["outcome"] == what).sum()) for what in SHORT}
            rows.append(
                {
                    "point": number,
                    **{path: group[path].iloc[0] for path in self.sweep.space},
                    "mean": mean,
                    "sd": sd,
                    "seeds": len(values),
                    "steps": min((record.reached for record in counted), default=0),
                    **outcomes,
                    "short": sum(outcomes.values()),
                }
            )
        table = pd.DataFrame(rows)
        table["none"], table["early"] = table["mean"].isna(), table["steps"] < self.sweep.steps
        order, ascending = ["none", "early", "short", "mean"], [True, True, True, self.sweep.mode == "min"]
        return table.sort_values(order, ascending=ascending, ignore_index=True).drop(columns=["none", "early"])

    def _about(self, record: Record) -> dict[str, Any]:
        trial = record.trial
        return {
            "trial": record.name,
            "point": trial.point,
            "seed": self.first_seed + trial.seed,
            **trial.values,
            "outcome": record.outcome,
        }
