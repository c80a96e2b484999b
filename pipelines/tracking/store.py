"""The MLflow store: where it is, and what is added to it or asked of it when no run is in progress.

Without MLFLOW_TRACKING_URI it is tracking/mlflow.db (sqlite) and tracking/artifacts of the checkout.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from gen.secrets import masked
from pipelines.runtime.above import home
from pipelines.tracking.moved import follow

HOME = Path("tracking")
COMPARE_NOTE = (
    "The comparison of all evaluated runs of this group. Open index.html among its artifacts: one page with the table, "
    "samples and curves. It has no metrics of its own."
)
"""Description of the run that keeps a comparison."""


def experiment_note(name: str) -> str:
    """Description of the experiment that has a group's runs, or a sweep's trials."""
    if name.startswith("sweep-"):
        return (
            f"The sweep {name.removeprefix('sweep-')}. Below a sweep's run stand its trials, one for each setting "
            "and seed. Metrics that begin with validation/ are measured on the validation split; lower FID is better, "
            "and settings whose lead is within the spread of their seeds are not told apart."
        )
    return (
        f"Runs of the group {name}: models of the same data, evaluated by the same protocol. Lower FID, KID and "
        "mode_variation are better, and higher precision and recall; <metric>_floor is that of held-out real data, "
        "and <metric>_sd_trainings the spread over trainings. The run `compare` has the table among its artifacts."
    )


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / HOME}/mlflow.db"


def warn(what: str) -> None:
    """Say in one line what the store has not got; nothing else depends on it."""
    print(masked(f"warning: MLflow at {tracking_uri()} {what}"), flush=True)


def embedded() -> bool:
    """Whether runs go to the embedded database."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def connect() -> MlflowClient:
    """A client of the store. The embedded database is made by one process at a time: two at once would corrupt it.

    When the checkout has been moved or copied, its paths follow.
    """
    if not embedded():
        return MlflowClient(tracking_uri())
    folder = home() / HOME
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "init.lock"):
        store = MlflowClient(tracking_uri())
        store.search_experiments(max_results=1)
        for old in follow(folder / "mlflow.db"):
            print(f"{HOME}: was in {old}; MLflow's paths of artifacts are now those of {home()}", flush=True)
    return store


def experiment_id(store: MlflowClient, name: str) -> str:
    """The experiment of that name, made when there is none. It keeps its artifacts beside a database that is a file."""
    _, file, path = tracking_uri().rpartition("sqlite:///")
    location = (Path(path).absolute().parent / "artifacts" / name).as_uri() if file else None
    found = store.get_experiment_by_name(name)
    if found is None:
        try:
            return str(store.create_experiment(name, location, {MLFLOW_RUN_NOTE: experiment_note(name)}))
        except MlflowException:  # another process may have been faster
            found = store.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":  # in MLflow's pages; no other can have its name
        store.restore_experiment(found.experiment_id)
    if MLFLOW_RUN_NOTE not in found.tags:  # one that somebody wrote in MLflow's pages stays
        store.set_experiment_tag(found.experiment_id, MLFLOW_RUN_NOTE, experiment_note(name))
    return str(found.experiment_id)


def add_to_run(group: str, name: str, attempt: str, metrics: Mapping[str, float], folder: Path) -> None:
    """Add what was found out later to the run that trained a model: metrics, and the files of a folder.

    The files are kept by the folder's path without group and run: those of evaluations/<group>/svm/<run> are in
    evaluations/svm.
    Says so in one line when MLflow does not answer or has no such run; nothing else depends on it.
    """
    now = int(time.time() * 1000)
    try:
        store = connect()
        found = store.search_runs([experiment_id(store, group)], f"tags.run = '{name}' and tags.attempt = '{attempt}'")
        if not found:
            warn(f"has no run {name} of group {group} that trained this model")
            return
        run_id = found[0].info.run_id
        store.log_batch(run_id, metrics=[Metric(key, value, now, 0) for key, value in metrics.items()])
        store.log_artifacts(run_id, str(folder), str(Path(folder.parts[0], *folder.parts[2:-1])))
    except Exception as error:  # MLflow's, the network's or the database's: the evaluation stands without it
        warn(f"lacks {folder}: {' '.join(str(error).split())[:200]}")


@dataclass(frozen=True, kw_only=True)
class Group:
    """What an experiment has."""

    name: str
    experiment: str
    metrics: list[str]
    """Names, of all its runs, sorted."""
    newest: dict[str, set[str]]
    """By its id the newest run of each name, with the names of its metrics; the newest first."""


def groups(store: MlflowClient) -> Iterator[Group]:
    """All experiments but MLflow's own."""
    for found in store.search_experiments():
        if found.name != "Default":
            runs = store.search_runs([found.experiment_id])  # the newest first
            names = [run.info.run_name for run in runs]
            yield Group(
                name=found.name,
                experiment=found.experiment_id,
                metrics=sorted({metric for run in runs for metric in run.data.metrics}),
                newest={
                    run.info.run_id: set(run.data.metrics)
                    for i, run in enumerate(runs)
                    if run.info.run_name not in names[:i]
                },
            )


def sweep_trials(experiment: str) -> list[str]:
    """The runs of the trials of the newest sweep in an experiment; none where there is no sweep."""
    runs = connect().search_runs([experiment])  # the newest first
    parents = [run.data.tags[MLFLOW_PARENT_RUN_ID] for run in runs if MLFLOW_PARENT_RUN_ID in run.data.tags]
    return [run.info.run_id for run in runs if parents and run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parents[0]]


def share_view(store: MlflowClient, experiment: str, key: str, view: Mapping[str, Any]) -> bool:
    """Keep a view of MLflow's runs page in the experiment, for addresses that name its key; False when refused."""
    try:
        store.set_experiment_tag(experiment, f"mlflow.sharedViewState.{key}", json.dumps(view, separators=(",", ":")))
    except MlflowException:  # who may only read
        return False
    return True


def add_comparison(group: str, folder: Path) -> None:
    """Keep the comparison of a group as the files of its run `compare`, of which there is one."""
    try:
        store = connect()
        experiment = experiment_id(store, group)
        found = store.search_runs([experiment], "tags.comparison = 'true'")
        tags = {"comparison": "true", MLFLOW_RUN_NOTE: COMPARE_NOTE}
        run = found[0] if found else store.create_run(experiment, run_name="compare", tags=tags)
        store.log_artifacts(run.info.run_id, str(folder))
        store.set_terminated(run.info.run_id, "FINISHED")
    except Exception as error:
        warn(f"lacks {folder}: {' '.join(str(error).split())[:200]}")
