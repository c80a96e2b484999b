"""What runs on each worker of train@<run>. Imports no MLflow: workers only talk to the driver."""

import dataclasses
import platform
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from jaxtyping import Float
from ray.exceptions import RayError
from torch import Tensor

from gen.blame import blame, raised_in
from gen.code import code_digest
from gen.config.params import Logging, Run
from gen.data.dataset import open_dataset
from gen.errors import InputError
from gen.evaluation.reference import open_reference
from gen.families import family_file, family_module
from gen.figures.grid import grid, png
from gen.training.checkpoint import Checkpoints
from gen.training.identity import weights_code
from gen.training.journal import Callback, Diverged
from gen.training.scores import Score, score_of
from gen.training.storage import LASTING, Unreadable, Unwritable
from gen.training.train import train
from gen.training.workers import SINGLE_PROCESS, Workers
from pipelines.runtime.mailbox import Ended, Grid, Metrics
from pipelines.runtime.memory import keep_freed_memory
from pipelines.runtime.travel import here

GIVEN_UP = ("refused", "diverged", "broken")
"""How a run ends that is not tried again."""
MODELS = ("warm_start", "part")
"""Fields of a run that name another model."""
TRACEBACK = "traceback.txt"
LESS_MEMORY = "lower batch_size or the width of the networks, or raise compute.grad_accum_steps"


@dataclasses.dataclass(frozen=True)
class Job:
    """All that a worker is told. Paths are absolute: workers have a working directory of their own."""

    run: Run
    name: str
    data: Path
    reference: Path
    """The folder of the extractor that checkpoints are chosen by."""
    score_samples: int
    score_every: int
    logging: Logging
    storage: str
    identity: str
    mailbox: Any
    node: str = ""
    """Of Ray, that the stage runs on: what a worker's machine lacks comes from there. None in a process without Ray."""
    code: str = ""
    """Digest of the code that decides weights, and the versions of Python and torch, of the stage's machine."""
    host: str = dataclasses.field(default_factory=socket.gethostname)
    """Where the stage runs; a worker elsewhere names its own host in what it finds wrong."""


def work(config: dict[str, Job]) -> None:
    """Train, on one of the workers. Ray hands over the job in a dictionary."""
    from ray.train import get_context  # not needed by a worker that is alone, which begins sooner without

    job = config["job"]
    context = get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size())
    callback = MailboxCallback(job.mailbox)
    try:
        ended = run_job(job, callback, workers)
    except Exception:
        if callback.has_ended():  # another has given up, said why, and left the others
            return
        raise
    alone = ended.outcome in ("refused", "broken")
    if workers.is_rank_zero or alone:
        callback.ended(ended)
    if alone and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # the others would wait for this one in vain


def work_alone(job: Job) -> None:
    """Train, as the only worker."""
    callback = MailboxCallback(job.mailbox)
    callback.ended(run_job(job, callback, SINGLE_PROCESS))


def run_job(job: Job, callback: Callback, workers: Workers) -> Ended:
    """Do the job, as one of its workers, and say how it went. A trial of a sweep is the same job in another process."""
    torch.set_num_threads(job.run.compute.threads)
    keep_freed_memory()
    checkpoints = Checkpoints(job.storage, job.name, job.identity)
    try:
        job = at_hand(job)
        train(
            job.run,
            open_dataset(job.data),
            logging=job.logging,
            callback=callback,
            checkpoints=checkpoints,
            score=score_for(job),
            workers=workers,
        )
    except Diverged as error:
        return Ended("diverged", str(error))
    except InputError as error:  # trying again, as Ray does after a crash, would not help
        return Ended("refused", f"{error}{elsewhere(job)}")
    except Exception as error:
        if can_pass(error, family_file(job.run.family)):
            raise
        if isinstance(error, Unreadable | Unwritable):
            return Ended("refused", f"{error}{elsewhere(job)}")
        return broken(job, error, checkpoints)
    return Ended("finished" if job.run.steps in checkpoints.steps() else "stopped")


