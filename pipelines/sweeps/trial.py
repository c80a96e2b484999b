"""What runs in a trial of a sweep: a run's training, whose evaluations go to Ray Tune.

One worker trains in the trial's own process, which the next trial uses again; several are started by Ray Train. A trial
goes on from its newest checkpoint; one that ended just before the sweep was killed only tells again what it told.
"""

import dataclasses
import json
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from ray import tune

from gen.errors import InputError
from gen.training.checkpoint import Checkpoints
from gen.training.workers import SINGLE_PROCESS
from pipelines.runtime.fit import Together, follow
from pipelines.runtime.mailbox import Ended, Mailbox
from pipelines.runtime.worker import Job, run_job

FAILURE = "failure.json"
"""Beside a trial's checkpoints: why it could not be trained, of a fault that trying again does not mend."""


def trial(config: dict[str, Any]) -> None:
    """Train `config["job"]`, or tell what came of it. Ray Tune calls it."""
    job: Job = config["job"]
    checkpoints = Checkpoints(job.storage, job.name, job.identity)
    reports = Reports()
    if checkpoints.outcome() is None:
        train_and_report(job, checkpoints, reports, config["max_failures"])
    else:
        reports.tell(history(checkpoints))
    if reports.stopped.is_set():
        sys.exit(0)  # as Ray Tune wanted when it ended the trial: a return would have it wait for ever


def train_and_report(job: Job, checkpoints: Checkpoints, reports: "Reports", max_failures: int) -> None:
    """Train it here, or by several workers, and note how it ended.

    What is wrong with the run itself is noted and not raised: Ray Tune would try it again.

    Raises:
        InputError: its workers were lost too often.
    """
    checkpoints.put(FAILURE, b"{}")  # of an earlier start of the sweep
    alone = job.run.compute.workers == 1
    ended = run_job(job, reports, SINGLE_PROCESS) if alone else several(job, reports, max_failures)
    match ended.outcome:
        case "finished" | "diverged":
            checkpoints.end(max(checkpoints.steps(), default=0), ended.outcome)
        case "refused" | "broken":
            failure = {"reason": ended.reason, "traceback": ended.traceback}
            checkpoints.put(FAILURE, json.dumps(failure).encode())
        case "failed":
            raise InputError(ended.reason or "its workers ended without a word")


def several(job: Job, reports: "Reports", max_failures: int) -> Ended:
    """Train the job by the workers of Ray Train, and report what they say."""
    mailbox = Mailbox()
    posted = dataclasses.replace(job, mailbox=mailbox.handle)
    device = job.run.compute.device
    ended = follow(mailbox, Together(posted, max_failures, device), [reports], reports.stopped)
    if ended.outcome in ("finished", "stopped"):  # else the last losses may have no evaluation beside them
        reports.tell([])
    return ended


class Reports:
    """A gen.training.journal.Observer, and a listener of several workers: a report to Ray Tune for each evaluation."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}
        self.stopped = threading.Event()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Collect them; what is recorded and what is evaluated at a step come one after the other."""
        self.rows.setdefault(step, {}).update(values)
        if "scoring_share_of_time" in values:
            self.tell([])

    def grid(self, *picture: object) -> None:
        """Nothing: a sweep is looked at by its figures."""

    def stop(self) -> bool:
        """Whether Ray Tune has ended the trial: the run saves, then."""
        self.tell([])
        return self.stopped.is_set()

    def tell(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Report `rows` and what was collected, in order of their steps, unless the trial has been ended."""
        for row in rows:
            self.rows.setdefault(int(row["step"]), {}).update(row)
        for step in sorted(self.rows):
            if self.stopped.is_set():
                return
            try:
                tune.report({**self.rows.pop(step), "step": step})
            except SystemExit:  # how Ray Tune ends a trial; the run is to be saved first
                self.stopped.set()


def history(checkpoints: Checkpoints) -> list[dict[str, float]]:
    """What the newest checkpoint has on record, a row for each step: its losses and its evaluation in one."""
    state = checkpoints.newest()
    rows: dict[int, dict[str, float]] = {}
    for row in state["history"] if state else []:
        rows.setdefault(int(row["step"]), {}).update(row)
    return list(rows.values())
