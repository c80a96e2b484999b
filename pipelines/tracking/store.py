"""The MLflow store: where it is, and what is added to it when no run is in progress.

Without MLFLOW_TRACKING_URI it is tracking/mlflow.db (sqlite) and tracking/artifacts of the checkout.
"""

import logging
import os
import re
import sys
import uuid
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from gen.secrets import masked
from pipelines.runtime.above import home
from pipelines.tracking.changes import experiment
from pipelines.tracking.moved import follow
from pipelines.tracking.notes import GROUP

logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # a traceback for each call that fails; `warn` has the reason
HOME = Path("tracking")
COMPARISON = "comparison"
"""Tag of a run: of which group it is the comparison."""
COMPARE_NOTE = (
    "The comparison of all evaluated runs of this group. Open index.html among its artifacts: one page with the table, "
    "samples and curves. It has no metrics of its own."
)
"""Description of the run that keeps a comparison."""
COMPARISONS = "comparisons"
"""The experiment of those runs: in a group's own, one would stand in the legend of every chart, and have no curve."""


def experiment_note(name: str) -> str:
    """Description of the experiment that has a group's runs, or a sweep's trials."""
    if name == COMPARISONS:
        return "The comparison of each group, under its name: one page, index.html, among the run's artifacts."
    if name.startswith("sweep-"):
        return (
            f"The sweep {name.removeprefix('sweep-')}. Below a sweep's run stand its trials, one for each setting "
            "and seed. Metrics that begin with validation/ are measured on the validation split; best/ has the best "
            "that a trial had of the one that decides. Lower FID is better, and settings whose lead is within the "
            "spread of their seeds are not told apart."
        )
    return (
        f"{GROUP}{name}: models of the same data, evaluated by the same protocol. Metrics that begin with validation/ "
        "are of checkpoints, those with test/ of the exported models. Lower FID, KID and mode_variation are better, "
        "and higher precision and recall; validation_floor/ and test_floor/ have the same of held-out real data, "
        "test_sd_trainings/ the spread over trainings. In a table, ± is that spread, and brackets hold the one over "
        "draws from one model. "
        f"The run {name} of the experiment {COMPARISONS} has the page that compares them."
    )


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / HOME}/mlflow.db"


def peer() -> str:
    """The store as one that is waited for."""
    return f"MLflow at {tracking_uri()}"


def warn(what: str) -> None:
    """Say in one line what the store has not got; nothing else depends on it."""
    print(masked(f"warning: {peer()} {what}"), flush=True)


def later() -> str:
    """How MLflow gets what it lacks of this command, which is run without DVC: that would find it up to date."""
    words = " ".join([Path(sys.argv[0]).name, *(word for word in sys.argv[1:] if word != "--fresh")])
    first = f"after `dvc exp apply {experiment()}`, " if experiment() else ""
    return f"when it works again, {first}`{words}` adds it"


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
        if not (folder / "mlflow.db").exists():
            create(folder / "mlflow.db")
        store = MlflowClient(tracking_uri())
        store.search_experiments(max_results=1)
        for old in follow(folder / "mlflow.db"):
            print(f"{HOME}: was in {old}; MLflow's paths of artifacts are now those of {home()}", flush=True)
    return store


def create(database: Path) -> None:
    """Make an empty database, whole or not at all: MLflow can do nothing with one that was cut short.

    The caller holds the lock.
    """
    for left in database.parent.glob("new-*"):
        left.unlink()
    new = database.with_name(f"new-{uuid.uuid4().hex}.db")  # MLflow keeps connections by the name
    try:
        MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        new.rename(database)
    finally:
        new.unlink(missing_ok=True)


def in_short(error: Exception) -> str:
    """What went wrong with a call, of what MLflow says in many words: the database's own, or that nobody answered."""
    message = " ".join(str(error).split()) or type(error).__name__
    of_database = re.search(r"\(\w+\.\w+Error\) ([^\[]+)", message)
    told = of_database[1].strip() if of_database else message
    return "it does not answer" if "HTTPConnectionPool" in told else told[:200]


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