def at_hand(job: Job) -> Job:
    """The job, with folders of this machine. Raises InputError when this machine would compute something else."""
    if not job.node or job.node == ray.get_runtime_context().get_node_id():  # which would start a Ray
        return job
    if (code := code_of(job.run.family)) != job.code:
        raise InputError(f"{code} here, {job.code} where the stage runs; install the same on both")
    models = {name: str(here(Path(model), job.node)) for name in MODELS if (model := getattr(job.run, name))}
    run = job.run.model_copy(update=models)
    return dataclasses.replace(job, run=run, data=here(job.data, job.node), reference=here(job.reference, job.node))


def code_of(family: str) -> str:
    """In words, what of this machine decides weights."""
    digest = code_digest(*weights_code(family))
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python {python}, torch {torch.__version__.partition('+')[0]}, gen's code {digest[:12]}"


def elsewhere(job: Job) -> str:
    """Which host this is, in brackets, unless the stage runs on it, too."""
    here = socket.gethostname()
    return f" (on the host {here})" if here != job.host else ""


def can_pass(error: Exception, family: Path) -> bool:
    """Whether trying again may help: a disk, the network, a GPU or another worker failed, not the run's own code.

    An OSError of a full disk or of a missing right does not pass, nor does one that the code of the `family` raised.
    """
    if isinstance(error, RayError):
        return True
    if isinstance(error, OSError):
        return error.errno not in LASTING and not raised_in(error, family)
    if isinstance(error, torch.AcceleratorError):
        return "assert" not in str(error)  # an index out of range, say
    # What a lost worker does to those that wait for it has no type of its own.
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("torch.distributed") for frame, _ in frames)


def broken(job: Job, error: Exception, checkpoints: Checkpoints) -> Ended:
    """What is said of an error in the job's own code; the whole traceback is kept beside the checkpoints."""
    whole = "".join(traceback.format_exception(error))
    message = blame(error, family_file(job.run.family))
    if isinstance(error, torch.OutOfMemoryError):
        message += f"; the GPU's memory ran out: {LESS_MEMORY}"
    try:
        checkpoints.put(TRACEBACK, whole.encode())
    except OSError as failed:
        return Ended("broken", f"{message}; its traceback cannot be kept: {failed}", whole)
    return Ended("broken", f"{message}; whole traceback: {checkpoints.root}/{TRACEBACK}", whole)


def score_for(job: Job) -> Score:
    """What the run's checkpoints are chosen by. Raises InputError when the reference is missing or damaged."""
    model = family_module(job.run.family).Model
    return score_of(model, open_reference(job.reference), job.score_samples, job.score_every)


class MailboxCallback:
    """The worker's end: a gen.training.journal.Observer that never waits for the driver."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.answer: Any = None
        self.asked_to_stop = False

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Post them; the answer, whether to stop, is read when it is there."""
        self.stop()
        answer = self.handle.put.remote(Metrics(step, dict(values)))
        if self.answer is None:  # else the one before is still awaited: replacing it, a fast run might never read any
            self.answer = answer

    def grid(self, step: int, images: Float[Tensor, "n c h w"], name: str) -> None:
        """Post them as a PNG."""
        self.handle.put.remote(Grid(step, name, png(grid(images))))

    def stop(self) -> bool:
        """Whether the driver asked for a stop, as far as is known."""
        if self.answer is not None and ray.wait([self.answer], timeout=0)[0]:
            self.asked_to_stop |= bool(ray.get(self.answer))
            self.answer = None
        return self.asked_to_stop

    def has_ended(self) -> bool:
        """Whether a worker has said its last word."""
        return bool(ray.get(self.handle.has_ended.remote()))

    def ended(self, ended: Ended) -> None:
        """The last word; waits until it is delivered."""
        ray.get(self.handle.put.remote(ended))
