"""Ray at work on one job, and what its workers say passed on: the same for a stage and for a trial of a sweep."""

import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil
import ray
from ray.exceptions import RayActorError, RayError, WorkerCrashedError

from pipelines.runtime import worker
from pipelines.runtime.cluster import lost
from pipelines.runtime.mailbox import Ended, Grid, Mailbox, Metrics
from pipelines.runtime.waiting import Silence, Stopping
from pipelines.runtime.warm import own_worker
from pipelines.runtime.worker import GIVEN_UP, LESS_MEMORY, Job

POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0
"""How long one look into the mailbox may take."""
GIVEN_UP_SECONDS = 60.0
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
    given_up = False
    """Set once nobody waits for it any more: it is not tried again then, and what ends it is no news."""

    def __init__(self, job: Job, device: str) -> None:
        super().__init__(daemon=True, name=job.name)
        workers = job.run.compute.workers
        self.needs = {"CPU": workers * job.run.compute.threads, "GPU": workers if device == "cuda" else 0}
        """What it takes of a cluster."""

    def abandon(self) -> None:
        """Give it up, and end workers that Ray would leave alive when this process leaves it."""
        self.given_up = True


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
                working = (self.warm.work_alone if self.warm else self.task).remote(self.job)
                while not self.given_up and ray.is_initialized():  # ray.wait would start another Ray
                    if ray.wait([working], timeout=POLL_SECONDS)[0]:
                        ray.get(working)
                        break
                return
            except SystemExit:  # Ray was left, after a run that diverged or hung
                return
            except Exception as error:
                self.reason, self.warm = reason_of(error), None
                if self.given_up or lost():
                    return
                if left:
                    why = "its process was killed" if isinstance(error, LOST) else self.reason
                    more = f"tried {left} more time{'s' * (left > 1)} at most"
                    print(f"{self.name}: {why}; it goes on from the newest checkpoint, {more}", flush=True)

    def abandon(self) -> None:
        """Give it up, and end the warm worker, which is no part of what Ray ends with this process."""
        super().abandon()
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
    work.start()
    try:
        return _followed(mailbox, work, listeners, stop)
    finally:
        work.given_up = True
        work.join(ANSWER_SECONDS)  # left while a thread waits in it, Ray may end this process before its last line


def _followed(mailbox: Mailbox, work: Fit, listeners: Sequence[Listener], stop: threading.Event) -> Ended:
    ended, running, heard = None, True, False
    stopping, silence = Stopping(work.name, mailbox), Silence(work.name, work.needs)
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


def pass_on(event: Metrics | Grid, listeners: Sequence[Listener]) -> None:
    """One event, to everybody."""
    for listener in listeners:
        if isinstance(event, Metrics):
            listener.metrics(event.step, event.values)
        else:
            listener.grid(event.step, event.name, event.picture)
