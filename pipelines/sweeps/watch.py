"""Hears of a sweep's trials from Ray Tune: the table, the tracking, the progress, and what was pruned."""

import json
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from gen.config.sweep import Sweep
from pipelines.runtime.worker import TRACEBACK
from pipelines.sweeps.plan import Plan
from pipelines.sweeps.progress import SweepProgress
from pipelines.sweeps.search import Rows, Search, Trial
from pipelines.sweeps.table import Table
from pipelines.sweeps.trial import history
from pipelines.tracking.names import best_of
from pipelines.tracking.tracker import Tracker

SECTIONS = ("loss", "validation", "gradient_norm")
NUMBERS = ("images_seen", "images_per_second", "steps_per_second", "scoring_share_of_time", "seconds")
"""What is kept of a report to Ray Tune, which adds much of its own."""


class Halving(ASHAScheduler):
    """ASHA by the steps that trials report, which also remembers the trials of before the sweep was started again."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            max_t=sweep.steps,
            grace_period=sweep.grace_period or 1,
            reduction_factor=2,
        )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether it goes on; not with a value that is not finite, which others are not compared with."""
        if not math.isfinite(result.get(self.metric, 0.0)):
            return str(self.STOP)
        return str(super().on_trial_result(tune_controller, trial, result))

    def remember(self, identifier: str, step: int, value: float) -> None:
        """Compare later trials with this evaluation, which the trial itself has passed."""
        if not math.isfinite(value):
            return
        told: Any = SimpleNamespace(trial_id=identifier)  # all that a bracket looks at
        for bracket in self._brackets:
            bracket.on_result(told, step, (self._metric_op or 1.0) * value)


