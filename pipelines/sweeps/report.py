"""What a sweep leaves in its folder: tables, the first point with the command that adopts it, and figures."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gen.config.file import read_params
from gen.config.params import flat
from gen.config.sweep import Sweep, Value, label
from gen.errors import InputError
from pipelines.reports.tables import mean_sd, number
from pipelines.sweeps.figures import write_figures
from pipelines.sweeps.table import SHORT, Table
from pipelines.sweeps.verdict import Winner, edges, not_told_apart, spread

ABOUT = """\
# optimistic: the best evaluation of each trial, on the validation split, of the best point of all: chance helped it.
# test: the same metric of its models, taken once more, against the test split.
# floor: the same metric of real data that are held out, as if a model had drawn them.
"""


def check_report(name: str, table: Table) -> None:
    """There is something to report. Raises InputError when all trials diverged, or none has a value of the metric."""
    trials = table.trials()
    if (ends := set(trials["outcome"])) <= {"diverged", "failed"}:
        message = f"all {len(trials)} trials {' or '.join(sorted(ends))}"
        raise InputError(f"sweeps.{name}: {message}; MLflow has their losses (make ui)")
    if trials["best"].isna().all():
        known = sorted(column for column in table.results().columns if "/" in column)
        raise InputError(f"sweeps.{name}.metric: no trial has {table.sweep.metric}; they report {', '.join(known)}")


def write_report(name: str, params: Path, table: Table, verdict: Winner, folder: Path) -> dict[str, float]:
    """Write all of it, of a sweep that `check_report` has nothing against. Returns the first point's numbers."""
    results, trials, points = table.results(), table.trials(), table.points()
    results.to_parquet(folder / "results.parquet", index=False)
    results.to_csv(folder / "results.csv", index=False)
    trials.to_csv(folder / "trials.csv", index=False)
    first = points.iloc[0]
    numbers = {"trials": float(len(trials)), **spread("best/optimistic", float(first["mean"]), float(first["sd"]))}
    numbers |= {f"best/{what}": float(first[what]) for what in ("steps", "seeds", *SHORT)} | verdict.numbers()
    written = {key.replace("/", "_"): value for key, value in numbers.items()}
    (folder / "metrics.json").write_text(json.dumps(written, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "best.yaml").write_text(ABOUT + best_point(table, params, points, verdict), encoding="utf-8")
    figures = folder / "figures"
    figures.mkdir()
    write_figures(name, table, verdict.floor, figures)
    return numbers


def adopt(sweep: Sweep, params: Path, values: dict[str, Value]) -> str:
    """The command that trains the run at a point; what all trials had different from the run stays as it is.

    DVC changes a key that the params file has; one that the run leaves to its default is added, which takes a +.
    """
    written = flat(read_params(params)["runs"][sweep.run])
    prefix = "" if params == Path("params.yaml") else f"{params}:"
    stages = "" if params.parent == Path() else f"{params.parent}/dvc.yaml:"
    signs = {path: "" if path in written else "+" for path in values}
    sets = " ".join(f"-S {prefix}{signs[path]}runs.{sweep.run}.{path}={json.dumps(v)}" for path, v in values.items())
    return f"dvc exp run {sets} {stages}train@{sweep.run}"


def best_point(table: Table, params: Path, points: pd.DataFrame, verdict: Winner) -> str:
    """best.yaml: the values by path, how good they are and how surely, how far it was trained, and how to adopt it."""
    sweep, first, floor = table.sweep, points.iloc[0], verdict.floor
    values = table.values(int(first["point"]))
    message = {
        "run": sweep.run,
        "values": values,
        "metric": sweep.metric,
        "mode": sweep.mode,
        "optimistic": described(float(first["mean"]), float(first["sd"])),
        "test": described(*mean_sd(verdict.anew)) if verdict.anew else None,
        "floor": None if floor is None else floor._asdict(),
        "not_told_apart_from": [table.values(point) for point in not_told_apart(points, floor, sweep.mode)],
        "at_the_edge": edges(table, int(first["point"])),
        "seeds": int(first["seeds"]),
        "steps_reached": int(first["steps"]),
        "steps": sweep.steps,
        **{what: int(first[what]) for what in SHORT},
        "found_with": dict(sweep.changes),
        "adopt": adopt(sweep, params, values),
    }
    return yaml.safe_dump(message, sort_keys=False, width=1000)


def described(mean: float, sd: float) -> dict[str, float | None]:
    """A number and its spread over seeds, if it has one."""
    return {"mean": mean, "sd": sd if math.isfinite(sd) else None}


def text(name: str, params: Path, table: Table, verdict: Winner) -> str:
    """The points for people, the best first, how surely it is the best, and what to do next."""
    sweep, points, floor = table.sweep, table.points(), verdict.floor
    lines = [f"{name}: {sweep.metric}, best of each trial, {'small' if sweep.mode == 'min' else 'large'} is good"]
    for _, row in points.head(12).iterrows():
        value = number(row["mean"], row["sd"]) if pd.notna(row["mean"]) else "none"
        lines.append(f"  {label(table.values(int(row['point']))):32} {value:24} {notes(sweep, row)}".rstrip())
    if floor is not None:
        real = f"{floor.draws} sets of {floor.samples:,} held-out real ones"
        lines.append(f"  {real:32} {number(floor.mean, math.nan if floor.sd is None else floor.sd)}")
    first = int(points["point"].iloc[0])
    if verdict.anew:
        lines.append(f"the first anew, against the test split: {number(*mean_sd(verdict.anew))}")
    if level := not_told_apart(points, floor, sweep.mode):
        lines.append(f"not told apart from: {', '.join(label(table.values(point)) for point in level)}")
    if ends := edges(table, first):
        lines.append(f"at the edge: {', '.join(ends)}; better ones may lie beyond")
    lines.append(f"adopt the {'first' if level else 'best'}: {adopt(sweep, params, table.values(first))}")
    lines += [f"found with {label(sweep.changes)}, which the command leaves as the run has it"] if sweep.changes else []
    return "\n".join(lines)


def notes(sweep: Sweep, row: "pd.Series[Any]") -> str:
    """How a point's trials fell short, and how far those went that its mean is of."""
    found = [f"{int(row[what])} {what}" for what in SHORT if row[what]]
    early = 0 < row["steps"] < sweep.steps
    return ", ".join([*found, *([f"after {int(row['steps']):,} of {sweep.steps:,} steps"] if early else [])])
