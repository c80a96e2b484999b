"""What the MLflow store has, and how its pages show it: groups of runs, trials, kept views, colours."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipelines.reports.colours import palette
from pipelines.tracking.names import best_of
from pipelines.tracking.store import COMPARISON, COMPARISONS, connect

COLOUR = "mlflow.runColor"
"""Tag of a run: its colour in MLflow's charts, also when somebody chose it there."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One of a group's runs."""

    run_id: str
    name: str
    metrics: set[str]
    """Names."""
    colour: str
    """In MLflow's charts; "" where MLflow chooses."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What an experiment has."""

    name: str
    experiment: str
    runs: list[Stored]
    """The newest first."""
    decides: str
    """The metric of its newest sweep, by the name under which each trial has its best; "" without a sweep."""
    small: bool
    """Whether small is good of it."""

    @property
    def metrics(self) -> list[str]:
        """Names, of all its runs, sorted."""
        return sorted({metric for run in self.runs for metric in run.metrics})

    def newest(self, metric: str) -> list[Stored]:
        """Of each name the newest run that has the metric, the newest first: a later one may still be trained."""
        found: dict[str, Stored] = {}
        for run in self.runs:
            if metric in run.metrics:
                found.setdefault(run.name, run)
        return list(found.values())

    def others(self, runs: Sequence[Stored]) -> list[Stored]:
        """Of each name that none of the runs has the newest run."""
        names = {run.name for run in runs}
        return list({run.name: run for run in reversed(self.runs) if run.name not in names}.values())


def groups(store: MlflowClient) -> Iterator[Group]:
    """All experiments but MLflow's own, and that of the comparisons."""
    for found in store.search_experiments():
        if found.name not in ("Default", COMPARISONS):
            every = store.search_runs([found.experiment_id])  # the newest first
            sweep = next((run.data.params for run in every if "sweep" in run.data.tags), {})
            runs = [
                Stored(
                    run_id=run.info.run_id,
                    name=run.info.run_name,
                    metrics=set(run.data.metrics),
                    colour=run.data.tags.get(COLOUR, ""),
                )
                for run in every
                if COMPARISON not in run.data.tags
            ]
            yield Group(
                name=found.name,
                experiment=found.experiment_id,
                runs=runs,
                decides=best_of(sweep["metric"]) if "metric" in sweep else "",
                small=sweep.get("mode") != "max",
            )


def colour_runs(store: MlflowClient, runs: Sequence[Stored]) -> None:
    """Give each of the runs a colour in MLflow's charts that no other has, as far as they have none; if it is allowed.

    MLflow would take one by the run's id, and several runs the same.
    """
    used = {run.colour for run in runs}
    free = (one for one in palette(2 * len(runs)) if one not in used)
    try:
        for run in runs:
            if not run.colour:
                store.set_tag(run.run_id, COLOUR, next(free))
    except MlflowException:  # who may only read
        return


def sweep_trials(experiment: str) -> list[str]:
    """The runs of the trials of the newest sweep in an experiment; none where there is no sweep.

    But those that failed or diverged: their numbers, infinite ones perhaps, would be all that a chart has room for.
    """
    runs = connect().search_runs([experiment])  # the newest first
    parents = [run.data.tags[MLFLOW_PARENT_RUN_ID] for run in runs if MLFLOW_PARENT_RUN_ID in run.data.tags]
    trials = [run for run in runs if parents and run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parents[0]]
    return [run.info.run_id for run in trials if run.info.status != "FAILED"]


def share_view(store: MlflowClient, experiment: str, key: str, view: Mapping[str, Any]) -> bool:
    """Keep a view of MLflow's runs page in the experiment, for addresses that name its key; False when refused."""
    try:
        store.set_experiment_tag(experiment, f"mlflow.sharedViewState.{key}", json.dumps(view, separators=(",", ":")))
    except MlflowException:  # who may only read
        return False
    return True
