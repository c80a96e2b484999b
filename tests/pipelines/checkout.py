"""A small copy of the repository, in which DVC runs for real."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.pipelines.conftest import ROOT, Workplace, ring_run

RUNS = {"ring_gan": ring_run("gan", steps=100), "ring_wgan": ring_run("wgan", steps=100)}


class Checkout(Workplace):
    """A copy of the repository, committed to git, with two small runs; DVC runs the code of the copy."""

    def __init__(self, folder: Path, cluster: str) -> None:
        super().__init__(folder, cluster)
        self.message = folder.with_name("said.txt")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment |= {"PYTHONPATH": str(folder), "PATH": path, "DVC_NO_ANALYTICS": "1"}
        # As in a container: DVC takes sh then, which may stay between it and its stages.
        self.environment.pop("SHELL", None)
        if (folder / ".git").exists():  # it is the copy of such a copy
            return
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, files.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)
        self.write(**RUNS)
        self.git("init", "-q")
        self.git("config", "user.name", "test")
        self.git("config", "user.email", "test@localhost")

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "as built")

    def start_dvc(self, *words: str) -> "subprocess.Popen[bytes]":
        """A DVC command; what it says is in `said.txt` beside the copy, where a terminal would outlive it too."""
        command = [Path(sys.executable).with_name("dvc"), *words]
        with self.message.open("wb") as file:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=file, stderr=file)

    def dvc(self, *words: str) -> str:
        """What a DVC command prints; it must succeed."""
        command = [Path(sys.executable).with_name("dvc"), *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is empty" not in done.stderr, "DVC warns of folders that are"
        return done.stdout

    def repro(self, *words: str) -> list[str]:
        """The stages that `dvc repro` runs."""
        return re.findall(r"Running stage '(\S+)'", self.dvc("repro", *words))

    def dirty(self) -> set[str]:
        """The stages that `dvc repro` would run: `dvc status` alone would tell of paper/dvc.yaml too."""
        found = set(json.loads(self.dvc("status", "--json", "dvc.yaml")))
        if "code" in found:  # as long as it has not run, no other stage is stale for its code
            assert self.repro("code") == ["code"]
            found = set(json.loads(self.dvc("status", "--json", "dvc.yaml")))
        return found

    @contextmanager
    def edited(self) -> Iterator[None]:
        """What git and DVC track is as it was built, again, after the block."""
        try:
            yield
        finally:
            self.git("reset", "-q", "--hard")
            self.git("clean", "-q", "-f", "-d", "gen")
            self.git("clean", "-q", "-f", "-d", "-x", "models", "evaluations")  # those of runs that are gone, too
            self.dvc("checkout", "--force", "dvc.yaml")

    def weights(self, name: str) -> str:
        path = self.folder / "models" / "toys" / name / "weights.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def tracked(self, name: str) -> list[Run]:
        """The run's attempts in MLflow, the newest first."""
        store = MlflowClient(f"sqlite:///{self.folder}/tracking/mlflow.db")
        experiment = store.get_experiment_by_name("toys")
        return store.search_runs([experiment.experiment_id], f"tags.run = '{name}'") if experiment else []

    def steps(self, run: Run) -> list[int]:
        """At which steps MLflow has its loss."""
        store = MlflowClient(f"sqlite:///{self.folder}/tracking/mlflow.db")
        return [metric.step for metric in store.get_metric_history(run.info.run_id, "loss/generator")]
