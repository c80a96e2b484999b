"""The only place that starts or joins Ray."""

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import grpc  # type: ignore[import-untyped]
import psutil
import ray
import torch
from ray._private.authentication.authentication_token_generator import generate_new_authentication_token
from ray._private.grpc_utils import init_grpc_channel
from ray._private.services import canonicalize_bootstrap_address
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from gen.config.params import Cluster, Compute
from gen.errors import InputError

LOCAL = {
    "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_memory_monitor_refresh_ms": "0",
}
"""Environment of a Ray of our own, which makes short runs shorter.

It has no dashboard: told of one that refuses, Ray Train does not ask for it in vain, in the end, for twelve seconds.
Nobody takes this machine away, so no process watches for that, and none ends a run because others have filled the
memory: the system ends who takes too much. And the controller looks every half second, not every two, whether a run has
ended.
"""


ANSWER_SECONDS = 8.0
"""How long an address has to answer; long enough for a Ray that is just starting there."""
JOIN_SECONDS = 60.0
"""How long a cluster that answers has to take this process in."""
NOTICE_SECONDS = 8.0
"""After which it is said that Ray is waited for."""
LOOK_SECONDS = 0.05
"""How long Ray's own handler of SIGTERM may be in place."""
LEAVE_SECONDS = 5.0
"""How long a call into a Ray that has ended has to come back."""
STOP_SECONDS = 3.0
"""How long a process that is asked to end looks after a Ray that is just starting, to end it too."""


def named(cluster: Cluster) -> str | None:
    """Address of the cluster that is to be joined; none: Ray is to be started on this machine."""
    return cluster.address or os.environ.get("RAY_ADDRESS")


@contextmanager
def joined(cluster: Cluster, cpus: int = 1) -> Iterator[None]:
    """Ray inside the block: the cluster of params, else of RAY_ADDRESS, else a local one with at least `cpus` CPUs.

    Raises:
        InputError: the cluster does not answer.
    """
    address = named(cluster)
    local = {"num_cpus": max(cpus, os.cpu_count() or 1), "include_dashboard": False}
    options: dict[str, Any] = {"address": address} if address else {"address": "local", **local}
    if not address:
        for name, value in LOCAL.items():
            os.environ.setdefault(name, value)
    over = threading.Event()
    try:
        if address:
            _check_answers(address)
        else:
            keep_token_private(Path.home() / ".ray" / "auth_token")
        _start(options, over)
    except InputError:
        raise
    except Exception as error:  # Ray raises a plain one when its own processes are not up in time
        message = (str(error).splitlines() or [type(error).__name__])[0]
        if not address:
            remedy = "repeat the command when the machine has less to do"
            raise InputError(f"Ray does not start on this machine: {message.rstrip('.')}; {remedy}") from None
        setting, without = ("cluster.address", "use null") if cluster.address else ("RAY_ADDRESS", "unset it")
        remedy = f"start Ray there, or {without} for one on this machine alone"
        raise InputError(f"{setting}: no Ray at {address}: {message}; {remedy}") from None
    try:
        yield
    finally:
        if not lost():  # it would end this process before that has said why
            ray.shutdown()
        over.set()


def keep_token_private(path: Path) -> None:
    """Only its owner reads the token with which code is run in a Ray of this machine; Ray itself would let all read it.

    One that cannot be kept there is Ray's to complain of.
    """
    with suppress(OSError):
        if path.exists():
            path.chmod(0o600)
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(generate_new_authentication_token())


def _check_answers(address: str) -> None:
    """Raises when no Ray is to be joined there, of which Ray itself would say so after up to 15 minutes.

    Raises:
        ConnectionError, ValueError: no gRPC server answers.
        InputError: the Ray there has a token, and this process another or none.
    """
    target = canonicalize_bootstrap_address(address.rpartition("://")[2])
    if target is None:  # auto, and Ray finds its own on this machine
        return
    channel = init_grpc_channel(target)
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
        nodes = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
        request = gcs_service_pb2.CheckAliveRequest()  # type: ignore[attr-defined]
        nodes.CheckAlive(request, timeout=ANSWER_SECONDS)
    except grpc.FutureTimeoutError:
        raise ConnectionError(f"nothing answered as Ray does for {ANSWER_SECONDS:.0f} s") from None
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            remedy = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN (or the file ~/.ray/auth_token) to its token"
            raise InputError(f"the Ray at {address} wants its token; {remedy}") from None
        raise ConnectionError(f"it answers as no Ray does ({error.code().name})") from None
    finally:
        channel.close()


