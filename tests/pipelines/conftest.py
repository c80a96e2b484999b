import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
import yaml

from gen.data.dataset import open_dataset
from gen.evaluation.reference import write_reference
from pipelines.cli import STAGES, invoke
from pipelines.commands.all import LATE
from pipelines.runtime import command, extraction, forkserver
from pipelines.runtime.cluster import LOCAL
from tests.families.small import POINTS, small
from tests.training.tiny import COMPUTE, RING, prepared

ROOT = Path(__file__).parent.parent.parent
PARAMS: dict[str, Any] = {
    "data": {"mirror": None},
    "cluster": {"address": None, "storage": "storage", "max_failures": 1},
    "logging": {
        "metrics_every": 50,
        "grid_every": 1000,
        "checkpoint_every": 200,
        "keep_checkpoints": 2,
        "profile_steps": 0,
    },
    "datasets": {"ring8": RING},
    "reference": {
        "ring8": {
            "extractors": ["coordinates"],
            "resolution": None,
            "classifier_steps": 0,
            "samples": 200,
            "seeds": 2,
            "score_samples": 100,
            "score_every": 200,
            "workers": 1,
        }
    },
    "svm": {},
    "explore": {},
    "sweeps": {},
    "compare": ["toys"],
    "critics": [],
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """One Ray for all stages, as `make demo` has it."""
    with one_ray() as address:
        yield address


@contextmanager
def one_ray(**environment: str) -> Iterator[str]:
    """A Ray inside the block, whose processes have that environment; its address."""
    with pytest.MonkeyPatch.context() as patch:
        # Its workers run elsewhere.
        for name, value in {"PYTHONPATH": str(ROOT), **LOCAL, **environment}.items():
            patch.setenv(name, value)
        started = ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield started.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="session")
def forks() -> Iterator[str]:
    """A server of forks, as `gen all` has it: stages that run to their end begin with their imports done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        modules = [f"pipelines.stages.{name}" for name in STAGES] + LATE
        with forkserver.forkserver(modules, dict(os.environ)) as environment:
            yield environment.get(forkserver.ADDRESS, "")


def training_workers() -> list[psutil.Process]:
    """Those alive in the Ray of these tests; another's on this machine are none of their business."""
    return [
        p
        for p in psutil.Process().children(recursive=True)
        if re.search("RayTrainWorker|work_alone", " ".join(cmdline(p)))
    ]


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


class Workplace:
    """A folder with params and prepared data in which stages are run as people run them."""

    def __init__(self, folder: Path, cluster: str, forks: str = "") -> None:
        self.folder, self.forks = folder, {forkserver.ADDRESS: forks} if forks else {}
        self.changes: dict[str, dict[str, Any]] = {}
        """What is otherwise in sections of the params above."""
        self.before: list[str] = []
        """What stands before a command, as `env` may."""
        self.environment = os.environ | {"RAY_ADDRESS": cluster, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.environment.pop("MLFLOW_TRACKING_URI", None)

    def write(self, *, sweeps: dict[str, Any] | None = None, **runs: dict[str, Any]) -> None:
        changed = {section: PARAMS[section] | fields for section, fields in self.changes.items()}
        values = {**PARAMS, **changed, "runs": runs, "sweeps": sweeps or {}}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(values))

    def start(self, stage: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        command = [*self.before, Path(sys.executable).with_name("gen"), stage, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, stage: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The stage, to its end; in a fork, unless its environment is special."""
        process = self.start(stage, *arguments, **(environment or self.forks))
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def here(self, stage: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """As `run`, but in this process, whose imports are done: for stages that join no Ray."""
        extraction._loaded_model.cache_clear()  # of this name there may be another by now
        extraction._loaded_data.cache_clear()
        out, err, threads = io.StringIO(), io.StringIO(), torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setattr(signal, "signal", lambda *handler: None)  # SIGTERM stays the suite's
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            status = command.run(lambda: invoke([stage, *arguments]))
        torch.set_num_threads(threads)
        if status == 130:
            raise KeyboardInterrupt
        return subprocess.CompletedProcess([stage, *arguments], status, out.getvalue(), err.getvalue())

    def refused(self, stage: str, *arguments: str, **environment: str) -> str:
        """The one line that a stage ends with which cannot be."""
        done = self.here(stage, *arguments, **environment)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def workplace(tmp_path: Path, cluster: str, forks: str, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return Workplace(tmp_path, cluster, forks)


def lay_out(folder: Path) -> None:
    """Prepared data and its reference, in what must be the current folder."""
    made = prepared(folder, "ring8")
    (folder / "data").mkdir()
    made.folder.parent.rename(folder / "data" / "prepared")
    reference = folder / "data" / "reference" / "ring8" / "coordinates"
    reference.mkdir(parents=True)
    dataset = open_dataset(folder / "data" / "prepared" / "ring8")
    write_reference(
        reference, extractor="coordinates", dataset=dataset, resolution=None, notes={}, move=lambda images: None
    )
    scoring = reference.with_name("scoring")  # as the stage has it
    shutil.copytree(reference, scoring, ignore=shutil.ignore_patterns("features.safetensors"))


def ring_run(family: str = "gan", steps: int = 400, workers: int = 1, **model: Any) -> dict[str, Any]:
    """An entry of `runs` on the ring of Gaussians."""
    return {
        "family": family,
        "dataset": "ring8",
        "group": "toys",
        "resolution": None,
        "seed": 3,
        "steps": steps,
        "batch_size": 32,
        "ema": 0.9,
        "warm_start": None,
        "part": None,
        "compute": COMPUTE.model_copy(update={"workers": workers}).model_dump(),
        "model": small(family, POINTS)[0] | model,
    }
