"""What is found out of a model after its training, and the comparison of a group, in MLflow."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mlflow.entities import Metric
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from pipelines.reports.tables import beginning
from pipelines.tracking.names import renamed
from pipelines.tracking.notes import describe_group, describe_run
from pipelines.tracking.store import (
    COMPARE_NOTE,
    COMPARISON,
    COMPARISONS,
    connect,
    experiment_id,
    experiment_note,
    warn,
)


def send_results(
    folder: Path, *, group: str, name: str, attempt: str, metrics: Mapping[str, float], where: str, at: int
) -> None:
    """Add metrics and the files of a folder to the run that trained a model; without such a run, say so.

    Args:
        folder: of the files.
        group: of the run.
        name: of the run.
        attempt: of the model that was measured.
        metrics: by name.
        where: the files are in MLflow, among the run's artifacts.
        at: when they were found, in milliseconds: sent again, they are the same.
    """
    store = connect()
    which = f"tags.run = '{name}' and tags.attempt = '{attempt}'"
    found = store.search_runs([experiment_id(store, group)], which)
    if not found:
        warn(f"has no run {name} of group {group} that trained this model")
        return
    run_id = found[0].info.run_id
    store.log_batch(run_id, metrics=[Metric(key, value, at, 0) for key, value in metrics.items()])
    store.log_artifacts(run_id, str(folder), where)
    describe_run(store, run_id, {**renamed(found[0].data.metrics), **metrics})


def send_comparison(folder: Path, group: str) -> None:
    """Keep the comparison of a group as the files of a run, of which there is one, and describe the group by it."""
    store = connect()
    group_id = experiment_id(store, group)
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


SENDERS: Mapping[str, Callable[..., None]] = {"results": send_results, "comparison": send_comparison}
"""By what is sent."""
