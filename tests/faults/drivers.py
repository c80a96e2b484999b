"""Faults of the processes that a person starts, and of a Ray that a run has to itself."""

import signal
import subprocess
import time
from typing import Any

import pandas as pd
import psutil
from mlflow import MlflowClient

from tests.faults.matrix import fault
from tests.faults.place import EVERY, PATIENCE_SECONDS, STEPS, Failed, Place, Repository
from tests.pipelines.conftest import cmdline, ring_run, training_workers
from tests.pipelines.sweeping import sweep_of, trial_processes


def ended(place: Place, number: int, status: int) -> str:
    """Send the driver a signal, and start it again."""
    place.forks = {}
    process = place.train()
    place.moment(process)
    place.hurt()
    process.send_signal(number)
    return place.again(process, status)


@fault("kill -9 of the training's driver")
def killed(place: Place) -> str:
    return ended(place, signal.SIGKILL, -signal.SIGKILL)


@fault("SIGTERM of the training's driver")
def terminated(place: Place) -> str:
    return ended(place, signal.SIGTERM, 143)


def own_ray(place: Place, part: str, number: int) -> str:
    place.forks = {}
    place.environment.pop("RAY_ADDRESS")
    process = place.train()
    place.moment(process)
    place.hurt()
    place.below(process, part).send_signal(number)
    process.wait(timeout=PATIENCE_SECONDS)
    if process.returncode == 0:  # it takes its time to end
        place.ends(process, 0)
        return "the run ends well before it does"
    return place.again(process, 1)


@fault("kill -9 of the raylet")
def raylet_killed(place: Place) -> str:
    return own_ray(place, "raylet", signal.SIGKILL)


@fault("SIGTERM of the raylet")
def raylet_terminated(place: Place) -> str:
    return own_ray(place, "raylet", signal.SIGTERM)


@fault("kill -9 of the GCS")
def gcs_killed(place: Place) -> str:
    return own_ray(place, "gcs_server", signal.SIGKILL)


@fault("SIGTERM of the GCS")
def gcs_terminated(place: Place) -> str:
    return own_ray(place, "gcs_server", signal.SIGTERM)


class Sweep(Place):
    """A sweep of two trials, side by side."""

    words = ("sweep", "clip")
    saved = "storage/sweep_clip-*/*/step_*/manifest.json"

    def train(self, **changes: Any) -> "subprocess.Popen[str]":
        self.write(sweeps={"clip": sweep_of(seeds=1, steps=STEPS, evaluate_every=5 * EVERY)}, ring=ring_run("wgan"))
        return self.start(*self.words, **self.forks)

    def digest(self) -> str:
        found = pd.read_csv(self.folder / "sweeps/clip/trials.csv")
        return str(found[["trial", "model.clip", "outcome", "best"]].to_csv())

    def lost(self, expected: str) -> list[str]:
        found = [] if self.digest() == expected else ["results differ"]
        store = MlflowClient(f"sqlite:///{self.folder}/tracking/mlflow.db")
        experiment = store.get_experiment_by_name("sweep-clip")
        runs = store.search_runs([experiment.experiment_id]) if experiment else []
        names = sorted(str(run.info.run_name) for run in runs)
        if len(names) != 3 or len(set(names)) != 3:
            found.append(f"MLflow has {len(names)} runs for 3")
        found += sorted({f"MLflow has {run.info.status}" for run in runs} - {"MLflow has FINISHED"})
        return found

    def orphans(self) -> list[psutil.Process]:
        return super().orphans() + trial_processes()


@fault("kill -9 of the sweep's driver", Sweep, trials=2)
def sweep_killed(place: Place) -> str:
    return ended(place, signal.SIGKILL, -signal.SIGKILL)


@fault("SIGTERM of the sweep's driver", Sweep, trials=2)
def sweep_terminated(place: Place) -> str:
    return ended(place, signal.SIGTERM, 143)


def repro(place: Repository, number: int) -> str:
    """Send `dvc repro` a signal, and at once start another."""
    process = place.dvc_starts("repro", "train@ring")
    place.moment(process)
    place.hurt()
    process.send_signal(number)
    process.wait(timeout=60)
    second, most, end = place.dvc_starts("repro", "train@ring"), 0, time.monotonic() + PATIENCE_SECONDS
    while second.poll() is None and time.monotonic() < end:
        most = max(most, len(training_workers()))
        time.sleep(0.1)
    place.ends(second, 0)
    if most != 1:
        raise Failed(f"{most} workers trained at once")
    return "the second repro waits for the stage to end, and goes on"


@fault("kill -9 of dvc repro, and at once another", Repository)
def repro_killed(place: Repository) -> str:
    return repro(place, signal.SIGKILL)


@fault("SIGTERM of dvc repro, and at once another", Repository)
def repro_terminated(place: Repository) -> str:
    return repro(place, signal.SIGTERM)


@fault("a second dvc repro while the first is at work", Repository)
def repro_twice(place: Repository) -> str:
    first = place.dvc_starts("repro", "train@ring")
    place.moment(first)
    place.hurt()
    second = place.dvc_starts("repro", "train@ring")
    place.ends(first, 0)
    text = place.ends(second, 0, 1, 255)
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    refused = "lock" in text or "busy" in text
    return "the second is refused; the first goes on unharmed" if refused else "the second waits for the first"


@fault("kill -9 of the stage below dvc repro", Repository)
def stage_killed(place: Repository) -> str:
    process = place.dvc_starts("repro", "train@ring")
    place.moment(process)
    children = psutil.Process(process.pid).children(recursive=True)
    place.hurt()
    next(child for child in children if cmdline(child)[2:3] == ["train"]).kill()
    place.ends(process, 255, 1)
    place.ends(place.dvc_starts("repro", "train@ring"), 0)
    return "dvc says so; repro again goes on"
