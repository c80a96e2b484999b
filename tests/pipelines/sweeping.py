"""Small sweeps on the ring of Gaussians, and what they leave."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.pipelines.conftest import Workplace, cmdline, ring_run

STEPS, EVERY = 300, 50


def sweep_of(space: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An entry of `sweeps`: two clips and two seeds of a WGAN on the ring."""
    return {
        "run": "ring",
        "dataset": "ring8",
        "family": "wgan",
        "changes": {},
        "space": space or {"model.clip": {"values": [0.01, 0.1], "log": True}},
        "seeds": 2,
        "steps": STEPS,
        "evaluate_every": EVERY,
        "metric": "validation/sliced_wasserstein",
        "mode": "min",
        "search": "grid",
        "points": None,
        "budget": None,
        "scheduler": "none",
        "grace_period": None,
        "concurrency": 2,
        **changes,
    }


def write(workplace: Workplace, sweep: dict[str, Any]) -> None:
    workplace.write(sweeps={"clip": sweep}, ring=ring_run("wgan"))


def run(workplace: Workplace) -> str:
    done = workplace.run("sweep", "clip")
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def trials(workplace: Workplace) -> pd.DataFrame:
    return pd.read_csv(workplace.folder / "sweeps" / "clip" / "trials.csv")


def tracked(workplace: Workplace) -> tuple[Run, dict[str, Run], MlflowClient]:
    """The only sweep there is, its trials by their names, and the store."""
    store = MlflowClient(f"sqlite:///{workplace.folder}/tracking/mlflow.db")
    experiment = store.get_experiment_by_name("sweep-clip")
    assert experiment is not None
    runs = store.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if run.info.run_name == "clip")
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len({run.info.run_name for run in children}) == len(children), "a trial is tracked twice"
    return parent, {str(run.info.run_name): run for run in children}, store


def logged_steps(store: MlflowClient, run: Run) -> list[int]:
    history = store.get_metric_history(run.info.run_id, "validation/sliced_wasserstein")
    return [metric.step for metric in history]


def seconds_on_record(folder: Path) -> dict[int, float]:
    """How long a trial had been trained at each evaluation that its newest whole checkpoint tells of."""
    whole = sorted(manifest.parent / "state.pt" for manifest in folder.glob("step_*/manifest.json"))
    history = torch.load(whole[-1], weights_only=True)["history"] if whole else []
    return {int(row["step"]): row["seconds"] for row in history}


def trial_processes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "ray::ImplicitFunc" in " ".join(cmdline(p))]


def wait_for(condition: Any, process: "subprocess.Popen[str]", seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
