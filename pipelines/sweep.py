"""Stage sweep@<name>: a run trained at many points of a space, through Ray Tune, into sweeps/<name>.

best.yaml         the best point, and the command that adopts it
results.parquet   a row for each evaluation of each trial; results.csv the same
trials.csv        a row for each trial: its point, seed, outcome, and the best of its metric
figures/          the metric against what is swept, the best so far against the steps of all trials, and for several
                  hyperparameters parallel coordinates and importance
metrics.json      the best point's metric, for `dvc metrics`
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Before Ray Tune is imported: no log files and tables of its own, a trial reports what it has, Ctrl-C ends the stage.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from gen.checkpoint import Checkpoints
from gen.config import Compute, Logging, Params, identity, load
from gen.data.dataset import Dataset
from gen.data.folder import lock, whole
from gen.errors import InputError
from gen.metrics.reference import Reference
from gen.sweep import Sweep, label
from pipelines import above, cluster, command, stage
from pipelines.jobs import job_of, open_inputs, storage_of
from pipelines.progress import SweepProgress
from pipelines.reference import SCORING
from pipelines.search import Point, Rows, Search, Trial
from pipelines.sweep_report import text, write_report
from pipelines.sweep_table import Table
from pipelines.tracking import Facts, Tracker, facts_of, where_from
from pipelines.trial import history, trial

HOME = Path("sweeps")
SECTIONS = ("loss", "validation", "gradient_norm")
NUMBERS = ("images_seen", "images_per_second", "steps_per_second", "scoring_share_of_time")
"""What is kept of a report to Ray Tune, which adds much of its own."""


def extractor_of(metric: str) -> str:
    """The extractor that a sweep's trials are scored by: that of its metric, or the one of training."""
    return metric.removeprefix("validation/fid_") if metric.startswith("validation/fid_") else SCORING


class Plan:
    """All that the trials of a sweep have in common, and the job of each."""

    def __init__(self, params: Params, name: str, inputs: tuple[Dataset, Reference], device: str, fresh: bool) -> None:
        self.params = params
        self.name = name
        self.sweep = params.sweep(name)
        self.inputs = inputs
        self.device = device
        dataset, judge = inputs
        base = params.run(self.sweep.run)
        settings = self.sweep.model_dump(exclude={"concurrency"})
        self.score_samples = params.reference[self.sweep.dataset].score_samples
        parts = [settings, identity(base, dataset.digest, device), judge.digest, self.score_samples]
        self.identity = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        self.storage = storage_of(params.cluster)
        self.notes = Checkpoints(self.storage, f"sweep_{name}", self.identity)
        self.home = f"{self.storage}/{Path(self.notes.root).name}"
        """Where the trials keep their checkpoints: beside the sweep's own notes."""
        self.attempt = self.notes.begin(self.sweep.steps, fresh).attempt
        self.known: list[Point] = (self.notes.read_json("points.json") or {"points": []})["points"]

    def checkpoints(self, one: Trial) -> Checkpoints:
        """Those of a trial."""
        run = self.params.trial(self.name, one.values, one.seed)
        return Checkpoints(self.home, f"{one.point:04d}_{one.seed}", identity(run, self.inputs[0].digest, self.device))

    def diverged(self, one: Trial) -> bool:
        """Whether a trial did."""
        return self.checkpoints(one).outcome() == "diverged"

    def configure(self, one: Trial, points: list[Point]) -> dict[str, Any]:
        """What the trial's process is told; its point is written down before."""
        checkpoints = self.checkpoints(one)  # refuses an illegal point, which is not to be written down
        if len(points) > len(self.known):
            self.known = list(points)
            self.notes.put("points.json", json.dumps({"points": points}).encode())
        every = self.sweep.evaluate_every
        often = Logging(
            metrics_every=every, grid_every=10**9, checkpoint_every=every, keep_checkpoints=1, profile_steps=0
        )
        job = job_of(
            self.params.trial(self.name, one.values, one.seed),
            checkpoints.run,
            self.inputs,
            device=self.device,
            score_samples=self.score_samples,
            logging=often,
            storage=self.home,
            identity=checkpoints.identity,
        )
        return {"job": job, "max_failures": self.params.cluster.max_failures}

    def facts(self) -> Facts:
        """Of the sweep as a whole."""
        dataset = self.inputs[0]
        return Facts(
            name=self.name,
            experiment=f"sweep-{self.name}",
            params={**self.sweep.model_dump(exclude={"space", "changes"}), "space": self.space()},
            tags={"sweep": self.name, **where_from(dataset, self.identity, self.device)},
            dataset=dataset,
            attempt=self.attempt,
            storage=self.storage,
        )

    def space(self) -> dict[str, str]:
        """What is swept, in words."""
        return {
            path: str(list(axis.values)) if axis.values is not None else f"{axis.low} to {axis.high}"
            for path, axis in self.sweep.space.items()
        }

    def trial_facts(self, one: Trial) -> Facts:
        """Of one trial, named by what varies."""
        run = self.params.trial(self.name, one.values, one.seed)
        checkpoints = self.checkpoints(one)
        name = f"{label(one.values)} seed={run.seed}"
        return facts_of(
            run.model_copy(update={"group": f"sweep-{self.name}"}),
            name,
            self.inputs[0],
            identity=checkpoints.identity,
            attempt=f"{self.attempt}_{checkpoints.run}",
            storage=self.storage,
            device=self.device,
        )


