"""Ray at work on one job, and what its workers say passed on: the same for a stage and for a trial of a sweep."""

import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

import psutil
import ray
from ray.exceptions import RayActorError, RayError, WorkerCrashedError

from pipelines.runtime import worker
from pipelines.runtime.cluster import capacity, lost, resources
from pipelines.runtime.mailbox import Ended, Grid, Mailbox, Metrics
from pipelines.runtime.patience import asked
from pipelines.runtime.warm import own_worker
from pipelines.runtime.worker import GIVEN_UP, LESS_MEMORY, Job

POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0
"""How long one look into the mailbox may take."""
GIVEN_UP_SECONDS = 60.0
TOO_FEW_SECONDS = 60.0
"""How long a cluster is waited for that has too few CPUs, after the loss of a host, say."""
GROWING_SECONDS = 900.0
"""The same of a cluster whose autoscaler may start as many."""
UNHEARD_SECONDS = 20.0
"""How long workers that have said nothing yet are waited for once they are to stop: a busy cluster may have none."""
SAVE_SECONDS = 60.0
"""How long those that have been heard are waited for: one may hang, and what was saved before is safe."""
NOTICE_SECONDS = 8.0
"""After which it is said that they are waited for."""
LOST = (WorkerCrashedError, RayActorError)
"""How Ray tells of a process that was killed: a task's, or an actor's."""
NAMED = r"^(\w+\.)*(InputError|Unreadable|Unwritable): |^(\w+\.)+(?=\w+: )"
"""What Ray puts before a message: the exception's name, which ours need not, and its module."""


class Listener(Protocol):
    """Whoever wants to hear what the workers say."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name, after `step` steps."""
        ...

    def grid(self, step: int, name: str, picture: bytes) -> None:
        """A PNG, after `step` steps."""
        ...


class Fit(threading.Thread):
    """Work beside the main thread, which Python gives the signals to; a failure is told in `reason`."""

    reason = ""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(daemon=True, name=job.name)
        workers = job.run.compute.workers
        self.needs = {"CPU": workers * job.run.compute.threads, "GPU": workers if device == "cuda" else 0}
        """What it takes of a cluster."""

    def abandon(self) -> None:
        """End workers that Ray would leave alive when this process leaves it."""


def fit(job: Job, max_failures: int, device: str) -> Fit:
    """What trains the job, still to be started."""
    return (Alone if job.run.compute.workers == 1 else Together)(job, max_failures, device)


class Alone(Fit):
    """One worker, a task of Ray: without the processes by which Ray Train coordinates several, it begins sooner.

    Sooner still by a warm worker, in a build of many stages; what that one has lost is tried again by a task.
    """

    def __init__(self, job: Job, max_failures: int, device: str) -> None:
        super().__init__(job, device)
        self.job, self.attempts = job, 1 + max_failures
        self.abandoned = False
        needs = {"num_cpus": job.run.compute.threads, "num_gpus": 1 if device == "cuda" else 0}
        # Ray would try again for ever what it ended for want of memory.
        self.task = ray.remote(worker.work_alone).options(**needs, max_retries=0)
        self.warm = own_worker(job.run.compute, device)
        if self.warm:
            self.needs = {"CPU": 0, "GPU": 0}

    def run(self) -> None:
        """Train to the end; after the loss of its process again, from the newest checkpoint."""
        for left in reversed(range(self.attempts)):
            self.reason = ""
            try:
                ray.get((self.warm.work_alone if self.warm else self.task).remote(self.job))
                return
            except SystemExit:  # Ray was left, after a run that diverged or hung
                return
            except Exception as error:
                if self.abandoned:
                    return
                self.reason, self.warm = reason_of(error), None
                if left:
                    why = "its process was killed" if isinstance(error, LOST) else self.reason
                    more = f"tried {left} more time{'s' * (left > 1)} at most"
                    print(f"{self.name}: {why}; it goes on from the newest checkpoint, {more}", flush=True)

    def abandon(self) -> None:
        """End the warm worker, which is no part of what Ray ends with this process; it is not tried again."""
        self.abandoned = True
        if self.warm:
            ray.kill(self.warm)


