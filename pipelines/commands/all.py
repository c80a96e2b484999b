"""Stages of DVC, several at a time on one Ray, where `dvc repro` builds one after the other."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from gen.code import modules_in
from gen.config.load import load_params
from gen.config.params import Params
from gen.errors import InputError
from pipelines.runtime import cluster
from pipelines.runtime.forkserver import forkserver
from pipelines.runtime.warm import NAME, warm_workers

MOST = 8
"""Stages at a time, unless more are asked for: each takes a gigabyte of memory."""
LOOK_SECONDS = 0.2
LATE = ["pipelines.tracking.tracker", "mlflow.store.tracking.sqlalchemy_store", "torch._dynamo"]
"""Modules that stages import while they run; the last one, torch itself when an optimizer makes its first step."""
OF_DVC = (
    *("> ", "Generating lock file", "Updating lock file", "To track", "\tgit add", "To enable", "\tdvc config"),
    *("Use `dvc push`", "Data and pipelines are up to date", "WARNING: "),
)
"""How lines begin that DVC prints about every stage."""


def main(targets: Sequence[str], path: Path, jobs: int | None) -> set[str]:
    """Build targets of dvc.yaml and all they need, `jobs` stages at a time.

    Args:
        targets: stages such as evaluate@digits_wgan; none: all of the dvc.yaml beside the params file.
        path: the params file, which names the cluster.
        jobs: by default as many as this machine has CPUs for.

    Returns:
        The stages that were run, and not up to date.

    Raises:
        InputError: there is no such stage, or one failed; those that were running were finished first.
    """
    params = load_params(path)
    jobs = jobs or default_jobs(params)
    needs = stages(targets, path.with_name("dvc.yaml").as_posix())
    with cluster.joined(params.cluster, jobs * threads(params)):
        own = {
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)),  # else stages wait for each other's threads
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # gen, and dvc
            "PYTHONUNBUFFERED": "1",
            "RAY_ADDRESS": cluster.address(),
        }
        with (
            forkserver(modules(needs), os.environ | own) as environment,
            warm_workers(0 if cluster.named(params.cluster) else jobs) as workers,
        ):
            return Build(needs, environment, workers).run(jobs)


def modules(needs: Iterable[str]) -> list[str]:
    """Those of the stages, and of what they import late."""
    kinds = {name.rpartition(":")[2].partition("@")[0] for name in needs}
    return [f"pipelines.stages.{kind}" for kind in modules_in("pipelines.stages") if kind in kinds] + LATE


def threads(params: Params) -> int:
    """CPUs of the run that takes most."""
    return max((run.compute.workers * run.compute.threads for run in params.runs.values()), default=1)


def default_jobs(params: Params) -> int:
    """As many runs at a time as this machine has CPUs for."""
    return max(1, min(MOST, (os.cpu_count() or 1) // threads(params)))


def stages(targets: Sequence[str], file: str) -> dict[str, set[str]]:
    """The targets, or all stages of a dvc.yaml, and what they need: of each stage, those it depends on.

    Raises:
        InputError: there is no such target, or DVC's files cannot be read: dvc.lock in a merge, say.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            graph = repo.index.graph
            try:
                ends = [stage for target in targets for stage in repo.stage.collect(target)]
            except DvcException as error:
                raise InputError(f"{' '.join(targets)}: {error}; `dvc stage list` names those there are") from None
            waiting = ends or [stage for stage in graph if stage.path_in_repo == file]
            needs: dict[str, set[str]] = {}
            while waiting:
                stage = waiting.pop()
                if stage.addressing not in needs:
                    before = list(graph.successors(stage))
                    needs[stage.addressing] = {one.addressing for one in before}
                    waiting += before
            order = [stage.addressing for stage in repo.index.stages]
    except DvcException as error:
        message = " ".join(str(error).split())
        raise InputError(f"DVC cannot read the stages: {message}; `dvc status` says where") from None
    return {name: needs[name] for name in order if name in needs}


class Build:
    """Stages, those they depend on, and how far they are."""

    def __init__(
        self, needs: Mapping[str, set[str]], environment: Mapping[str, str], workers: Sequence[str] = ()
    ) -> None:
        self.needs = needs
        self.environment = environment
        self.workers = list(workers)
        """Warm ones that no stage has."""
        self.waiting = list(needs)
        self.done: set[str] = set()
        self.ran: set[str] = set()
        self.begun: list[str] = []
        self.processes: set[subprocess.Popen[str]] = set()
        self.lock = threading.Lock()

    def run(self, jobs: int) -> set[str]:
        """Build them. Returns those that were not up to date. Raises InputError when one failed."""
        running: dict[Future[int], list[str]] = {}
        failed: list[str] = []
        with ThreadPoolExecutor(jobs) as pool, self.ended_together():
            while running or (self.waiting and not failed):
                while not failed and len(running) < jobs and (chain := self.next_chain()):
                    running[pool.submit(self.reproduce, chain)] = chain
                for future in wait(running, LOOK_SECONDS, FIRST_COMPLETED).done:
                    chain = running.pop(future)
                    if future.result():
                        failed.append(next((name for name in reversed(chain) if name in self.begun), chain[0]))
                        if running:
                            print("a stage failed; waiting for those that are running", file=sys.stderr, flush=True)
                    self.done |= set(chain)
        if failed:
            raise InputError(f"{' or '.join(failed)} failed, as said above; the same command goes on from there")
        return self.ran

    def next_chain(self) -> list[str]:
        """A stage that can begin, behind it one that waited for that, and so on; none when all have to wait.

        One DVC builds them one by one: it takes seconds to start.
        """
        chain: list[str] = []
        for name in self.waiting:
            ready = self.needs[name] <= self.done.union(chain)
            if ready and (not chain or chain[-1] in self.needs[name]):
                chain.append(name)
        self.waiting = [name for name in self.waiting if name not in chain]
        return chain

    def reproduce(self, chain: Sequence[str]) -> int:
        """Let DVC build stages one by one. Returns its exit status."""
        dvc = str(Path(sys.executable).with_name("dvc"))
        # By -s: looking at what they depend on, DVC would lock it, and others are using it. And patiently: another DVC
        # that looks at its stages holds the lock of the repository, on a busy machine for longer than DVC waits itself.
        command = [dvc, "--wait-for-lock", "repro", "-s", *chain]
        worker = self.workers.pop() if self.workers else ""
        environment = {**self.environment, NAME: worker}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            self.processes.add(process)
            for line in process.stdout or ():
                self.pass_on(line, chain)
        self.processes.discard(process)
        if worker:
            self.workers.append(worker)
        return process.returncode

    def pass_on(self, line: str, chain: Sequence[str]) -> None:
        """Print what a stage says, and the number of each stage, but not what DVC says of itself."""
        words = line.split("'")
        running, current = line.startswith("Running stage '"), "' didn't change, skipping" in line
        with self.lock:
            if running or current:
                self.begun.append(words[1])
                self.done |= set(chain[: chain.index(words[1])])
                self.ran |= {words[1]} if running else set()
                state = "" if running else " is up to date"
                print(f"stage {len(self.begun)} of {len(self.needs)}: {words[1]}{state}", flush=True)
            elif line.strip() and not line.startswith(OF_DVC):
                print(line, end="", flush=True)

    @contextmanager
    def ended_together(self) -> Iterator[None]:
        """The processes end with this one, whose threads wait for them."""
        try:
            yield
        except BaseException:
            for process in list(self.processes):
                process.terminate()
            raise
