"""Descriptions that MLflow shows of a run and of a group's experiment: numbers and a picture below what they are.

One that somebody wrote in MLflow's pages stays.
"""

import math
from collections.abc import Mapping
from urllib.parse import urlencode

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from gen.evaluators import number_of, numbers
from pipelines.reports.tables import number
from pipelines.tracking.names import of_test

RUN = "One training of "
"""Begins the description of a run, and so tells it from one that somebody wrote."""
GROUP = "Runs of the group "
"""The same of an experiment's."""
MOST = 8
"""Numbers of a run that are shown, in the order of the comparison's table."""


def describe_run(store: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> None:
    """Put the picture of its samples, and these of its metrics, below what a run's description says it is."""
    earlier = store.get_run(run_id).data.tags.get(MLFLOW_RUN_NOTE, "")
    if earlier.startswith(RUN):
        parts = [earlier.partition("\n\n")[0], table(metrics), picture(run_id, "grid.png")]
        store.set_tag(run_id, MLFLOW_RUN_NOTE, "\n\n".join(filter(None, parts)))


def describe_group(store: MlflowClient, experiment: str, what: str, comparison: str, markdown: str) -> None:
    """Describe an experiment by what it is, the table of a comparison, and its picture of samples.

    Args:
        store: a client.
        experiment: its id.
        what: the experiment is.
        comparison: the run that has the comparison's files.
        markdown: the table.
    """
    earlier = store.get_experiment(experiment).tags.get(MLFLOW_RUN_NOTE, "")
    if earlier.startswith(GROUP):
        note = "\n\n".join([what, markdown, picture(comparison, "samples.png")])
        store.set_experiment_tag(experiment, MLFLOW_RUN_NOTE, note)


def table(metrics: Mapping[str, float]) -> str:
    """The main numbers of the test split and of real data in Markdown; "" without any."""
    order = [name for name, one in numbers().items() if one.shown]
    tested = [name.removeprefix(of_test("")) for name in metrics if name.startswith(of_test(""))]
    shown = [metric for name in order for metric in tested if number_of(metric) == name][:MOST]
    if not shown:
        return ""
    rows = [
        f"| {metric.replace('_', ' ')} | {number(metrics[of_test(metric)], math.nan)} | "
        f"{number(metrics.get(of_test(metric, 'floor'), math.nan), math.nan)} |"
        for metric in shown
    ]
    return "\n".join(["| test split | model | real data |", "| --- | --- | --- |", *rows])


def picture(run_id: str, path: str) -> str:
    """An artifact of a run, shown by the server whose page the description is in."""
    return f"![]({'get-artifact?' + urlencode({'path': path, 'run_uuid': run_id})})"
