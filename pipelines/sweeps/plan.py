"""What the trials of a sweep have in common, and the job of each; which points there were is written down here."""

import hashlib
import json
from pathlib import Path
from typing import Any

from gen.code import code_digest
from gen.config.consistency import trial_run
from gen.config.params import Logging, Params
from gen.config.sweep import label
from gen.data.dataset import Dataset
from gen.evaluation.reference import Reference
from gen.secrets import masked
from gen.training.checkpoint import Checkpoints
from gen.training.identity import identity
from pipelines.runtime.jobs import job_of, storage_of
from pipelines.sweeps.search import Point, Trial
from pipelines.sweeps.trial import FAILURE
from pipelines.tracking.facts import Data, Facts, facts_of, where_from

CODE = (
    "gen.training.scores",
    "pipelines.sweeps.search.Search",
    "pipelines.sweeps.plan.Plan",
    "pipelines.sweeps.watch.Halving",
    "pipelines.sweeps.trial.trial",
)
"""Where the code begins that decides what becomes of a sweep's trials, besides what decides their weights."""


class Plan:
    """All that the trials of a sweep have in common, and the job of each."""

    def __init__(self, params: Params, name: str, inputs: tuple[Dataset, Reference], device: str, fresh: bool) -> None:
        self.params = params
        self.name = name
        self.sweep = params.sweep(name)
        self.inputs = inputs
        self.device = device
        dataset, judge = inputs
        # With a point laid over it: which values of what is swept the run itself has, is all the same.
        base = trial_run(params, name, next(self.sweep.grid()), 0)
        settings = self.sweep.model_dump(exclude={"concurrency"})
        self.score_samples = params.reference[self.sweep.dataset].score_samples
        code = code_digest(*CODE)
        parts = [settings, identity(base, dataset.digest, device), judge.digest, self.score_samples, code]
        self.identity = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        self.storage = storage_of(params.cluster)
        self.notes = Checkpoints(self.storage, f"sweep_{name}", self.identity)
        self.home = f"{self.storage}/{Path(self.notes.root).name}"
        """Where the trials keep their checkpoints: beside the sweep's own notes."""
        self.attempt = self.notes.begin(self.sweep.steps, fresh).attempt
        self.known: list[Point] = (self.notes.read_json("points.json") or {"points": []})["points"]

    def checkpoints(self, one: Trial) -> Checkpoints:
        """Those of a trial."""
        run = trial_run(self.params, self.name, one.values, one.seed)
        return Checkpoints(self.home, f"{one.point:04d}_{one.seed}", identity(run, self.inputs[0].digest, self.device))

    def failure(self, one: Trial) -> dict[str, str] | None:
        """Reason and traceback of a trial that cannot be trained; None of any other."""
        return self.checkpoints(one).read_json(FAILURE) or None

    def without_value(self, one: Trial) -> bool:
        """Whether a trial that is over has no result: it diverged, or could not be trained."""
        return self.checkpoints(one).outcome() == "diverged" or self.failure(one) is not None

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
            trial_run(self.params, self.name, one.values, one.seed),
            checkpoints.run,
            self.inputs,
            device=self.device,
            score_samples=self.score_samples,
            score_every=every,
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
            dataset=Data.of(dataset),
            attempt=self.attempt,
            storage=masked(self.storage),
        )

    def space(self) -> dict[str, str]:
        """What is swept, in words."""
        return {
            path: str(list(axis.values)) if axis.values is not None else f"{axis.low} to {axis.high}"
            for path, axis in self.sweep.space.items()
        }

    def trial_facts(self, one: Trial) -> Facts:
        """Of one trial, named by what varies."""
        run = trial_run(self.params, self.name, one.values, one.seed)
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
