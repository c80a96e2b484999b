"""Where one trial of a fault is made: a fresh folder, in which a run is trained, hurt, and trained to its end."""

import hashlib
import random
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from mlflow import MlflowClient

from pipelines.runtime.forkserver import ADDRESS
from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import Workplace, cmdline, ring_run, training_workers

STEPS, EVERY = 400, 20
"""Of a run, and between its checkpoints: some seconds in all."""
LOGGING = {"logging": {"checkpoint_every": EVERY, "metrics_every": EVERY}}
NICE = {"RAY_worker_niceness": "0"}
"""Else what else the machine does would come before the workers, and the seconds would tell of that."""
MARK = "GEN_FAULT_TRIAL"
"""In the environment of every process of a trial: its folder."""
ORPHAN_SECONDS = 30.0
PATIENCE_SECONDS = 240.0


class Failed(Exception):
    """A trial did not go as promised; says what was seen instead."""


class CannotBeTried(Exception):
    """Says why a fault cannot be tried on this machine."""


class Place(Workplace):
    """The folder of a trial."""

    workers = 1
    words = ("train", "ring")
    """What trains."""
    saved = "storage/ring-*/step_*/manifest.json"
    """Where checkpoints are."""

    def __init__(self, folder: Path, template: Path, cluster: str, forks: str, chance: random.Random) -> None:
        shutil.copytree(template, folder, symlinks=True)
        super().__init__(folder, cluster)
        self.forks = {ADDRESS: forks}
        self.environment |= {MARK: str(folder), **NICE}
        self.changes |= LOGGING
        self.chance = chance
        self.hurt_at = 0.0
        self.seconds: float | None = None
        """From the fault until there was more than before it: a newer checkpoint, or the end."""
        self.over = threading.Event()
        self.watching: object = None
        self.view = folder
        """The folder as the commands of the trial see it."""
        self.keeper: subprocess.Popen[bytes] | None = None
        """A process by which a namespace lives on."""

    # Moments.

    def reached(self) -> int:
        """The step of the newest checkpoint."""
        found = [int(path.parent.name[5:]) for path in self.view.glob(self.saved)]
        return max(found, default=0)

    def moment(self, process: "subprocess.Popen[Any]", least: int = 1) -> None:
        """Wait for a random moment of the training, after its first checkpoints."""
        self.wait(lambda: self.reached() >= EVERY * self.chance.randint(least, 12), process)
        self.pause(0.0, 0.2)

    def pause(self, least: float, most: float) -> None:
        time.sleep(self.chance.uniform(least, most))

    def wait(self, condition: Callable[[], Any], process: "subprocess.Popen[Any] | None" = None) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if process is not None and process.poll() is not None:
                raise Failed(f"the run ended with status {process.returncode} before the fault: {self.said(process)}")
            if time.monotonic() > end:
                raise Failed("what was waited for did not come")
            time.sleep(0.02)

    def hurt(self) -> None:
        """To be called right before the fault."""
        self.hurt_at = time.monotonic()
        self.watch()

    def watch(self) -> None:
        """Take the seconds from the fault until there is a checkpoint newer than those there are now."""
        before, self.seconds = self.reached(), None
        watch = self.watching = object()

        def look() -> None:
            while not self.over.wait(0.1):
                if self.watching is not watch:
                    return
                if self.reached() > before:
                    break
            if self.watching is watch:
                self.seconds = time.monotonic() - self.hurt_at

        self.looking = threading.Thread(target=look, daemon=True)
        self.looking.start()

    # Disks.

    def apart(self, mounts: str) -> None:
        """From now on commands run where these mounts were made (in sh, in the folder), and nobody else sees them."""
        self.forks = {}
        alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"{mounts} && echo && exec sleep 10000"]
        self.keeper = subprocess.Popen(
            alone, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.keeper.stdout is not None
        if not self.keeper.stdout.readline():
            raise CannotBeTried("this system lets nobody have disks of his own")
        self.view = Path(f"/proc/{self.keeper.pid}/root{self.folder}")
        enter = ["nsenter", "--target", str(self.keeper.pid), "--user", "--mount", "--preserve-credentials"]
        self.before = [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(self.folder)]

    def small_disk(self, name: str, size: str) -> None:
        """The folder of that name is a disk of that size, with what is in it already."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        mount = f"mount -t tmpfs -o size={size} none {name}"
        self.apart(f"cp -a {name} kept && {mount} && cp -a kept/. {name} && rm -r kept")

    def fill(self, name: str, spare: int = 0) -> Path:
        """Take all but some room of that disk; the file that takes it."""
        filler = self.view / name / "filler"
        free = shutil.disk_usage(filler.parent).free - spare
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while free > 0:
                free -= file.write(bytes(min(4096, free)))
        return filler

    # Commands.

    def train(self, **changes: Any) -> "subprocess.Popen[str]":
        """Begin to train the run, in a fork unless `forks` is empty: it is not the beginning that is measured."""
        self.write(ring=ring_run(steps=STEPS, workers=self.workers) | changes)
        return self.start(*self.words, **self.forks)

    def worker(self, process: "subprocess.Popen[str]") -> psutil.Process:
        """One of the run's workers, as soon as it is there."""
        self.wait(training_workers, process)
        return self.chance.choice(training_workers())

    def below(self, process: "subprocess.Popen[Any]", name: str) -> psutil.Process:
        """The process of that name which the command has started."""
        return next(one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == name)

    def said(self, process: "subprocess.Popen[Any]") -> str:
        """The last line of what a command that has ended said."""
        out, err = process.communicate(timeout=30)
        lines = [line for line in f"{out or ''}\n{err or ''}".splitlines() if line.strip()]
        return lines[-1].replace(str(self.folder), "") if lines else ""

    def ends(self, process: "subprocess.Popen[Any]", *statuses: int) -> str:
        """What the command says that ends with one of these statuses."""
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"it did not end within {PATIENCE_SECONDS:.0f} s") from None
        text = f"{out or ''}\n{err or ''}".strip().replace(str(self.folder), "")
        if process.returncode not in statuses:
            raise Failed(f"status {process.returncode}: {text.splitlines()[-1] if text else 'not a word'}")
        if "Traceback" in text:
            raise Failed(f"status {process.returncode}, with a traceback")
        return text

    def goes_on(self, process: "subprocess.Popen[str]") -> str:
        """The command ends well, though it has lost its worker."""
        told = "goes on from the newest checkpoint" in self.ends(process, 0)
        return "goes on by itself, and says so" if told else "the run was already over"

    def again(self, process: "subprocess.Popen[str]", *statuses: int, what: str = "") -> str:
        """The command ends so, and the same command once more ends well."""
        text = self.ends(process, *statuses)
        errors = re.findall(r"^error: (.*)", text, re.MULTILINE)
        if 1 in statuses and process.returncode == 1 and len(errors) != 1:
            raise Failed(f"{len(errors)} lines of error")
        self.watch()
        self.ends(self.start(*self.words), 0)
        end = what or {1: "one line says so", 143: "saves and ends"}.get(process.returncode, "dies")
        return f"{end}; the same command goes on"

    # What is left.

    def digest(self) -> str:
        """Of the weights, best and last."""
        files = [self.view / "models/toys/ring" / part / "weights.safetensors" for part in ("", "last")]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def record(self) -> tuple[list[str], list[int]]:
        """MLflow's: the status of each of its runs, and the steps of the loss of the first."""
        database = self.folder / "tracking/mlflow.db"
        if self.view != self.folder:  # through /proc, which SQLite does not take for a folder
            database = Path(shutil.copy(self.view / "tracking/mlflow.db", self.folder / "seen.db"))
        store = MlflowClient(self.environment.get("MLFLOW_TRACKING_URI", f"sqlite:///{database}"))
        experiment = store.get_experiment_by_name("toys")
        runs = store.search_runs([experiment.experiment_id]) if experiment else []
        history = store.get_metric_history(runs[0].info.run_id, "loss/generator") if runs else []
        return [run.info.status for run in runs], [metric.step for metric in history]

    def lost(self, expected: str) -> list[str]:
        """What is not as after a run that nothing has hurt."""
        found = [] if self.digest() == expected else ["weights differ"]
        statuses, steps = self.record()
        if statuses != ["FINISHED"]:
            found.append(f"MLflow has {', '.join(statuses) or 'no run'}")
        missing = len(set(range(EVERY, STEPS + 1, EVERY)) - set(steps))
        found += [f"{missing} metrics"] if missing else []
        found += ["metrics twice"] if len(set(steps)) < len(steps) else []
        return found

    def orphans(self) -> list[psutil.Process]:
        """Processes of the trial that are still there."""
        return [one for one in psutil.process_iter() if _of(one, str(self.folder))] + training_workers()

    def leave(self) -> list[str]:
        """Wait for the processes of the trial to end; names those that did not, and ends them."""
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait()
        self.over.set()
        if self.hurt_at:
            self.looking.join()
        end = time.monotonic() + ORPHAN_SECONDS
        while (left := self.orphans()) and time.monotonic() < end:
            time.sleep(0.2)
        names = [" ".join(cmdline(one))[:60] for one in left]
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        return names


class Repository(Place, Checkout):
    """The same in a copy of the repository, in which DVC runs."""

    def dvc_starts(self, *words: str) -> "subprocess.Popen[str]":
        command = [*self.before, "dvc", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True)


def _of(process: psutil.Process, folder: str) -> bool:
    try:
        marked = process.environ().get(MARK) == folder
        return (marked or process.cwd() == folder) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False
