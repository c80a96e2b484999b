"""What MLflow has of a group's trainings: where to look at them, and what else was tried with the same runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from gen.secrets import USER
from pipelines.tracking.names import renamed

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
        )
        for run in runs
        if {"run", "attempt"} <= run.data.tags.keys()
    ]
