"""Stage compare@<group>: all evaluated runs of a group side by side, page and tables, into comparisons/<group>.

index.html      everything below in a single file
table.csv       a row for each run: of every metric the mean, and its spreads over draws and over trainings
table.md        the same for people
families.md     what each family can do, and what it costs
ranking.csv     the metric that ranks them, for `dvc plots`
metrics.json    the means, for `dvc metrics`
samples.png     samples of each run from the same noise
curves.png      the validation score of each run against its steps
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from gen import export as exporting
from gen.abilities import Samples
from gen.conditions import draw, spread
from gen.config.load import load_params
from gen.data.folder import lock, whole
from gen.errors import InputError
from gen.evaluators import number_of, numbers
from gen.families import family_module
from gen.family import Noise
from gen.figures.grid import grid
from gen.figures.panels import figure_png
from gen.settings import nearest
from pipelines.reports.curves import picture, read_curves
from pipelines.reports.family_table import family_table
from pipelines.reports.lead import ranked_by, verdict
from pipelines.reports.model_folder import Trained, read_model_json, trained, trainings
from pipelines.reports.page import Trainings, page
from pipelines.reports.page_experiments import Experiment, chosen
from pipelines.reports.page_table import TrainingRow
from pipelines.reports.results import Evaluation, Protocol, results
from pipelines.reports.tables import beginning, markdown, with_spreads
from pipelines.tracking.tracked import Tracked, curves_of, tracked

HOME = Path("comparisons")
SAMPLES, POINTS = 16, 2000
"""How many of a run are shown."""
EQUAL = {"dataset", "split", "real_images", "samples", "seeds"}
"""What two evaluations that are compared have in common, besides their extractors and references."""
FLOOR = "held-out real data"
"""The last row of the table."""


def measured(group: str, runs: Sequence[str]) -> tuple[pd.DataFrame, dict[str, Evaluation]]:
    """A row for each run, the best first, and how each was evaluated.

    Columns are <metric>, <metric>_sd_draws and <metric>_sd_trainings, which is NaN for a single training.

    Raises:
        InputError: a run has not been evaluated as it is now, or not by the protocol of the others.
    """
    rows: dict[str, dict[str, float]] = {}
    protocols: dict[str, Evaluation] = {}
    home = Path("evaluations") / group
    for run in runs:
        models, few_labels = trainings(trained(group, run)[0]), home / "svm" / run
        found, protocols[run] = results(home / run, f"evaluate@{run}", Evaluation, models)
        if (few_labels / "metrics.json").exists():
            found |= results(few_labels, f"svm@{run}", Protocol, models[:1])[0]
        rows[run] = {}
        for metric, one in found.items():
            spread = math.nan if one.sd_trainings is None else one.sd_trainings
            rows[run] |= {metric: one.mean, f"{metric}_sd_draws": one.sd_draws, f"{metric}_sd_trainings": spread}
        if shared(protocols[run]) != shared(protocols[runs[0]]):
            raise InputError(f"{home / run}: evaluated otherwise than {runs[0]}; run dvc repro evaluate@{run}")
    table = pd.DataFrame.from_dict(rows, orient="index")
    rank = ranked_by(table.columns)
    for run in runs:
        model = family_module(trained(group, run)[1].family).Model
        if rank not in rows[run] and (issubclass(model, Samples) or not rank):
            lacks = f"{home / run}/metrics.json: lacks {rank or 'what ranks runs'}"
            raise InputError(f"{lacks}; run dvc repro -s -f evaluate@{run}")
    return table.sort_values(rank), protocols


def shared(protocol: Evaluation) -> dict[str, Any]:
    """What has to be equal for two evaluations to be compared."""
    extractors = {name: about.reference_sha256 for name, about in protocol.extractors.items()}
    return protocol.model_dump(include=EQUAL) | {"extractors": extractors}


def means(table: pd.DataFrame) -> list[str]:
    """The columns that are no spreads."""
    return [name for name in table.columns if not name.endswith(("_sd_draws", "_sd_trainings"))]


def readable(
    table: pd.DataFrame,
    models: Mapping[str, Trained],
    protocols: Mapping[str, Evaluation],
) -> pd.DataFrame:
    """The metrics people look at first with their spreads, and what each run is; last, the floor: real data's."""
    order = [name for name, number in numbers().items() if number.shown]
    shown = [metric for name in order for metric in means(table) if number_of(metric) == name]
    columns: dict[str, list[str]] = {
        "family": [models[run].family for run in table.index],
        "trainings": [str(len(protocols[run].trainings)) for run in table.index],
        "best step": ["; ".join(f"{one.step:,}" for one in protocols[run].trainings) for run in table.index],
    }
    for metric in shown:
        three = zip(table[metric], table[f"{metric}_sd_draws"], table[f"{metric}_sd_trainings"], strict=True)
        columns[metric.replace("_", " ")] = [with_spreads(*each) for each in three]
    found = pd.DataFrame(columns, index=table.index)
    protocol = next(iter(protocols.values()))
    real = {}
    for name, one in protocol.floor.items():
        if name in shown:
            fewer = "" if one.images == protocol.samples else f", of {one.images:,}"
            real[name] = with_spreads(one.mean, one.sd_draws, None) + fewer
    if real:
        found.loc[FLOOR] = {"family": "real", **{name.replace("_", " "): text for name, text in real.items()}}
    return found.fillna("")


