"""What MLflow has of a group's trainings: where to look at them, and what else was tried with the same runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from gen.secrets import USER
from pipelines.reports.curves import Curves
from pipelines.tracking.names import LOSS, VALIDATION, renamed

SERVED = "http://127.0.0.1:5000"
"""Where `make ui` shows the embedded database."""
PAGE = "{}/#/experiments/{}/runs/{}?workflowType=machine_learning"
"""Of a run, in the view that begins with its description."""


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """One run of MLflow."""

    training: str
    """<run>, or <run>-seed<seed>."""
    attempt: str
    """As the model it trained says."""
    address: str
    """Of its page."""
    change: str
    """What it has different from the committed params file; "" for nothing."""
    dvc_experiment: str
    """DVC's name of the experiment that it was a part of, if it was."""
    metrics: Mapping[str, float]
    """The last of each name, of older versions too by the names that are given now."""
    run_id: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Hyperparameters by path, those that are null left out."""
    checkpoints: Path | None = None
    """The folder that has them, and the grids of samples, unless it was deleted since; None in an object store."""


def tracked(group: str) -> list[Tracked]:
    """All trainings of a group, the newest first; of none, with a line that says why, when MLflow does not answer."""
    from pipelines.tracking.store import connect, embedded, in_short, tracking_uri, warn

    try:
        store = connect()
        experiment = store.get_experiment_by_name(group)
        runs = store.search_runs([experiment.experiment_id]) if experiment else []
    except Exception as error:  # MLflow's, the network's or the database's: a page stands without it
        warn(f"cannot be asked for the runs of {group}: {in_short(error)}")
        return []
    base = (
        SERVED if embedded() or not tracking_uri().startswith("http") else USER.sub(r"\1", tracking_uri()).rstrip("/")
    )
    return [
        Tracked(
            training=run.data.tags["run"],
            attempt=run.data.tags["attempt"],
            address=PAGE.format(base, run.info.experiment_id, run.info.run_id),
            change=run.data.tags.get("change", ""),
            dvc_experiment=run.data.tags.get("dvc_experiment", ""),
            metrics=renamed(run.data.metrics),
            run_id=run.info.run_id,
            settings={path: value for path, value in run.data.params.items() if value != "None"},
            checkpoints=checkpoints_of(run.data.tags),
        )
        for run in runs
        if {"run", "attempt"} <= run.data.tags.keys()
    ]


def checkpoints_of(tags: Mapping[str, str]) -> Path | None:
    """Where a run with these tags has its checkpoints, as `Checkpoints` names it."""
    storage, identity = tags.get("storage", ""), tags.get("identity", "")
    return Path(storage, f"{tags['run']}-{identity[:16]}") if Path(storage).is_absolute() and identity else None


def curves_of(run: Tracked) -> Curves:
    """Validation scores and losses of a run; none, with a line that says why, when MLflow does not answer."""
    from pipelines.tracking.store import connect, in_short, warn

    names = [name for name in run.metrics if name.startswith((VALIDATION, LOSS))]
    try:
        store = connect()
        told = {name: store.get_metric_history(run.run_id, name) for name in names}
    except Exception as error:  # as above
        warn(f"cannot be asked for the curves of {run.training} {run.change}: {in_short(error)}")
        return {}
    points = {
        name.partition("/")[2]: {one.step: one.value for one in history if math.isfinite(one.value)}
        for name, history in told.items()
    }
    return {name: pd.DataFrame(sorted(found.items()), columns=["step", "value"]) for name, found in points.items()}
