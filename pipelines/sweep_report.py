"""What a sweep leaves in its folder: tables, the best point with the command that adopts it, and figures."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import yaml
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gen.errors import InputError
from gen.sheets import figure_png
from gen.sweep import Axis, Sweep, Value, label
from pipelines.search import distribution
from pipelines.sweep_table import Table
from pipelines.tables import number


def write_report(name: str, params: Path, table: Table, folder: Path) -> dict[str, float]:
    """Write all of it. Returns the best point's numbers.

    Raises:
        InputError: all trials diverged, or none has a value of the metric.
    """
    sweep = table.sweep
    results, trials, points = table.results(), table.trials(), table.points()
    if (ends := set(trials["outcome"])) <= {"diverged", "failed"}:
        said = f"all {len(trials)} trials {' or '.join(sorted(ends))}"
        raise InputError(f"sweeps.{name}: {said}; MLflow has their losses (make ui)")
    if trials["best"].isna().all():
        known = sorted(column for column in results.columns if "/" in column)
        raise InputError(f"sweeps.{name}.metric: no trial has {sweep.metric}; they report {', '.join(known)}")
    results.to_parquet(folder / "results.parquet", index=False)
    results.to_csv(folder / "results.csv", index=False)
    trials.to_csv(folder / "trials.csv", index=False)
    best = points.iloc[0]
    numbers = {"best/mean": float(best["mean"]), "trials": float(len(trials))}
    numbers |= {} if pd.isna(best["sd"]) else {"best/sd": float(best["sd"])}
    (folder / "metrics.json").write_text(
        json.dumps({key.replace("/", "_"): v for key, v in numbers.items()}) + "\n", encoding="utf-8"
    )
    (folder / "best.yaml").write_text(best_point(table, params, best), encoding="utf-8")
    figures = folder / "figures"
    figures.mkdir()
    (figures / "metric.png").write_bytes(metric_figure(name, table, trials, points))
    (figures / "best_so_far.png").write_bytes(best_so_far(name, table))
    if len(sweep.space) > 1:
        joint_figures(name, table, figures)
    return numbers


def adopt(sweep: Sweep, params: Path, values: dict[str, Value]) -> str:
    """The command that trains the run at a point; what all trials had different from the run stays as it is."""
    prefix = "" if params == Path("params.yaml") else f"{params}:"
    stages = "" if params.parent == Path() else f"{params.parent}/dvc.yaml:"
    sets = " ".join(f"-S {prefix}runs.{sweep.run}.{path}={json.dumps(v)}" for path, v in values.items())
    return f"dvc exp run {sets} {stages}train@{sweep.run}"


def best_point(table: Table, params: Path, best: "pd.Series[Any]") -> str:
    """best.yaml: the values by path, how good they are, and how to adopt them."""
    sweep, values = table.sweep, table.values(int(best["point"]))
    said = {
        "run": sweep.run,
        "values": values,
        "metric": sweep.metric,
        "mode": sweep.mode,
        "mean": float(best["mean"]),
        "sd": None if pd.isna(best["sd"]) else float(best["sd"]),
        "seeds": int(best["seeds"]),
        "steps": sweep.steps,
        "found_with": dict(sweep.changes),
        "adopt": adopt(sweep, params, values),
    }
    return yaml.safe_dump(said, sort_keys=False, width=1000)


def text(name: str, params: Path, table: Table) -> str:
    """The points for people, the best first, and what to do next."""
    sweep, points = table.sweep, table.points()
    lines = [f"{name}: {sweep.metric}, best of each trial, {'small' if sweep.mode == 'min' else 'large'} is good"]
    for _, row in points.head(12).iterrows():
        value = number(row["mean"], row["sd"]) if pd.notna(row["mean"]) else "none"
        notes = [f"{int(row[what])} {what}" for what in ("diverged", "failed", "pruned") if row[what]]
        lines.append(f"  {label(table.values(int(row['point']))):32} {value:24} {', '.join(notes)}".rstrip())
    lines += [f"adopt the best: {adopt(sweep, params, table.values(int(points['point'].iloc[0])))}"]
    lines += [f"found with {label(sweep.changes)}, which the command leaves as the run has it"] if sweep.changes else []
    return "\n".join(lines)


def metric_figure(name: str, table: Table, trials: pd.DataFrame, points: pd.DataFrame) -> bytes:
    """The metric against each swept value: trials as dots, and where one thing is swept mean ± sd over the seeds."""
    sweep = table.sweep
    axes_of = list(sweep.space.items())
    figure = Figure(figsize=(4.6 * len(axes_of) + 0.6, 3.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(axes_of), sharey=True))
    for panel, (path, axis) in zip(panels, axes_of, strict=True):
        values = trials["point"].map(lambda point, path=path: str(table.values(point)[path]))
        draw_axis(panel, axis, values, trials, averaged=sweep.seeds > 1 and len(axes_of) == 1)
        panel.set_xlabel(path)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(
        f"{sweep.metric.replace('_', ' ')}\n({'lower' if sweep.mode == 'min' else 'higher'} is better)"
    )
    found = trials["best"].dropna()
    if (found > 0).all() and found.max() > 20 * found.min():
        panels[0].set_yscale("log")
    diverged = int((trials["outcome"] == "diverged").sum())
    seeds, steps = f"{sweep.seeds} seed{'s' if sweep.seeds > 1 else ''}", f"{sweep.steps:,} steps"
    notes = f", {diverged} diverged" if diverged else ""
    figure.suptitle(f"{name}: {sweep.run}, {len(points)} points, {seeds}, {steps}{notes}", fontsize=10)
    return figure_png(figure, dpi=110)


def draw_axis(panel: Axes, axis: Axis, values: "pd.Series[str]", trials: pd.DataFrame, averaged: bool) -> None:
    """One panel of the trials' values: what is no number stands in their order, what is pruned is hollow."""
    numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in axis.candidates)
    if numeric:
        places = values.astype(float)
        panel.set_xscale("log" if axis.log else "linear")
    else:
        order = [str(one) for one in axis.candidates]
        places = values.map(order.index).astype(float)
        panel.set_xticks(range(len(order)), order)
    whole = trials["outcome"] != "pruned"
    panel.scatter(places[whole], trials["best"][whole], s=18, alpha=0.6, zorder=3, label="trial")
    if not whole.all():
        panel.scatter(
            places[~whole], trials["best"][~whole], s=18, alpha=0.6, facecolors="none", edgecolors="C0", label="pruned"
        )
    if averaged:
        by = trials.assign(place=places).groupby("place")["best"]
        mean, sd = by.mean(), by.std().fillna(0.0)
        line = "-" if axis.values is not None else "none"  # drawn values of a range have no neighbours to be joined to
        panel.errorbar(
            mean.index, mean, yerr=sd, color="C1", ls=line, marker="_", capsize=4, zorder=2, label="mean ± sd"
        )
    if axis.values is not None and numeric and len(axis.values) <= 10:
        ticks = sorted(float(value) for value in axis.values if isinstance(value, int | float))
        panel.set_xticks(ticks, [f"{place:g}" for place in ticks])
        panel.minorticks_off()
    for place in places[trials["outcome"] == "diverged"].unique():
        panel.axvline(place, color="C3", alpha=0.4, linestyle=":", label="diverged")
    panel.legend(*unique_labels(panel), fontsize=7)


