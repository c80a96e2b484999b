"""The only place that starts or joins Ray."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import ray
import torch

from gen.config import Cluster, Compute
from gen.errors import InputError

LOCAL = {
    "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
}
"""Environment of a Ray of our own, which makes short runs shorter.

It has no dashboard: told of one that refuses, Ray Train does not ask for it in vain, in the end, for twelve seconds.
Nobody takes this machine away, so no process watches for that. And the controller looks every half second, not every
two, whether a run has ended.
"""


@contextmanager
def joined(cluster: Cluster, cpus: int = 1) -> Iterator[None]:
    """Ray inside the block: the cluster of params, else of RAY_ADDRESS, else a local one with at least `cpus` CPUs.

    Raises:
        InputError: the cluster does not answer.
    """
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    local = {"num_cpus": max(cpus, os.cpu_count() or 1), "include_dashboard": False}
    options: dict[str, Any] = {"address": address} if address else {"address": "local", **local}
    if not address:
        for name, value in LOCAL.items():
            os.environ.setdefault(name, value)
    on_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise InputError(
            f"cluster.address: no Ray at {address or 'this machine'} ({said}); start one or use null"
        ) from None
    if on_main:
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own there
    try:
        yield
    finally:
        ray.shutdown()


def address() -> str:
    """Where other processes of this machine join the Ray of this process."""
    return str(ray.get_runtime_context().gcs_address)


def room(compute: Compute, device: str) -> int:
    """How many runs that are computed so the cluster has CPUs or GPUs for at once; at least one."""
    have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    fit = int(have.get("CPU", 0) // (compute.workers * compute.threads))
    return max(1, min(fit, int(have.get("GPU", 0) // compute.workers)) if device == "cuda" else fit)


def resolve_device(compute: Compute) -> Literal["cpu", "cuda", "mps"]:
    """The kind of device the run's workers compute on: `auto` prefers a GPU of the cluster, then MPS, then CPUs.

    Raises:
        InputError: there is no such device, or too few GPUs or CPUs for the workers; Ray itself would wait for ever.
    """
    have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    device = compute.device
    if device == "auto":
        mps = compute.workers == 1 and torch.backends.mps.is_available()
        device = "cuda" if have.get("GPU", 0) else "mps" if mps else "cpu"
    if device == "mps" and not torch.backends.mps.is_available():
        raise InputError("compute.device: mps: this machine has no GPU of Apple's; use auto or cpu")
    if device == "cuda" and have.get("GPU", 0) < compute.workers:
        raise InputError(
            f"compute.workers: {compute.workers} workers need a GPU each, the cluster has {have.get('GPU', 0):.0f}; "
            "use fewer workers or device: cpu"
        )
    need = compute.workers * compute.threads
    if have.get("CPU", 0) < need:
        raise InputError(
            f"compute: {compute.workers} workers x {compute.threads} threads need {need} CPUs, the cluster has "
            f"{have.get('CPU', 0):.0f}; use fewer workers or threads"
        )
    return device
