"""Stage critics@<group>: what the critics of a group's WGANs have become, into critics/<group>.

gradients.csv     mean norm of the critic's gradient by layer, a column for each run
metrics.json      the gradient's norm at the first layer over that at the last, and the last quotient, for `dvc metrics`
figures/          gradients.png: the norms on a log axis; lipschitz.png: the Lipschitz quotient of real and generated
                  samples over training; surfaces.png: each critic's value over the plane, for points
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from gen import export as exporting
from gen.config.load import load_params
from gen.config.params import Run
from gen.data.dataset import open_dataset
from gen.data.folder import lock, whole
from gen.errors import InputError
from gen.evaluation.real_images import images
from gen.extractors import AT_ONCE
from gen.figures.panels import figure_png
from gen.metrics.critic import gradient_norms, value_surface
from gen.settings import nearest

HOME = Path("critics")
REACH, SIDE, SHOWN = 1.2, 120, 1000


def critics_of(group: str, runs: Mapping[str, Run]) -> dict[str, nn.Module]:
    """The critics of the last checkpoints of a group's runs, those that have one. Raises InputError when none has."""
    models = {name: exporting.load(Path("models") / group / name / "last") for name in runs}
    parts = {name: dict(model.named_children()) for name, model in models.items()}
    found = {name: networks["critic"] for name, networks in parts.items() if "critic" in networks}
    if not found:
        raise InputError(f"group {group!r}: no run has a critic; wgan and wgan_gp have")
    return found


def gradients_figure(table: pd.DataFrame) -> bytes:
    """Norms by layer, on a log axis; what has vanished altogether is left out."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name in table.columns:
        norms = table[name].where(table[name] > 0)
        axes.plot(table.index, norms, marker="o", label=name)
    axes.set(xlabel="layer, from the data to the value", ylabel="mean norm of the gradient", yscale="log")
    axes.set_xticks(table.index)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure_png(figure, dpi=110)


def surfaces_figure(critics: Mapping[str, nn.Module], points: torch.Tensor) -> bytes:
    """Level lines of each critic, with the data; dark is high, which is where the critic sees real samples."""
    figure = Figure(figsize=(3.1 * len(critics), 3.3), layout="constrained")
    line = np.linspace(-REACH, REACH, SIDE)
    for axes, (name, critic) in zip(np.atleast_1d(figure.subplots(1, len(critics))), critics.items(), strict=True):
        values = value_surface(critic, REACH, SIDE).numpy()
        axes.contourf(line, line, values, levels=24, cmap="Blues")
        axes.scatter(*points[:SHOWN].flatten(1).T, s=1, color="C1", alpha=0.5)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.set_title(f"{name}\n{values.min():.3g} to {values.max():.3g}", fontsize=8)
    return figure_png(figure, dpi=110)


def quotients(group: str, runs: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The quotient of each run against its steps."""
    paths = {name: Path("models") / group / name / "curves" / "lipschitz_quotient.csv" for name in runs}
    return {name: pd.read_csv(path) for name, path in paths.items() if path.exists()}


def quotients_figure(curves: Mapping[str, pd.DataFrame]) -> bytes:
    """All of them, on a log axis."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        positive = curve["lipschitz_quotient"].where(curve["lipschitz_quotient"] > 0)
        axes.plot(curve["step"], positive, label=name)
    axes.set(xlabel="generator steps", ylabel="|D(x) - D(G(z))| / |x - G(z)|, mean", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure_png(figure, dpi=110)


def look(group: str, runs: Mapping[str, Run], out: Path) -> pd.DataFrame:
    """Write all of it into `out`. Returns the norms by layer.

    Raises:
        InputError: no run of the group has a critic, or one has not been trained.
    """
    critics = critics_of(group, runs)
    run = next(iter(runs.values()))
    held = torch.cat(list(images(open_dataset(Path("data/prepared") / run.dataset), "test", run.resolution)))
    norms = {name: gradient_norms(critic, held[:AT_ONCE]).tolist() for name, critic in critics.items()}
    table = pd.DataFrame({name: pd.Series(found) for name, found in norms.items()})
    table.index = pd.Index(range(1, len(table) + 1), name="layer")
    table.to_csv(out / "gradients.csv")
    figures = out / "figures"
    figures.mkdir()
    (figures / "gradients.png").write_bytes(gradients_figure(table))
    curves = quotients(group, list(critics))
    (figures / "lipschitz.png").write_bytes(quotients_figure(curves))
    if held.shape[1:] == (2, 1, 1):
        (figures / "surfaces.png").write_bytes(surfaces_figure(critics, held))
    numbers = {
        name: {
            "first_over_last": found[0] / found[-1] if found[-1] else None,
            "lipschitz_quotient": float(curves[name]["lipschitz_quotient"].iloc[-1]) if name in curves else None,
        }
        for name, found in norms.items()
    }
    (out / "metrics.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return table


def main(group: str, path: Path) -> None:
    """Look into the critics of `group` in the params file at `path`."""
    params = load_params(path)
    runs = {name: run for name, run in params.runs.items() if run.group == group}
    if not runs:
        groups = {run.group for run in params.runs.values()}
        raise InputError(f"{path}: no run is of group {group!r}; {nearest(group, groups)}")
    out = HOME / group
    with lock(out), whole(out) as partial:
        table = look(group, runs, partial)
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.float_format", "{:.3g}".format):
        print(table.to_string())
    print(f"figures: {out / 'figures'}")
