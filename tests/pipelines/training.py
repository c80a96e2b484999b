"""What a training of the ring has left in a workplace."""

import hashlib
import subprocess
import time
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run


def weights(folder: Path, name: str = "ring") -> str:
    return hashlib.sha256((folder / "models" / "toys" / name / "weights.safetensors").read_bytes()).hexdigest()


def tracked(folder: Path) -> tuple[MlflowClient, list[Run]]:
    store = MlflowClient(f"sqlite:///{folder}/tracking/mlflow.db")
    experiment = store.get_experiment_by_name("toys")
    assert experiment is not None
    return store, store.search_runs([experiment.experiment_id])


def wait_for_checkpoint(folder: Path, process: "subprocess.Popen[str]", seconds: float = 90) -> None:
    """Until the run has saved a checkpoint that is not there yet."""
    end, before = time.monotonic() + seconds, saved(folder)
    while saved(folder) <= before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no checkpoint"
        time.sleep(0.05)


def saved(folder: Path) -> set[str]:
    """The steps there are checkpoints of."""
    return {path.parent.name for path in folder.glob("storage/ring-*/step_*/manifest.json")}
