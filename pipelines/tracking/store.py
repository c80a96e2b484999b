"""The MLflow store: where it is, and what is added to it when no run is in progress.

Without MLFLOW_TRACKING_URI it is tracking/mlflow.db (sqlite) and tracking/artifacts of the checkout.
"""

import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from gen.secrets import masked
from pipelines.reports.tables import beginning
from pipelines.runtime.above import home
from pipelines.runtime.background import UPLOAD_SECONDS
from pipelines.runtime.patience import within, within_a_minute
from pipelines.tracking.changes import experiment
from pipelines.tracking.moved import follow
from pipelines.tracking.names import renamed
from pipelines.tracking.notes import GROUP, describe_group, describe_run

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


def add_to_run(group: str, name: str, attempt: str, metrics: Mapping[str, float], folder: Path) -> None:
    """Add what was found out later to the run that trained a model: metrics, and the files of a folder.

    The files are kept by the folder's path without group and run: those of evaluations/<group>/svm/<run> are in
    evaluations/svm.
    Says so in one line when MLflow does not answer or has no such run; nothing else depends on it.
    """
    now = int(time.time() * 1000)

    def begin() -> tuple[MlflowClient, Sequence[Run]]:
        store = connect()
        which = f"tags.run = '{name}' and tags.attempt = '{attempt}'"
        return store, store.search_runs([experiment_id(store, group)], which)

    def add() -> None:
        store.log_batch(run_id, metrics=[Metric(key, value, now, 0) for key, value in metrics.items()])
        store.log_artifacts(run_id, str(folder), str(Path(folder.parts[0], *folder.parts[2:-1])))
        describe_run(store, run_id, {**renamed(found[0].data.metrics), **metrics})

    try:
        store, found = within_a_minute(peer(), begin)
        if not found:
            warn(f"has no run {name} of group {group} that trained this model")
            return
        run_id = found[0].info.run_id
        within(UPLOAD_SECONDS, peer(), add)
    except Exception as error:  # MLflow's, the network's or the database's: the evaluation stands without it
        warn(f"lacks {folder}: {in_short(error)}; {later()}")


def add_comparison(group: str, folder: Path) -> None:
    """Keep the comparison of a group as the files of a run, of which there is one, and describe the group by it."""

    def add() -> None:
        for earlier in store.search_runs([group_id], f"tags.{COMPARISON} = 'true'"):  # an older version's
            store.delete_run(earlier.info.run_id)
        comparisons = experiment_id(store, COMPARISONS)
        found = store.search_runs([comparisons], f"tags.{COMPARISON} = '{group}'")
        tags = {COMPARISON: group, MLFLOW_RUN_NOTE: COMPARE_NOTE}
        run = found[0] if found else store.create_run(comparisons, run_name=group, tags=tags)
        store.log_artifacts(run.info.run_id, str(folder))
        store.set_terminated(run.info.run_id, "FINISHED")
        table = (folder / "table.md").read_text(encoding="utf-8")
        describe_group(store, group_id, experiment_note(group), run.info.run_id, beginning(table))

    def begin() -> tuple[MlflowClient, str]:
        store = connect()
        return store, experiment_id(store, group)

    try:
        store, group_id = within_a_minute(peer(), begin)
        within(UPLOAD_SECONDS, peer(), add)
    except Exception as error:
        warn(f"lacks {folder}: {in_short(error)}; {later()}")
