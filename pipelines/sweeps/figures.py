"""Figures of a sweep: its metric by what is swept and over time, and how several hyperparameters act together."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gen.config.sweep import Axis
from gen.figures.panels import figure_png
from gen.training.score_floor import Floor
from pipelines.reports.tables import mean_sd
from pipelines.sweeps.search import distribution
from pipelines.sweeps.table import Table

DRAWABLE = 1e300
"""Matplotlib's margins around a larger number overflow."""


def write_figures(name: str, table: Table, floor: Floor | None, folder: Path) -> None:
    """All of them, as PNG files in `folder`."""
    (folder / "metric.png").write_bytes(metric_figure(name, table, floor))
    (folder / "best_so_far.png").write_bytes(best_so_far(name, table, floor))
    if len(table.sweep.space) > 1:
        joint_figures(name, table, folder)


def metric_figure(name: str, table: Table, floor: Floor | None) -> bytes:
    """The metric against each swept value: trials as dots, and where one thing is swept mean ± sd over the seeds."""
    sweep, trials = table.sweep, table.trials()
    trials["best"] = drawable(trials["best"])
    axes_of = list(sweep.space.items())
    figure = Figure(figsize=(4.6 * len(axes_of) + 0.6, 3.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(axes_of), sharey=True))
    for panel, (path, axis) in zip(panels, axes_of, strict=True):
        values = trials["point"].map(lambda point, path=path: str(table.values(point)[path]))
        draw_axis(panel, axis, values, trials, averaged=sweep.seeds > 1 and len(axes_of) == 1)
        draw_floor(panel, floor)
        panel.legend(*unique_labels(panel), fontsize=7)
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
    figure.suptitle(f"{name}: {sweep.run}, {trials['point'].nunique()} points, {seeds}, {steps}{notes}", fontsize=10)
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
        by = trials[whole].dropna(subset="best").assign(place=places).groupby("place")["best"]
        spread = drawable([mean_sd(list(values)) for _, values in by]).reshape(-1, 2)
        line = "-" if axis.values is not None else "none"  # drawn values of a range have no neighbours to be joined to
        panel.errorbar(
            np.array(list(by.groups), dtype=float),
            spread[:, 0],
            yerr=np.nan_to_num(spread[:, 1]),
            color="C1",
            ls=line,
            marker="_",
            capsize=4,
            zorder=2,
            label="mean ± sd",
        )
    if axis.values is not None and numeric and len(axis.values) <= 10:
        ticks = sorted(float(value) for value in axis.values if isinstance(value, int | float))
        panel.set_xticks(ticks, [f"{place:g}" for place in ticks])
        panel.minorticks_off()
    for place in places[trials["outcome"] == "diverged"].unique():
        panel.axvline(place, color="C3", alpha=0.4, linestyle=":", label="diverged")


def draw_floor(panel: Axes, floor: Floor | None) -> None:
    """What real data have of the metric, as a band across the panel."""
    if floor is not None:
        mean, sd = (float(one) for one in drawable([floor.mean, floor.sd or 0.0]))
        panel.axhspan(mean - sd, mean + sd, color="C2", alpha=0.25, lw=0, zorder=0, label="real data: mean ± sd")
        panel.axhline(mean, color="C2", lw=0.8, zorder=0)


def drawable(values: Any) -> Any:
    """The same numbers, no larger than can be drawn, and zero where they are next to it."""
    small = np.clip(np.asarray(values, dtype=float), -DRAWABLE, DRAWABLE)
    return np.where(np.abs(small) < 1 / DRAWABLE, 0.0, small)


def unique_labels(panel: Axes) -> tuple[list[Any], list[str]]:
    """Each label of the legend once."""
    handles, labels = panel.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    return list(once.values()), list(once)


def best_so_far(name: str, table: Table, floor: Floor | None) -> bytes:
    """The best value so far, of trials that did not diverge, against the time that all trials were trained."""
    minutes: list[float] = []
    best: list[float] = []
    spent = 0.0
    choose = min if table.sweep.mode == "min" else max
    for identifier, more, value in table.told:
        spent += more / 60
        if value is not None and table.records[identifier].best is not None:
            minutes.append(spent)
            best.append(choose(best[-1], value) if best else value)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.step(minutes, drawable(best), where="post", label="trials")
    draw_floor(axes, floor)
    axes.legend(fontsize=7)
    axes.set(
        xlabel="training of all trials, minutes",
        ylabel=f"best {table.sweep.metric.replace('_', ' ')} so far",
        title=name,
    )
    axes.grid(alpha=0.3)
    return figure_png(figure, dpi=110)


def joint_figures(name: str, table: Table, folder: Path) -> None:
    """Parallel coordinates of all trials, and what sets the best quarter of them apart from all of them.

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
            target = f"{sweep.metric}: best quarter against all"
            axes = optuna.visualization.matplotlib.plot_param_importances(study, quarter, target_name=target)
            save(axes, folder / "importance.png")


def save(axes: Axes, path: Path) -> None:
    """Write the figure of what Optuna drew."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(8, 4.5)
    figure.savefig(path, dpi=110, bbox_inches="tight")  # its long names lie outside otherwise
    plt.close(figure)
