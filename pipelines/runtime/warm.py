"""Workers that train one run after the other, for a build of many stages: they begin sooner than a new process.

They are actors of the Ray that `gen all` starts, and end with it.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from gen.config.params import Compute
from pipelines.runtime.forkserver import ADDRESS
from pipelines.runtime.worker import Job, work_alone

NAME = "GEN_WARM_WORKER"
"""Variable of the environment: which one is a stage's own."""
NAMESPACE = "gen"


class Worker:
    """Trains what a task of Ray would, in a process that has imported torch and the loop already."""

    def work_alone(self, job: Job) -> None:
        """Train; what it took of the memory is free again afterwards."""
        try:
            work_alone(job)
        finally:
            gc.collect()


@contextmanager
def warm_workers(count: int) -> Iterator[list[str]]:
    """So many, inside the block; their names. They take no CPUs of Ray's: whoever gives each to one stage counts."""
    names = [f"warm-worker-{number}" for number in range(count)]
    actor = ray.remote(num_cpus=0)(Worker)
    actors = [actor.options(name=name, namespace=NAMESPACE).remote() for name in names]
    yield names
    del actors  # Ray ends those that nobody refers to


def own_worker(compute: Compute, device: str) -> Any:
    """The one that this stage was given, for a run that computes on one thread of a CPU, as it does; else None.

    Its BLAS has one thread for good, and results depend on the number of threads in their last bits. Its code is that
    of the forkserver: a stage that runs without, because of an edit, has none.
    """
    name = os.environ.get(NAME)
    if not name or ADDRESS not in os.environ or device != "cpu" or compute.threads > 1:
        return None
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:  # it was lost with an earlier run
        return None
