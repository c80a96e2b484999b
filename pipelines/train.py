"""Stage train@<run>: data/prepared/<dataset> to models/<group>/<run>, through Ray Train, tracked in MLflow."""

import sys
from collections.abc import Callable
from pathlib import Path

from gen.checkpoint import Checkpoints
from gen.config import Params, load
from gen.errors import InputError
from gen.identity import identity
from gen.profiling import TRACE
from pipelines import above, cluster, command, stage
from pipelines.fit import Fit, follow
from pipelines.jobs import job_of, open_inputs, storage_of
from pipelines.mailbox import Ended, Mailbox
from pipelines.model_folder import export
from pipelines.progress import Progress
from pipelines.tracking import Tracker, facts_of

STOPPED = 143
"""Exit status of a stage that SIGTERM ended."""


def run_stage(params: Params, name: str, fresh: bool) -> None:
    """Train the run `name` and export its model.

    Raises:
        InputError: the run, its data or the cluster do not fit, or the run diverged.
        SystemExit: asked to stop; the run is saved and goes on when started again.
    """
    run = params.run(name)
    dataset, judge = open_inputs(run.dataset)
    with cluster.joined(params.cluster, run.compute.workers * run.compute.threads):
        device = cluster.resolve_device(run.compute)
        digest = identity(run, dataset.digest, device)
        storage = storage_of(params.cluster)
        checkpoints = Checkpoints(storage, name, digest)
        with stage.alone(f"{name}-{digest[:12]}", above.home()):  # DVC runs experiments side by side
            start = checkpoints.begin(run.steps, fresh)
            tracker = Tracker(
                facts_of(run, name, dataset, identity=digest, attempt=start.attempt, storage=storage, device=device)
            )
            mailbox = Mailbox()
            job = job_of(
                run,
                name,
                (dataset, judge),
                device=device,
                score_samples=params.reference[run.dataset].score_samples,
                score_every=params.reference[run.dataset].score_every,
                logging=params.logging,
                storage=storage,
                identity=digest,
                mailbox=mailbox.handle,
            )
            progress = Progress(name, run.steps)
            fit = Fit(job, params.cluster.max_failures, device)
            ended = follow(mailbox, fit, [progress, tracker], stage.stop_requests())
            progress.close()
    if params.logging.profile_steps and checkpoints.has(TRACE):
        print(f"{name}: the profiler's trace is {checkpoints.root}/{TRACE}, for chrome://tracing", flush=True)
    conclude(ended, checkpoints, tracker, lambda: export(name, run, dataset, checkpoints, start.attempt))


def conclude(ended: Ended, checkpoints: Checkpoints, tracker: Tracker, finish: Callable[[], Path]) -> None:
    """Export a finished model with `finish`; say what became of any other run."""
    match ended.outcome:
        case "finished":
            tracker.model(finish())
            tracker.end("FINISHED")
            tracker.close()
            checkpoints.end(max(checkpoints.steps()), "finished")  # last: until then, starting again goes on from here
        case "stopped":
            tracker.end("KILLED")
            tracker.close()
            print("stopped and saved; start it again to go on", flush=True)
            raise SystemExit(STOPPED)
        case "diverged":
            checkpoints.end(max(checkpoints.steps(), default=0), "diverged")
            tracker.end("FAILED", diverged=ended.reason)
            tracker.close()
            kept = f"last good checkpoint in {checkpoints.root}" if checkpoints.steps() else "before any checkpoint"
            raise InputError(f"{checkpoints.run}: diverged: {ended.reason}; {kept}")
        case _:
            tracker.end("FAILED")
            tracker.close()
            raise InputError(f"{checkpoints.run}: {ended.reason or 'the workers ended without a word'}")


def main() -> None:
    """Read the arguments and params, and train the run."""
    parser = command.stage_parser("train", __doc__ or "", "python -m pipelines.train digits_dcgan")
    parser.add_argument("run", help="a run of the params file")
    parser.add_argument("--fresh", action="store_true", help="do not go on from a checkpoint, as dvc repro -f does")
    arguments = parser.parse_args()
    params = load(arguments.params)
    with stage.alone(f"train-{arguments.run}"):
        run_stage(params, arguments.run, arguments.fresh or above.forced())


if __name__ == "__main__":
    sys.exit(command.run(main))