def _start(options: dict[str, Any], over: threading.Event) -> None:
    """Call ray.init in another thread: signals reach this one, and Ray's own handler of SIGTERM is not put in place.

    The thread lives until `over`.

    Raises:
        TimeoutError: a cluster does not take this process in within a minute.
    """
    done: Future[None] = Future()
    # What a raylet says of a worker that died is 700 characters; `fit` says it in a line.
    ray._private.worker.print_to_stdstream = lambda *ignored, **named: None

    def start() -> None:
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
            done.set_result(None)
            over.wait()  # Linux kills what Ray has started when the thread that started it ends
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=start, daemon=True).start()
    local = options["address"] == "local"
    began, told = time.monotonic(), False
    try:
        while not wait([done], LOOK_SECONDS).done:
            _own_handler()
            waited = time.monotonic() - began
            if waited > NOTICE_SECONDS and not told:
                told = True
                there = f"at {options['address']}, for {JOIN_SECONDS:.0f} s at most"
                print(f"waiting for Ray {'to start on this machine' if local else there}", flush=True)
            if waited > JOIN_SECONDS and not local:
                raise TimeoutError
        done.result()
    except TimeoutError:
        _end_started(done)
        raise TimeoutError(f"not joined within {JOIN_SECONDS:.0f} s") from None
    except (KeyboardInterrupt, SystemExit) as end:
        _end_started(done)
        # Ray's half-started threads would crash in the process's own end. What is registered last is called first.
        atexit.register(os._exit, 128 + (signal.SIGINT if isinstance(end, KeyboardInterrupt) else signal.SIGTERM))
        raise
    _own_handler()


def _own_handler() -> None:
    """In C, Ray puts a handler of SIGTERM before Python's, which prints its stack and aborts this process after 3 s."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _end_started(done: Future[None]) -> None:
    """Leave no process behind of a Ray that is just starting; ray.shutdown does not know them yet."""
    for _ in range(round(STOP_SECONDS / 0.5)):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        if done.done():
            break
        wait([done], 0.5)
    ray.shutdown()


def lost() -> str:
    """Which processes of a Ray of our own have ended; none, as long as it works. Seconds later Ray ends this one."""
    node: Any = ray._private.worker._global_node
    dead = {kind for kind, _ in node.dead_processes()} if node else set()
    return ", ".join(sorted(dead & {"raylet", "gcs_server"}))


@contextmanager
def ended_when_lost(end: Callable[[str], None]) -> Iterator[None]:
    """While the block waits in Ray itself, which answers to nothing for a minute once a Ray of our own has ended.

    Should the block still wait in it `LEAVE_SECONDS` later, `end` is called with what has ended, in a thread, and then
    this process is ended with status 1.
    """
    left = threading.Event()

    def look() -> None:
        while not left.wait(1.0):
            if (dead := lost()) and not left.wait(LEAVE_SECONDS):
                try:
                    end(dead)
                finally:
                    os._exit(1)

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        left.set()


def address() -> str:
    """Where other processes of this machine join the Ray of this process."""
    return str(ray.get_runtime_context().gcs_address)


def resources() -> dict[str, float]:
    """CPUs and GPUs that the cluster has."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {kind: found.get(kind, 0.0) for kind in ("CPU", "GPU")}


def capacity() -> dict[str, float]:
    """CPUs and GPUs of the cluster: those it has, or may grow to by its autoscaler."""
    there = resources()
    most = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    return {kind: max(there[kind], most.get(kind, 0.0)) for kind in ("CPU", "GPU")}


def room(compute: Compute, device: str) -> int:
    """How many runs that are computed so the cluster has CPUs or GPUs for at once; at least one."""
    have = capacity()
    fit = int(have.get("CPU", 0) // (compute.workers * compute.threads))
    return max(1, min(fit, int(have.get("GPU", 0) // compute.workers)) if device == "cuda" else fit)


def resolve_device(compute: Compute) -> Literal["cpu", "cuda", "mps"]:
    """The kind of device the run's workers compute on: `auto` prefers a GPU of the cluster, then MPS, then CPUs.

    Raises:
        InputError: there is no such device, or too few GPUs or CPUs for the workers; Ray itself would wait for ever.
    """
    have = capacity()
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
