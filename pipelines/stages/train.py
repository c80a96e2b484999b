"""Stage train@<run>: data/prepared/<dataset> to models/<group>/<run>, through Ray Train, tracked in MLflow."""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from gen.code import code_digest
from gen.config.load import load_params
from gen.config.params import Params, Run
from gen.data.dataset import Dataset
from gen.data.folder import room_for
from gen.errors import InputError
from gen.evaluation.reference import Reference
from gen.training.checkpoint import Checkpoints
from gen.training.identity import identity
from gen.training.profiling import TRACE
from gen.training.rehearsal import rehearse
from pipelines.reports.model_folder import SEEDS, export
from pipelines.runtime import above, cluster, stage
from pipelines.runtime.fit import fit, follow
from pipelines.runtime.jobs import job_of, open_inputs, storage_of
from pipelines.runtime.mailbox import Ended, Mailbox
from pipelines.runtime.patience import within_a_minute
from pipelines.runtime.progress import Progress
from pipelines.runtime.worker import TRACEBACK
from pipelines.tracking.changes import changes, in_words
from pipelines.tracking.facts import facts_of
from pipelines.tracking.tracker import Tracker


def run_stage(params: Params, path: Path, name: str, fresh: bool) -> None:
    """Train the run `name` of the params file at `path`, once for each of its seeds, and export its models.

    Raises:
        InputError: the run, its data or the cluster do not fit, or a training diverged.
        SystemExit: asked to stop; the run is saved and goes on when started again.
    """
    run = params.run(name)
    inputs = open_inputs(run.dataset)
    rehearse(run, inputs[0], f"runs.{name}")
    folder = Path("models") / run.group / name
    shutil.rmtree(folder / SEEDS, ignore_errors=True)
    change = in_words(changes(run, name, path))
    done = []
    with cluster.joined(params.cluster, run.compute.workers * run.compute.threads):
        stop = stage.stop_requests()
        for training, single in run.trainings(name).items():
            place = folder if training == name else folder / SEEDS / str(single.seed)
            done.append(
                train_once(params, training, single, inputs, change=change, folder=place, fresh=fresh, stop=stop)
            )
    seeds = [single.seed for single in run.trainings(name).values()]
    with room_for(folder):
        (folder / SEEDS).mkdir(exist_ok=True)
        listed = folder / SEEDS / "seeds.json"  # DVC warns of empty folders
        listed.write_text(f"{json.dumps(seeds)}\n", encoding="utf-8")
    for checkpoints in done:  # last: until then, starting again goes on from here
        checkpoints.end(run.steps, "finished", scoring_digest(params, run, inputs[1]))


def scoring_digest(params: Params, run: Run, judge: Reference) -> str:
    """Of all that chooses the checkpoint that is exported, besides what decides the run's weights."""
    section = params.reference[run.dataset]
    every = (section.score_every, params.logging.checkpoint_every)
    parts = [judge.digest, section.score_samples, *every, code_digest("gen.training.scores")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def train_once(
    params: Params,
    name: str,
    run: Run,
    inputs: tuple[Dataset, Reference],
    *,
    change: str,
    folder: Path,
    fresh: bool,
    stop: threading.Event,
) -> Checkpoints:
    """One training of a run, exported to `folder`. Returns its checkpoints. Raises what `run_stage` does."""
    dataset, _ = inputs
    device = cluster.resolve_device(run.compute)
    digest = identity(run, dataset.digest, device)
    storage = storage_of(params.cluster)
    checkpoints = Checkpoints(storage, name, digest)
    with stage.alone(f"{name}-{digest[:12]}", above.home()):  # DVC runs experiments side by side
        scoring = scoring_digest(params, run, inputs[1])
        peer = f"cluster.storage: {checkpoints.root}"
        start = within_a_minute(peer, lambda: checkpoints.begin(run.steps, fresh, scoring))
        tracker = Tracker(
            facts_of(
                run,
                name,
                dataset,
                identity=digest,
                attempt=start.attempt,
                storage=storage,
                device=device,
                change=change,
            )
        )
        with tracker.ended_whatever_happens():
            mailbox = Mailbox()
            job = job_of(
                run,
                name,
                inputs,
                device=device,
                score_samples=params.reference[run.dataset].score_samples,
                score_every=params.reference[run.dataset].score_every,
                logging=params.logging,
                storage=storage,
                identity=digest,
                mailbox=mailbox.handle,
            )
            progress = Progress(name, run.steps, begun=max(checkpoints.vouched(), default=0))
            ended = follow(mailbox, fit(job, params.cluster.max_failures, device), [progress, tracker], stop)
            progress.close()
    with tracker.ended_whatever_happens():
        if params.logging.profile_steps and checkpoints.has(TRACE):
            print(f"{name}: the profiler's trace is {checkpoints.root}/{TRACE}, for chrome://tracing", flush=True)
        conclude(ended, checkpoints, tracker, lambda: export(folder, run, dataset, checkpoints, start.attempt))
    return checkpoints


def conclude(ended: Ended, checkpoints: Checkpoints, tracker: Tracker, finish: Callable[[], Path]) -> None:
    """Export a finished model with `finish`; say what became of any other run."""
    match ended.outcome:
        case "finished":
            for name, picture in checkpoints.grids():  # those that an outage has cost, in their small form
                kind, _, step = Path(name).stem.rpartition("-")
                tracker.grid(int(step), kind, picture)
            tracker.model(finish())
            tracker.end("FINISHED")
            tracker.close()
        case "stopped":
            tracker.end("KILLED")
            tracker.close()
            print(f"stopped {ended.reason or 'and saved'}; start it again to go on", flush=True)
            raise SystemExit(stage.STOPPED)
        case "diverged":
            checkpoints.end(max(checkpoints.steps(), default=0), "diverged")
            tracker.end("FAILED", diverged=ended.reason)
            tracker.close()
            kept = f"last good checkpoint in {checkpoints.root}" if checkpoints.steps() else "before any checkpoint"
            raise InputError(f"{checkpoints.run}: diverged: {ended.reason}; {kept}")
        case "broken":
            tracker.text(TRACEBACK, ended.traceback)
            tracker.end("FAILED")
            tracker.close()
            raise InputError(f"{checkpoints.run}: {ended.reason}")
        case _:
            tracker.end("FAILED")
            tracker.close()
            raise InputError(f"{checkpoints.run}: {ended.reason or 'the workers ended without a word'}")


def main(name: str, path: Path, fresh: bool) -> None:
    """Train the run `name` of the params file at `path`; `fresh`: from its first step, as dvc repro -f does."""
    params = load_params(path)
    with stage.alone(f"train-{name}"):
        run_stage(params, path, name, fresh or above.forced())