class Together(Fit):
    """Several workers, by Ray Train."""

    def __init__(self, job: Job, max_failures: int, device: str) -> None:
        from ray.train import (
            FailureConfig,
            RunConfig,
            ScalingConfig,
        )  # half a second, which one worker need not wait for
        from ray.train.torch import TorchTrainer

        super().__init__(job, device)
        self.storage = of_ray(job.storage)
        self.folder = f"{job.name}-{uuid.uuid4().hex[:8]}"
        compute = job.run.compute
        self.trainer = TorchTrainer(
            worker.work,
            train_loop_config={"job": job},
            scaling_config=ScalingConfig(
                num_workers=compute.workers, use_gpu=device == "cuda", resources_per_worker={"CPU": compute.threads}
            ),
            run_config=RunConfig(
                name=self.folder,
                storage_path=self.storage,
                failure_config=FailureConfig(max_failures=max_failures),
            ),
        )

    def run(self) -> None:
        """Train to the end."""
        try:
            self.trainer.fit()
        except Exception as error:  # of a worker; or Ray was left, after a run that diverged, while this still waited
            self.reason = reason_of(error)
        if "://" not in self.storage:  # nobody writes there any more, and what counts is in the checkpoints
            shutil.rmtree(Path(self.storage) / self.folder, ignore_errors=True)


def of_ray(storage: str) -> str:
    """The folder of the storage that is Ray's own; an object store's URL may have options."""
    path, mark, query = storage.partition("?")
    return f"{path}/ray{mark}{query}"


def reason_of(error: Exception) -> str:
    """Why Ray Train gave up, in one line."""
    message = str(error).strip() or type(error).__name__
    if "OutOfMemoryError" in message or "low on memory" in message:
        used = re.search(r"([\d.]+ ?[KMGT]?i?B)(?: used)? / ([\d.]+ ?[KMGT]?i?B)", message)
        share = f" ({used[1]} of {used[2]} were in use)" if used else ""
        return (
            f"memory ran out on a worker's machine{share}, and Ray ended the worker: {LESS_MEMORY}, compute.workers too"
        )
    if isinstance(error, LOST):
        memory = psutil.virtual_memory()
        now = f"{(memory.total - memory.available) / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of this machine's"
        return f"its process was killed, as a system without memory does ({now} are in use now): then {LESS_MEMORY}"
    return re.sub(NAMED, "", message.splitlines()[-1])


def follow(mailbox: Mailbox, work: Fit, listeners: Sequence[Listener], stop: threading.Event) -> Ended:
    """Pass on what the workers say until they end; once `stop` is set, ask them to."""
    ended, running, heard = None, True, False
    stopping, silence = Stopping(work.name, mailbox), Silence(work)
    work.start()
    while running:
        time.sleep(POLL_SECONDS)
        running = work.is_alive()
        try:
            if stop.is_set() and (given_up := stopping.given_up(heard)):
                work.abandon()
                return given_up
            if dead := lost():
                raise RayError(f"its {dead} has ended")
            events = mailbox.take(POLL_SECONDS if stop.is_set() else ANSWER_SECONDS)
            if given_up := silence.given_up(bool(events)):
                return given_up
        except RayError as error:
            message = f"Ray is gone ({str(error).splitlines()[0]})"
            if stop.is_set():
                return Ended("stopped", f"without its workers: {message}; what was saved before is kept")
            return Ended("failed", f"{message}; start it again to go on from what was saved")
        heard = heard or bool(events)
        for event in events:
            if isinstance(event, Ended):
                ended = event
            else:
                pass_on(event, listeners)
        if ended and ended.outcome in GIVEN_UP:
            work.join(GIVEN_UP_SECONDS)  # a worker has given up; others may wait for it in vain
            break
    return ended or Ended("failed", work.reason)


