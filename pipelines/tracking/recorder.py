"""One run of MLflow, written call by call: by the tracker while it trains, or later, what an outage has left unsent.

Every record may be sent twice and is there once: a process that was killed, or an answer that was lost, costs nothing.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlflow.entities import Dataset as TrackedDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, ViewType
from mlflow.entities import Run as TrackedRun
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from PIL import Image

from gen.config.params import flat
from pipelines.runtime.above import home
from pipelines.tracking.facts import Facts, note, shown_name
from pipelines.tracking.interrupted import PROCESS, end_interrupted, this_process
from pipelines.tracking.registry import register
from pipelines.tracking.store import connect, experiment_id, tracking_uri

BATCH = 900
WHY_ENDED = {"outcome", "diverged"}
"""Tags of an ended run that say why it ended; it loses them when it goes on."""


class Record(NamedTuple):
    """One call of a method of Recorder."""

    method: str
    told: Mapping[str, Any]
    """Its arguments, as JSON has them."""
    content: bytes | Path | None = None
    """Its first argument, a picture, a text or a folder, where it takes one."""


class Recorder:
    """One MLflow run, found again by its attempt, or begun.

    Args:
        facts: of the run.
        began: when, in milliseconds.
        parent: the sweep's, of a trial.
        late: the run is over, or another process has it: only what is missing is added.
    """

    def __init__(self, facts: Facts, began: int, parent: "Recorder | None" = None, late: bool = False) -> None:
        self.facts, self.began, self.parent, self.late = facts, began, parent, late
        self.tags = {**facts.tags, "run": facts.name, "attempt": facts.attempt, "storage": facts.storage}
        self.tags[MLFLOW_RUN_NOTE] = note(facts)
        self.tags["checkout"] = facts.checkout
        self.run_id = ""
        """Once it has begun."""
        self.logged: set[tuple[str, int]] = set()
        """Names and steps of the metrics and grids that the run has."""
        self.ended_at: int | None = None
        """When the run ended, in milliseconds, if it had ended before and nothing new has been measured since."""
        self.monitor: SystemMetricsMonitor | None = None

    def send(self, record: Record) -> None:
        """Make the call that the record is."""
        content = () if record.content is None else (record.content,)
        getattr(self, record.method)(*content, **record.told)

    def begin(self) -> None:
        """Find or make the run. Raises what MLflow raises, and can be called again."""
        self.store = connect()
        experiment = experiment_id(self.store, self.facts.experiment)
        if not self.late and self.parent is None:
            end_interrupted(self.store, home())
        storage = self.tags["storage"]
        quote = '"' if "'" in storage else "'"
        mine = f"tags.run = '{self.facts.name}' and tags.storage = {quote}{storage}{quote}"
        earlier = self.store.search_runs([experiment], mine, ViewType.ACTIVE_ONLY, max_results=100)
        same = [run for run in earlier if run.data.tags["attempt"] == self.tags["attempt"]]
        if not self.late:
            self._end_others(experiment, [run for run in earlier if run not in same])
        if same:
            run = same[0]
            if not self.late:
                self._go_on(run)
            self.logged = self._logged_before(run)
            self.ended_at = run.info.end_time
        else:
            tags = self.tags if self.parent is None else {**self.tags, MLFLOW_PARENT_RUN_ID: self.parent.run_id}
            tags |= {} if self.late else {PROCESS: this_process()}
            name = shown_name(self.facts)
            run = self.store.create_run(experiment, start_time=self.began, run_name=name, tags=tags)
        if not (run.inputs and run.inputs.dataset_inputs):  # described last: an outage may have left out some of it
            self._describe(run)
        if self.parent is None and not self.late:  # one of them watches the machine
            self.monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                run.info.run_id, resume_logging=bool(same), tracking_uri=tracking_uri()
            )
            self.monitor.start()  # type: ignore[no-untyped-call]
        self.run_id = run.info.run_id

    def metrics(self, values: Sequence[tuple[str, float, int, int]]) -> None:
        """Name, value, milliseconds and step of each, once by name and step."""
        for start in range(0, len(values), BATCH):
            some = [Metric(*value) for value in values[start : start + BATCH]]
            new = {(m.key, m.step): m for m in some if (m.key, m.step) not in self.logged}
            if new:
                self.store.log_batch(self.run_id, metrics=list(new.values()), synchronous=True)
                self.logged |= new.keys()
                self.ended_at = None

    def grid(self, picture: bytes, step: int, name: str) -> None:
        """A PNG, one of the steps of the image `name`."""
        if (name, step) not in self.logged:
            image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
            self.store.log_image(self.run_id, image, key=name, step=step, synchronous=True)
            self.logged.add((name, step))

    def model(self, folder: Path) -> None:
        """An exported model, which is registered under the run's name if it samples."""
        change, experiment = (self.tags.get(tag, "") for tag in ("change", "dvc_experiment"))
        register(self.store, self.run_id, self.facts.name, folder, change=change, experiment=experiment)

    def text(self, content: bytes, name: str) -> None:
        """One file that is not on disk."""
        self.store.log_text(self.run_id, content.decode(), name)

    def files(self, folder: Path) -> None:
        """All files of a folder."""
        self.store.log_artifacts(self.run_id, str(folder))

    def end(self, status: str, tags: Mapping[str, str], at: int) -> None:
        """An MLflow status, tags that say why, and when in milliseconds."""
        for tag in (WHY_ENDED - tags.keys()) & self.store.get_run(self.run_id).data.tags.keys():
            self.store.delete_tag(self.run_id, tag)  # of an end that it had before, or seemed to have
        for key, value in tags.items():
            self.store.set_tag(self.run_id, key, value)
        if self.monitor is not None:
            self.monitor.finish()  # type: ignore[no-untyped-call]
        self.store.set_terminated(self.run_id, status, at if self.late else self.ended_at or at)

    def _end_others(self, experiment: str, earlier: Sequence[TrackedRun]) -> None:
        """Other attempts of this checkout are not running: this one has the right to."""
        for run in earlier:
            here = run.data.tags.get("checkout") in (None, self.tags["checkout"])  # an experiment may run elsewhere
            if run.info.status == "RUNNING" and here:
                self.store.set_terminated(run.info.run_id, "KILLED")
                trials = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.info.run_id}' and attributes.status = 'RUNNING'"
                for trial in self.store.search_runs([experiment], trials):
                    self.store.set_terminated(trial.info.run_id, "KILLED")

    def _go_on(self, run: TrackedRun) -> None:
        """The run is running again: named by what it changes now, and no longer by why it ended."""
        self.store.set_tag(run.info.run_id, PROCESS, this_process())  # first: a dead one's would end it at once
        self.store.update_run(run.info.run_id, status="RUNNING")
        for tag in WHY_ENDED & run.data.tags.keys():
            self.store.delete_tag(run.info.run_id, tag)
        if run.data.tags.get("change") in (None, self.tags.get("change")):
            return  # it is not an experiment's
        self.store.update_run(run.info.run_id, name=shown_name(self.facts))
        for tag in ("change", "dvc_experiment"):
            if tag in self.tags:
                self.store.set_tag(run.info.run_id, tag, self.tags[tag])
            elif tag in run.data.tags:
                self.store.delete_tag(run.info.run_id, tag)

    def _logged_before(self, run: TrackedRun) -> set[tuple[str, int]]:
        """Names and steps of the metrics and grids that the run has."""
        mine = [name for name in run.data.metrics if not name.startswith("system/")]
        histories = [self.store.get_metric_history(run.info.run_id, name) for name in mine]
        pictures = [file.path for file in self.store.list_artifacts(run.info.run_id, "images")]
        steps = [re.match(r"images/(\w+)\+step\+(\d+)\+", path) for path in pictures]
        found = {(metric.key, metric.step) for history in histories for metric in history}
        return found | {(step[1], int(step[2])) for step in steps if step}

    def _describe(self, run: TrackedRun) -> None:
        """Tell what it was made with and of; again, as far as it is lacking."""
        told = flat(self.facts.params).items()
        params = [Param(key, str(value)) for key, value in told if key not in run.data.params]
        self.store.log_batch(run.info.run_id, params=params)
        dataset = self.facts.dataset
        self.store.log_dict(run.info.run_id, dict(dataset.manifest), "dataset/MANIFEST.json")
        used = TrackedDataset(
            name=dataset.name,
            digest=dataset.digest[:36],
            source_type="parquet",
            source=json.dumps({"uri": dataset.folder}),
            profile=json.dumps({"rows": dataset.rows, "shape": dataset.shape}),
        )
        self.store.log_inputs(run.info.run_id, [DatasetInput(used, [InputTag("mlflow.data.context", "training")])])