class Halving(ASHAScheduler):
    """ASHA by the steps that trials report, which also remembers the trials of before the sweep was started again."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(
            time_attr="step",
            metric=sweep.metric,
            mode=sweep.mode,
            max_t=sweep.steps,
            grace_period=sweep.grace or 1,
            reduction_factor=2,
        )

    def remember(self, identifier: str, step: int, value: float) -> None:
        """Compare later trials with this evaluation of one that is over."""
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
        self.progress.show()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep an evaluation, once."""
        values = {key: value for key, value in result.items() if key in NUMBERS or key.partition("/")[0] in SECTIONS}
        if self.plan.sweep.metric not in values:
            self.problem = f"sweeps.{self.plan.name}.metric: trials have no {self.plan.sweep.metric}; {told(values)}"
        values["seconds"] = result["time_total_s"]  # since the trial began
        if self.table.add(trial.trial_id, int(result["step"]), values):
            self.children[trial.trial_id].metrics(int(result["step"]), values)
        self.progress.show()

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
            self.table.add(identifier, row["step"], values)
            self.children[identifier].metrics(row["step"], values)
            if self.halving is not None and self.plan.sweep.metric in values:
                self.halving.remember(identifier, row["step"], values[self.plan.sweep.metric])
        self.close(identifier, known["outcome"])
        rows: Rows = known["rows"]
        return rows

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write down how it ended, with all that it told."""
        record = self.table.records[trial.trial_id]
        checkpoints = self.plan.checkpoints(record.trial)
        outcome = checkpoints.outcome()
        if outcome is not None:  # the scheduler may have ended it while it told again what it had told
            for row in history(checkpoints):
                values = {name: value for name, value in row.items() if name != "step"}
                self.table.add(trial.trial_id, int(row["step"]), values)
        outcome = outcome or ("finished" if record.reached == self.plan.sweep.steps else "pruned")
        rows = [{"step": step, **values} for step, values in sorted(record.rows.items())]
        note = json.dumps({"outcome": outcome, "rows": rows})
        self.plan.notes.put(f"trials/{checkpoints.run}.json", note.encode())
        self.close(trial.trial_id, outcome)

    def close(self, identifier: str, outcome: str) -> None:
        """A trial is over."""
        record, child = self.table.records[identifier], self.children[identifier]
        record.outcome = outcome
        if record.best is not None:
            child.metrics(record.reached, {f"best/{self.plan.sweep.metric.rpartition('/')[2]}": record.best[1]})
        child.end({"finished": "FINISHED", "diverged": "FAILED"}.get(outcome, "KILLED"), outcome=outcome)
        self.progress.show()

    def abandon(self) -> None:
        """The sweep is ended in the middle: its trials in MLflow, too."""
        for identifier, record in self.table.records.items():
            if record.outcome == "running":
                self.children[identifier].end("KILLED", outcome="interrupted")
        self.tracker.end("KILLED")
        self.tracker.close()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that it could not be trained; the sweep says why in the end."""
        record = self.table.records[trial.trial_id]
        record.outcome, record.reason = "failed", reason(trial)
        self.children[trial.trial_id].end("FAILED", outcome="failed")
        self.progress.show()