class Silence:
    """Workers that say nothing: what is said of it, and how long a cluster is waited for that cannot have them."""

    def __init__(self, work: Fit) -> None:
        self.work = work
        self.heard = self.looked = time.monotonic()
        self.short_since = 0.0
        """Since when the cluster has had too few CPUs; 0: it has enough."""
        self.patience = TOO_FEW_SECONDS
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        taken = [kind for kind, need in work.needs.items() if free.get(kind, 0.0) < need]
        self.busy = ", ".join(
            f"{work.needs[kind]} {kind}s, of which {free.get(kind, 0.0):.0f} are free" for kind in taken
        )
        """What others have taken of the cluster before it could begin; empty: nothing, or it was said."""
        self.answer: Future[tuple[float, float]] | None = None
        """What `cpus` waits for."""

    def cpus(self) -> tuple[float, float] | None:
        """How many CPUs the cluster has, and how many it may grow to; None while it has not answered.

        It is not waited for: a Ray that is just ending never answers, and ends this process after a minute.
        """
        self.answer = self.answer or asked(lambda: (resources()["CPU"], capacity()["CPU"]))
        if not self.answer.done():
            return None
        found, self.answer = self.answer.result(), None
        return found

    def given_up(self, heard: bool) -> Ended | None:
        """How it ended, when the cluster is not waited for any longer. `heard` is whether a worker just said a word."""
        now = time.monotonic()
        if heard:
            self.heard, self.short_since, self.busy = now, 0.0, ""
        if now - self.heard < NOTICE_SECONDS or now - self.looked < 1.0:
            return None
        if (found := self.cpus()) is None:
            return None
        self.looked, (have, most) = now, found
        few = f"the run takes {self.work.needs['CPU']} CPUs, the cluster has {have:.0f} left"
        if have >= self.work.needs["CPU"]:
            self.short_since = 0.0
            if self.busy:
                print(f"{self.work.name}: waiting for {self.busy}; `ray status` tells what takes them", flush=True)
                self.busy = ""
        elif not self.short_since:
            self.short_since = now
            self.patience = GROWING_SECONDS if most >= self.work.needs["CPU"] else TOO_FEW_SECONDS
            print(f"{self.work.name}: {few}; waiting for more, for {self.patience:.0f} s at most", flush=True)
        elif now - self.short_since > self.patience:
            remedy = "start it again once its hosts are back, or with fewer workers or threads"
            return Ended("failed", f"{few}, and no more came in {self.patience:.0f} s; {remedy}")
        return None


class Stopping:
    """Workers that are to save and return, and how long they are waited for."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self.name = name
        self.mailbox = mailbox
        self.asked = 0.0
        self.told = False

    def given_up(self, heard: bool) -> Ended | None:
        """Ask them; how it ended, when they are not waited for any longer. `heard` is whether they ever said a word."""
        if not self.asked:
            print(f"{self.name}: asked to stop; it saves a checkpoint first", flush=True)
        self.asked = self.asked or time.monotonic()
        self.mailbox.ask_to_stop()
        waited = time.monotonic() - self.asked
        answers = heard and self.mailbox.silent_seconds() < UNHEARD_SECONDS
        if waited > (SAVE_SECONDS if answers else UNHEARD_SECONDS):
            return Ended(
                "stopped", f"without an answer of its workers for {waited:.0f} s; what was saved before is kept"
            )
        if waited > NOTICE_SECONDS and not self.told:
            self.told = True
            print(f"{self.name}: waiting for its workers to save, for {SAVE_SECONDS:.0f} s at most", flush=True)
        return None


def pass_on(event: Metrics | Grid, listeners: Sequence[Listener]) -> None:
    """One event, to everybody."""
    for listener in listeners:
        if isinstance(event, Metrics):
            listener.metrics(event.step, event.values)
        else:
            listener.grid(event.step, event.name, event.picture)