def sample_sheet(group: str, runs: list[str], points: bool) -> bytes:
    """A row of samples for each run that samples, from the same noise, which another latent space uses otherwise.

    A conditional family is told its examples, as many as there are samples, evenly spread.
    """
    folders = {run: Path("models") / group / run for run in runs}
    models = {run: model for run, folder in folders.items() if isinstance(model := exporting.load(folder), Samples)}
    runs, noise, rows = list(models), Noise, POINTS if points else SAMPLES
    with torch.inference_mode():
        drawn = [
            draw(model, noise("compare", rows=rows), spread(exporting.conditions(folders[run]), rows))
            for run, model in models.items()
        ]
    size = (2.2 * len(runs), 2.4) if points else (0.6 * SAMPLES + 2, 0.7 * len(runs))
    figure = Figure(figsize=size, layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(runs)) if points else figure.subplots(len(runs), 1))
    for place, run, images in zip(axes, runs, drawn, strict=True):
        if points:
            place.scatter(images[:, 0], images[:, 1], s=1)
            place.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xticks=[], yticks=[])
            place.set_title(run, fontsize=8)
        else:
            place.imshow(np.asarray(grid(images, columns=SAMPLES)), cmap="gray")
            place.set(xticks=[], yticks=[])
            place.set_ylabel(run, rotation=0, ha="right", va="center", fontsize=8)
    return figure_png(figure, dpi=100)


def compare(group: str, names: Sequence[str], out: Path) -> pd.DataFrame:
    """Write the comparison of the runs of a group into `out`; returns the table people read.

    Raises:
        InputError: a run has not been evaluated, or not by the protocol of the others.
    """
    table, protocols = measured(group, names)
    runs = list(table.index)
    models = {run: trained(group, run)[1] for run in runs}
    rank = ranked_by(table.columns)
    floor = protocols[runs[0]].floor
    table.to_csv(out / "table.csv", index_label="run")
    shown = readable(table, models, protocols)
    (out / "table.md").write_text(markdown(shown), encoding="utf-8")
    table[[rank]].dropna().rename(columns={rank: "score"}).to_csv(out / "ranking.csv", index_label="run")
    families = family_table(group, runs, models, table)
    (out / "families.md").write_text(markdown(families), encoding="utf-8")
    all_means = {str(run): row.dropna().to_dict() for run, row in table[means(table)].iterrows()}
    (out / "metrics.json").write_text(json.dumps(all_means, indent=1) + "\n", encoding="utf-8")
    samples = sample_sheet(group, runs, models[runs[0]].image == (2, 1, 1))
    (out / "samples.png").write_bytes(samples)
    tried = tracked(group)
    found = {run: trainings_of(group, run, protocols[run], tried) for run in runs}
    firsts = {run: one.curves[run] for run, one in found.items()}
    (out / "curves.png").write_bytes(picture(firsts, protocols[runs[0]].score_floor))
    real = floor.get(rank)
    ranked = table[table[rank].notna()]
    leading = verdict(ranked, rank, real if real and real.images == protocols[runs[0]].samples else None)
    shown_here = {row.address for one in found.values() for row in one.rows}
    others = chosen(rank, [one for one in tried if one.address not in shown_here], runs)
    written = page(
        group,
        rank,
        shown,
        leading=leading,
        protocols=protocols,
        trainings=found,
        tried=[Experiment(tracked=one, curves=curves_of(one)) for one in others],
        samples=samples,
        families=families,
    )
    (out / "index.html").write_text(written, encoding="utf-8")
    return shown


def trainings_of(group: str, run: str, protocol: Evaluation, tried: Sequence[Tracked]) -> Trainings:
    """What the page shows of a run's trainings. Raises InputError where a file of theirs is damaged."""
    folders = {
        run if i == 0 else f"{run}-seed{one.seed}": folder
        for i, (folder, one) in enumerate(zip(trainings(Path("models") / group / run), protocol.trainings, strict=True))
    }
    rows = []
    for one, (name, folder) in zip(protocol.trainings, folders.items(), strict=True):
        model = read_model_json(folder, run)
        rows.append(
            TrainingRow(
                name=name,
                seed=one.seed,
                step=one.step,
                metrics=one.metrics,
                settings=model.hyperparameters,
                seconds=model.seconds,
                address=next((each.address for each in tried if each.attempt == model.attempt), ""),
            )
        )
    return Trainings(
        rows=rows, folders=folders, curves={name: read_curves(folder, run) for name, folder in folders.items()}
    )


def main(group: str, path: Path) -> None:
    """Compare the runs of `group` in the params file at `path`, and tell MLflow."""
    params = load_params(path)
    names = [name for name, run in params.runs.items() if run.group == group]
    if not names:
        groups = {run.group for run in params.runs.values()}
        raise InputError(f"{path}: no run is of group {group!r}; {nearest(group, groups)}")
    out = HOME / group
    with lock(out), whole(out) as partial:
        shown = compare(group, names, partial)
    from pipelines.tracking.added import add_comparison

    add_comparison(group, out)
    print(beginning(markdown(shown)))
    print(f"All columns: {out / 'table.md'}. The page: {out / 'index.html'}")
