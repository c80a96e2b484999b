"""The MLflow store: where it is, and what is added to it or asked of it when no run is in progress.

Without MLFLOW_TRACKING_URI it is tracking/mlflow.db (sqlite) and tracking/artifacts of the checkout.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipelines.above import home

HOME = Path("tracking")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / HOME}/mlflow.db"


def embedded() -> bool:
    """Whether runs go to the embedded database."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def connect() -> MlflowClient:
    """A client of the store. The embedded database is made by one process at a time: two at once would corrupt it."""
    if not embedded():
        return MlflowClient(tracking_uri())
    folder = home() / HOME
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "init.lock"):
        store = MlflowClient(tracking_uri())
        store.search_experiments(max_results=1)
    return store


def experiment_id(store: MlflowClient, name: str) -> str:
    """The experiment of that name, made when there is none. It keeps its artifacts beside a database that is a file."""
    _, file, path = tracking_uri().rpartition("sqlite:///")
    location = (Path(path).absolute().parent / "artifacts" / name).as_uri() if file else None
    found = store.get_experiment_by_name(name)
    if found is None:
        try:
            return str(store.create_experiment(name, artifact_location=location))
        except MlflowException:  # another process may have been faster
            found = store.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":  # in MLflow's pages; no other can have its name
        store.restore_experiment(found.experiment_id)
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
            print(f"warning: MLflow at {tracking_uri()} has no run {name} of group {group} that trained this model")
            return
        run_id = found[0].info.run_id
        store.log_batch(run_id, metrics=[Metric(key, value, now, 0) for key, value in metrics.items()])
        store.log_artifacts(run_id, str(folder), str(Path(folder.parts[0], *folder.parts[2:-1])))
    except Exception as error:  # MLflow's, the network's or the database's: the evaluation stands without it
        print(f"warning: MLflow at {tracking_uri()} lacks {folder}: {' '.join(str(error).split())[:200]}")


def sweep_trials(experiment: str) -> list[str]:
    """The runs of the trials of the newest sweep in an experiment; none where there is no sweep."""
    runs = connect().search_runs([experiment])  # the newest first
    parents = [run.data.tags[MLFLOW_PARENT_RUN_ID] for run in runs if MLFLOW_PARENT_RUN_ID in run.data.tags]
    return [run.info.run_id for run in runs if parents and run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parents[0]]


def add_comparison(group: str, folder: Path) -> None:
    """Keep the comparison of a group as the files of its run `compare`, of which there is one."""
    try:
        store = connect()
        experiment = experiment_id(store, group)
        found = store.search_runs([experiment], "tags.comparison = 'true'")
        run = found[0] if found else store.create_run(experiment, run_name="compare", tags={"comparison": "true"})
        store.log_artifacts(run.info.run_id, str(folder))
        store.set_terminated(run.info.run_id, "FINISHED")
    except Exception as error:
        print(f"warning: MLflow at {tracking_uri()} lacks {folder}: {' '.join(str(error).split())[:200]}")