def unique_labels(panel: Axes) -> tuple[list[Any], list[str]]:
    """Each label of the legend once."""
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    return list(once.values()), list(once)


def best_so_far(name: str, table: Table) -> bytes:
    """The best value so far, of trials that did not diverge, against the time that all trials were trained."""
    minutes: list[float] = []
    best: list[float] = []
    spent = 0.0
    choose = min if table.sweep.mode == "min" else max
    for identifier, more, value in table.told:
        spent += more / 60
        if value is not None and table.records[identifier].outcome != "diverged":
            minutes.append(spent)
            best.append(choose(best[-1], value) if best else value)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.step(minutes, best, where="post")
    axes.set(
        xlabel="training of all trials, minutes",
        ylabel=f"best {table.sweep.metric.replace('_', ' ')} so far",
        title=name,
    )
    axes.grid(alpha=0.3)
    return figure_png(figure, dpi=110)


def joint_figures(name: str, table: Table, folder: Path) -> None:
    """Parallel coordinates of all trials, and what sets the best quarter of them apart from the others.

    By PED-ANOVA (Watanabe, Bansal & Hutter 2023, arXiv:2304.10255).
    """
    sweep = table.sweep
    study = optuna.create_study(direction="minimize" if sweep.mode == "min" else "maximize", study_name=name)
    distributions = {path: distribution(axis) for path, axis in sweep.space.items()}
    for record in table.records.values():
        if record.best is not None:
            study.add_trial(
                optuna.trial.create_trial(params=record.trial.values, distributions=distributions, value=record.best[1])
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its plots may still change
        save(
            optuna.visualization.matplotlib.plot_parallel_coordinate(study, target_name=sweep.metric),
            folder / "parallel.png",
        )
        if len(study.trials) > 1:
            quarter = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
            target = f"{sweep.metric} among the best quarter"
            axes = optuna.visualization.matplotlib.plot_param_importances(study, quarter, target_name=target)
            save(axes, folder / "importance.png")


def save(axes: Axes, path: Path) -> None:
    """Write the figure of what Optuna drew."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(8, 4.5)
    figure.savefig(path, dpi=110, bbox_inches="tight")  # its long names lie outside otherwise
    plt.close(figure)