def told(values: Mapping[str, float]) -> str:
    """What a trial does report."""
    return f"they have {', '.join(sorted(name for name in values if name.partition('/')[0] in SECTIONS))}"


def reason(trial: Any) -> str:
    """The last line of the error that ended a trial."""
    error = trial.get_error()
    said = str(error).strip().splitlines()[-1] if error is not None else "its process was lost"
    return said.rpartition("InputError: ")[2]


def run_stage(params: Params, path: Path, name: str, fresh: bool) -> None:
    """Train all trials of the sweep `name` and write what they teach.

    Raises:
        InputError: the sweep, its data or the cluster do not fit, or a trial could not be trained.
    """
    sweep = params.sweep(name)
    inputs = open_inputs(sweep.dataset, extractor_of(sweep.metric))
    compute = params.trial(name, next(sweep.grid()), 0).compute
    with cluster.joined(params.cluster, sweep.concurrency * compute.workers * compute.threads):
        device = cluster.resolve_device(compute)
        plan = Plan(params, name, inputs, device, fresh)
        tracker = Tracker(plan.facts())
        table = Table(sweep)
        watch = Watch(plan, table, tracker, Halving(sweep) if sweep.scheduler == "asha" else None)
        search = Search(sweep, plan.known, plan.configure, plan.diverged, watch.recall)
        watch.search = search
        try:
            fit(plan, compute, search, watch, min(sweep.concurrency, cluster.room(compute, device)))
        except BaseException:
            watch.abandon()
            raise
        finally:
            watch.progress.close()
    finish(plan, path, table, tracker)


def fit(plan: Plan, compute: Compute, search: Search, watch: Watch, slots: int) -> None:
    """Have Ray Tune train the trials, so many at once."""
    alone = {"CPU": float(compute.threads), "GPU": 1.0 if plan.device == "cuda" else 0.0}
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    folder = f"{plan.name}-{uuid.uuid4().hex[:8]}"
    tuner = tune.Tuner(
        tune.with_resources(trial, alone if compute.workers == 1 else tune.PlacementGroupFactory([{"memory": 1.0}])),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=watch.halving,
            num_samples=plan.sweep.trials(),
            max_concurrent_trials=slots,
            reuse_actors=True,
            trial_name_creator=lambda one: str(one.trial_id),
            trial_dirname_creator=lambda one: str(one.trial_id),
        ),
        run_config=tune.RunConfig(
            name=folder,
            storage_path=f"{plan.storage}/ray",
            verbose=0,
            callbacks=[watch],
            stop=GivenUp(watch),
            failure_config=tune.FailureConfig(max_failures=plan.params.cluster.max_failures),
        ),
    )
    tuner.fit()
    if watch.problem:
        raise InputError(watch.problem)
    if "://" not in plan.storage:
        shutil.rmtree(Path(plan.storage) / "ray" / folder, ignore_errors=True)  # what counts is in the checkpoints


def finish(plan: Plan, params: Path, table: Table, tracker: Tracker) -> None:
    """Write the results, or say which trials could not be trained."""
    out = HOME / plan.name
    try:
        if table.failed:
            raise InputError(
                f"{plan.name}: {len(table.failed)} of {len(table.records)} trials failed, the first with: "
                f"{table.failed[0]}; start it again to train what is missing"
            )
        with lock(out), whole(out) as partial:
            best = write_report(plan.name, params, table, partial)
    except BaseException:
        tracker.end("FAILED")
        tracker.close()
        raise
    tracker.metrics(plan.sweep.steps, best)
    tracker.files(out)
    tracker.end("FINISHED")
    tracker.close()
    plan.notes.end(plan.sweep.steps, "finished")  # last: until then, starting again goes on from here
    print(text(plan.name, params, table))
    print(f"figures: {out / 'figures'}")


def main() -> None:
    """Read the arguments and params, and train the sweep."""
    parser = command.parser("sweep", __doc__ or "", "python -m pipelines.sweep ring8_clip")
    parser.add_argument("sweep", help="a sweep of the params file")
    parser.add_argument("--fresh", action="store_true", help="train all trials anew, as dvc repro -f does")
    arguments = parser.parse_args()
    params = load(arguments.params)
    with stage.alone(f"sweep-{arguments.sweep}"):
        run_stage(params, arguments.params, arguments.sweep, arguments.fresh or above.forced())


if __name__ == "__main__":
    sys.exit(command.run(main))