class GivenUp(tune.Stopper):
    """Asks Ray Tune to stop everything once the sweep has a problem."""

    def __init__(self, watch: "Watch") -> None:
        self.watch = watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Whether to give up."""
        return bool(self.watch.problem)


class Watch(tune.Callback):
    """Hears of every trial from Ray Tune: keeps the table, tracks, shows progress, and notes what was pruned."""

    search: Search

    def __init__(self, plan: Plan, table: Table, tracker: Tracker, halving: Halving | None) -> None:
        self.plan = plan
        self.halving = halving
        self.table = table
        self.tracker = tracker
        self.children: dict[str, Tracker] = {}
        self.progress = SweepProgress(plan.name, table)
        self.problem = ""
        """Why the whole sweep is to be given up."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it is given, for a way of starting again that is not ours."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begin to track it."""
        one = self.search.begun[trial.trial_id]
        if self.table.begin(trial.trial_id, one):
            facts = self.plan.trial_facts(one)
            self.children[trial.trial_id] = Tracker(facts, self.tracker.background, self.tracker)
            if self.halving is not None:  # what it has on record, it has passed, and is not judged by again
                self.compare_with(trial.trial_id, history(self.plan.checkpoints(one)))
        self.progress.show()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep an evaluation, once."""
        values = {key: value for key, value in result.items() if key in NUMBERS or key.partition("/")[0] in SECTIONS}
        decides = self.plan.sweep.metric
        if decides in values:
            values = {decides: values[decides], **values}  # MLflow's plots open with the first metric of a run
        else:
            self.problem = f"sweeps.{self.plan.name}.metric: trials have no {decides}; {told(values)}"
        self.keep(trial.trial_id, int(result["step"]), values)
        self.progress.show()

    def keep(self, identifier: str, step: int, values: Mapping[str, float]) -> None:
        """An evaluation of a trial, unless it is known."""
        if self.table.add(identifier, step, values):
            self.children[identifier].metrics(step, values)

    def recall(self, identifier: str, one: Trial) -> Rows | None:
        """What is on record of a trial that was over before, which enters the table; None of any other."""
        checkpoints = self.plan.checkpoints(one)
        known = self.plan.notes.read_json(f"trials/{checkpoints.run}.json")
        if known is None:
            return None
        self.table.begin(identifier, one)
        self.children[identifier] = Tracker(self.plan.trial_facts(one), self.tracker.background, self.tracker)
        for row in known["rows"]:
            values = {name: value for name, value in row.items() if name != "step"}
            self.keep(identifier, row["step"], values)
        self.compare_with(identifier, known["rows"])
        self.close(identifier, known["outcome"])
        record = self.table.records[identifier]
        self.progress.recalled += record.reached if self.progress.budget else record.gone
        rows: Rows = known["rows"]
        return rows

    def compare_with(self, identifier: str, rows: Rows) -> None:
        """Have the scheduler compare other trials with these evaluations of before."""
        for row in rows:
            if self.halving is not None and self.plan.sweep.metric in row:
                self.halving.remember(identifier, int(row["step"]), row[self.plan.sweep.metric])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write down how it ended, with all that it told."""
        record = self.table.records[trial.trial_id]
        failure = self.plan.failure(record.trial)
        if failure is not None:
            self.fail(trial.trial_id, failure["reason"], failure["traceback"])
            return
        checkpoints = self.plan.checkpoints(record.trial)
        outcome = checkpoints.outcome()
        if outcome is not None:  # the scheduler may have ended it while it told again what it had told
            for row in history(checkpoints):
                values = {name: value for name, value in row.items() if name != "step"}
                self.keep(trial.trial_id, int(row["step"]), values)
        outcome = outcome or ("finished" if record.reached == self.plan.sweep.steps else "pruned")
        outcome = outcome if record.finite else "diverged"
        rows = [{"step": step, **values} for step, values in sorted(record.rows.items())]
        note = json.dumps({"outcome": outcome, "rows": rows})
        try:
            self.plan.notes.put(f"trials/{checkpoints.run}.json", note.encode())
        except OSError as error:  # raised, it would be Ray Tune's traceback
            self.problem = self.problem or str(error)
            return
        self.close(trial.trial_id, outcome)

    def close(self, identifier: str, outcome: str) -> None:
        """A trial is over."""
        record, child = self.table.records[identifier], self.children[identifier]
        record.outcome = outcome
        ended = {"steps_reached": float(record.reached)}
        if record.best is not None:
            ended[best_of(self.plan.sweep.metric)] = record.best[1]
        child.metrics(record.reached, ended)
        child.end({"finished": "FINISHED", "diverged": "FAILED"}.get(outcome, "KILLED"), outcome=outcome)
        self.progress.show()

    def abandon(self) -> None:
        """The sweep is ended in the middle, and its trials in MLflow with it."""
        for identifier, record in self.table.records.items():
            if record.outcome == "running":
                self.children[identifier].end("KILLED", outcome="interrupted")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that its process was lost too often."""
        why = reason(trial)
        if not why:  # Ray Tune could make a file for it, and write nothing into that
            why = f"cluster.storage: {self.plan.storage}: a trial's error cannot be written there; make room and repeat"
            self.problem = self.problem or why
        self.fail(trial.trial_id, why)

    def fail(self, identifier: str, why: str, traceback: str = "") -> None:
        """A trial could not be trained; the sweep says why in the end, and MLflow has the traceback."""
        record, child = self.table.records[identifier], self.children[identifier]
        record.outcome, record.reason = "failed", why
        if traceback:
            child.text(TRACEBACK, traceback)
        child.end("FAILED", outcome="failed")
        self.progress.show()


def told(values: Mapping[str, float]) -> str:
    """What a trial does report."""
    return f"they have {', '.join(sorted(name for name in values if name.partition('/')[0] in SECTIONS))}"


def reason(trial: Any) -> str:
    """The last line of the error that ended a trial; "" where its file is empty."""
    error = trial.get_error()
    message = str(error).strip().rpartition("\n")[2] if error is not None else "its process was lost"
    return message.rpartition("InputError: ")[2]
