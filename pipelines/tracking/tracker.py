"""Every run in MLflow, written in the background: an outage or a slow server neither stops nor slows training."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from mlflow.entities import Dataset as TrackedDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, ViewType
from mlflow.entities import Run as TrackedRun
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from PIL import Image

from gen.config.params import flat
from gen.secrets import masked
from pipelines.runtime.background import RECORD_SECONDS, UPLOAD_SECONDS, Background, Temporary
from pipelines.tracking.facts import Facts, note, shown_name
from pipelines.tracking.registry import register
from pipelines.tracking.store import connect, experiment_id, in_short, later, tracking_uri, warn

BATCH = 900
MOST_MEASURED = 100_000
"""Metrics that wait through an outage; later ones are dropped, and said to be."""
PATIENCE_SECONDS = 30.0
BYTES_PER_SECOND = 1e6
"""At which a slow store takes files."""
WHY_ENDED = {"outcome", "diverged"}
"""Tags of an ended run that say why it ended; it loses them when it goes on."""


class Tracker:
    """One MLflow run, found again by its attempt. Every method but `close` returns at once.

    Trackers that share a background are written one after the other, so many at once never wait for a lock.
    """

    def __init__(self, facts: Facts, background: Background | None = None, parent: "Tracker | None" = None) -> None:
        self.facts = facts
        self.tags = {**facts.tags, "run": facts.name, "attempt": facts.attempt, "storage": masked(facts.storage)}
        self.tags[MLFLOW_RUN_NOTE] = note(facts)
        self.tags["checkout"] = str(Path.cwd())
        self.parent = parent
        self.run_id = ""
        self.logged: set[tuple[str, int]] = set()
        """Names and steps of the metrics and grids that the run has."""
        self.status = ""
        """How it was told that it ended."""
        self.ended_at: int | None = None
        """When the run ended, in milliseconds, if it had ended before and nothing new has been measured since."""
        self.measured: list[Metric] = []
        self.flush_waits = False
        self.monitor: SystemMetricsMonitor | None = None
        self.background = background or Background()
        self._later(lambda: None)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name at a step, once: a process or worker that replaces a killed one tells them again."""
        now = int(time.time() * 1000)
        if len(self.measured) > MOST_MEASURED:
            self.background.problem = f"more than {MOST_MEASURED} metrics were waiting"
            return
        self.measured += [Metric(name, value, now, step) for name, value in values.items()]
        if not self.flush_waits:
            self.flush_waits = True
            self._later(self._flush, RECORD_SECONDS)

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """A PNG, one of the steps of the image `name`."""

        def log() -> None:
            if (name, step) not in self.logged:
                image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
                self.store.log_image(self.run_id, image, key=name, step=step, synchronous=True)
                self.logged.add((name, step))

        self._later(log)

    def model(self, folder: Path) -> None:
        """An exported model, which is registered under the run's name if it samples."""
        change, experiment = (self.tags.get(tag, "") for tag in ("change", "dvc_experiment"))
        told = {"change": change, "experiment": experiment}
        self._later(lambda: register(self.store, self.run_id, self.facts.name, folder, **told), upload_seconds(folder))

    def text(self, name: str, content: str) -> None:
        """One file that is not on disk."""
        self._later(lambda: self.store.log_text(self.run_id, content, name), RECORD_SECONDS)

    def files(self, folder: Path) -> None:
        """All files of a folder."""
        self._later(lambda: self.store.log_artifacts(self.run_id, str(folder)), upload_seconds(folder))

    def end(self, status: str, **tags: str) -> None:
        """Give the run an MLflow status, and tags that say why."""
        self.status = status
        self._later(lambda: self._end(status, tags), RECORD_SECONDS)

    @contextmanager
    def ended_whatever_happens(self) -> Iterator[None]:
        """A run that an exception ends inside the block, before it was told how, is not RUNNING in MLflow for ever."""
        try:
            yield
        except BaseException as error:
            if not self.status:
                asked = isinstance(error, KeyboardInterrupt | SystemExit)
                message = " ".join(masked(str(error)).split())[:1000] or type(error).__name__
                self.end("KILLED" if asked else "FAILED", outcome="interrupted" if asked else message)
                self.close()
            raise

    def close(self) -> None:
        """Wait for what is left, in an outage for half a minute at most, and say what is missing and how it gets there.

        A run that finished tells all of it again when it is started once more, from its checkpoints.
        """
        problem = self.background.close(PATIENCE_SECONDS, f"MLflow at {masked(tracking_uri())}")
        if problem:
            remedy = f"; {later()}, and trains nothing" if self.status == "FINISHED" else ""
            warn(f"lacks part of run {self.facts.name}: {problem}{remedy}")

    def _later(self, work: Callable[[], object], allowed: float | None = None) -> None:
        """Have it done; what has a time of its own is kept though thousands are waiting."""

        def attempt() -> None:
            try:
                if not self.run_id:
                    self._first_contact()
                work()
            except requests.RequestException as error:
                raise Temporary(f"it does not answer ({type(error).__name__})") from None
            except MlflowException as error:
                if error.get_http_status_code() >= 500:  # type: ignore[no-untyped-call]
                    raise Temporary(in_short(error)) from None
                raise

        self.background.put(attempt, allowed or RECORD_SECONDS, keep=allowed is not None)

    def _first_contact(self) -> None:
        """Begin, or try again later whatever went wrong: nothing can be recorded before."""
        try:
            self._begin()
        except Exception as error:
            raise Temporary(in_short(error)) from None

    def _begin(self) -> None:
        self.store = connect()
        experiment = experiment_id(self.store, self.facts.experiment)
        storage = self.tags["storage"]
        quote = '"' if "'" in storage else "'"
        mine = f"tags.run = '{self.facts.name}' and tags.storage = {quote}{storage}{quote}"
        earlier = self.store.search_runs([experiment], mine, ViewType.ACTIVE_ONLY, max_results=100)
        same = [run for run in earlier if run.data.tags["attempt"] == self.tags["attempt"]]
        for run in earlier:
            here = run.data.tags.get("checkout") in (None, self.tags["checkout"])  # an experiment may run elsewhere
            if run.info.status == "RUNNING" and here and run not in same:
                self.store.set_terminated(run.info.run_id, "KILLED")
                trials = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.info.run_id}' and attributes.status = 'RUNNING'"
                for trial in self.store.search_runs([experiment], trials):
                    self.store.set_terminated(trial.info.run_id, "KILLED")
        if same:
            run = same[0]
            self.store.update_run(run.info.run_id, status="RUNNING")
            for tag in WHY_ENDED & run.data.tags.keys():
                self.store.delete_tag(run.info.run_id, tag)
            if run.data.tags.get("change") not in (None, self.tags.get("change")):  # an experiment's
                self._rename(run)
            self.logged = self._logged_before(run)
            self.ended_at = run.info.end_time
        else:
            tags = self.tags if self.parent is None else {**self.tags, MLFLOW_PARENT_RUN_ID: self.parent.run_id}
            run = self.store.create_run(experiment, run_name=shown_name(self.facts), tags=tags)
        if not (run.inputs and run.inputs.dataset_inputs):  # described last: an outage may have left out some of it
            self._describe(run)
        if self.parent is None:  # one of them watches the machine
            self.monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                run.info.run_id, resume_logging=bool(same), tracking_uri=tracking_uri()
            )
            self.monitor.start()  # type: ignore[no-untyped-call]
        self.run_id = run.info.run_id

    def _rename(self, run: TrackedRun) -> None:
        """Name the run by what it changes now, and tag it so."""
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
        self.store.log_dict(run.info.run_id, dict(self.facts.dataset.manifest), "dataset/MANIFEST.json")
        used = TrackedDataset(
            name=self.facts.dataset.name,
            digest=self.facts.dataset.digest[:36],
            source_type="parquet",
            source=json.dumps({"uri": str(self.facts.dataset.folder)}),
            profile=json.dumps({"rows": self.facts.dataset.rows, "shape": list(self.facts.dataset.shape)}),
        )
        self.store.log_inputs(run.info.run_id, [DatasetInput(used, [InputTag("mlflow.data.context", "training")])])

    def _flush(self) -> None:
        self.flush_waits = False  # before looking: what is measured from now on asks for another
        while self.measured:
            some = self.measured[:BATCH]
            new = {(m.key, m.step): m for m in some if (m.key, m.step) not in self.logged}
            if new:
                self.store.log_batch(self.run_id, metrics=list(new.values()), synchronous=True)
                self.logged |= new.keys()
                self.ended_at = None
            del self.measured[: len(some)]

    def _end(self, status: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self.store.set_tag(self.run_id, key, value)
        if self.monitor is not None:
            self.monitor.finish()  # type: ignore[no-untyped-call]
        self.store.set_terminated(self.run_id, status, self.ended_at)


def upload_seconds(folder: Path) -> float:
    """How long the files of a folder may take to a slow store."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return min(UPLOAD_SECONDS, 2 * RECORD_SECONDS + size / BYTES_PER_SECOND)
